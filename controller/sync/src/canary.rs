//! The canary: a value that must come back through the monitor, or writing does not work.
//!
//! northd does not recompute for `NB_Global.external_ids` (ovn-nb(5)). It is the one row that is
//! written although nothing changed.

use std::time::Duration;

use kit::readiness::Condition as Ready;
use kit::shutdown::Shutdown;
use ovsdb::{Client, Condition, Datum, Mutation, Operation, Outcome, Row, Transaction, Uuid};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

pub(crate) const TABLE: &str = ovn::nb::NB_GLOBAL.name;
pub(crate) const COLUMN: &str = ovn::nb::nb_global::EXTERNAL_IDS.name;
const KEY: &str = "kube-ovn-canary";
const PERIOD: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(5);

/// Writes a growing number every five seconds and says whether it came back.
#[derive(Debug)]
pub struct Canary {
    client: Client,
    writable: Ready,
    patience: Option<Duration>,
}

/// The canary was away for too long.
#[derive(Debug, thiserror::Error)]
#[error("nothing could be written to the northbound database for {} seconds", .0.as_secs())]
pub struct Mute(Duration);

// === impl Canary ===

impl Canary {
    pub const fn new(client: Client, writable: Ready) -> Self {
        Self {
            client,
            writable,
            patience: None,
        }
    }

    /// Without this it is waited for the database, however long that takes.
    pub fn giving_up_after(self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self
        }
    }

    /// Runs until shutdown.
    ///
    /// # Errors
    /// When it was away for longer than there is patience.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Mute> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match shutdown.run_until_cancelled(self.sing()).await {
                Some(Heard::Yes) => heard = Instant::now(),
                Some(Heard::No) => self.judge(heard.elapsed())?,
                None => break,
            }
        }
        Ok(())
    }

    fn judge(&self, silence: Duration) -> Result<(), Mute> {
        match self.patience {
            Some(patience) if silence > patience => Err(Mute(silence)),
            Some(_) | None => Ok(()),
        }
    }

    async fn sing(&self) -> Heard {
        match timeout(DEADLINE, self.write()).await {
            Ok(Outcome::Committed | Outcome::Unchanged) => {
                self.writable.met();
                Heard::Yes
            }
            Ok(outcome @ (Outcome::Stale | Outcome::Lost | Outcome::Rejected(_))) => {
                tracing::warn!(?outcome, "Canary was not committed");
                self.writable
                    .unmet("the northbound database refuses to be written");
                Heard::No
            }
            Err(_elapsed) => {
                tracing::warn!(seconds = DEADLINE.as_secs(), "Canary did not come back");
                self.writable
                    .unmet("the northbound database does not answer in time");
                Heard::No
            }
        }
    }

    async fn write(&self) -> Outcome {
        if self.client.replica().connected().await.is_none() {
            return Outcome::Lost;
        }
        let operation = self.operation();
        self.client
            .transact(Transaction::new().with(operation))
            .await
    }

    fn operation(&self) -> Operation {
        let database = self.client.replica().read();
        let row = database.table(TABLE).first_key_value();
        let number = row
            .and_then(|(_, row)| row.get(COLUMN)?.get_str(KEY)?.parse::<u64>().ok())
            .map_or(0, |last| last.wrapping_add(1));
        let value = Datum::map([(KEY, number.to_string())]);
        match row {
            Some((uuid, _)) => replace(*uuid, value),
            None => Operation::Insert {
                table: TABLE.to_owned(),
                uuid: Some(Uuid::new_v4()),
                row: Row::new().with(COLUMN, value),
            },
        }
    }
}

/// Whether what was written came back.
enum Heard {
    Yes,
    No,
}

/// Keys of others in the same map stay.
fn replace(uuid: Uuid, value: Datum) -> Operation {
    Operation::Mutate {
        table: TABLE.to_owned(),
        condition: Condition::uuid(uuid),
        mutations: vec![
            Mutation::delete(COLUMN, Datum::set([KEY])),
            Mutation::insert(COLUMN, value),
        ],
    }
}
