//! What ovn-controller reads in `Open_vSwitch.external_ids` (ovn-controller(8)).

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ovsdb::{
    Client, Condition, Database, Datum, Mutation, Operation, Outcome, Row, Transaction, Uuid,
};

use crate::args::VswitchArgs;

/// The table with one row.
pub(super) const OPEN_VSWITCH: &str = "Open_vSwitch";
/// The column with OVN's settings.
pub(super) const EXTERNAL_IDS: &str = "external_ids";
/// The column with those of Open vSwitch itself.
pub(super) const OTHER_CONFIG: &str = "other_config";

const REMOTE: &str = "ovn-remote";
const ENCAP_IP: &str = "ovn-encap-ip";
/// A southbound server that is silent for so long, in milliseconds, is asked for a sign of life.
const REMOTE_PROBE: (&str, &str) = ("ovn-remote-probe-interval", "10000");
/// The same for the integration bridge, in seconds.
const OPENFLOW_PROBE: (&str, &str) = ("ovn-openflow-probe-interval", "180");
/// With more processors than this, Open vSwitch would start more threads than are of use.
const FEW_PROCESSORS: usize = 12;
const THREADS: [(&str, &str); 2] = [("n-revalidator-threads", "4"), ("n-handler-threads", "10")];
/// How often a change is planned anew before it is given up.
const ATTEMPTS: u32 = 5;

type Pairs = BTreeMap<String, String>;

/// The keys that are ours, with their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Hold whatever was there.
    fixed: Pairs,
    /// Hold where nothing is there: the daemon may have chosen better.
    initial: Pairs,
    /// The same in `other_config`, where the administrator may have.
    threads: Pairs,
}

// === impl Settings ===

impl Settings {
    /// # Errors
    /// When no southbound database is named.
    pub(crate) fn new(args: &VswitchArgs, system_id: &str, processors: usize) -> Result<Self> {
        let fixed = [
            ("system-id", system_id),
            ("hostname", &args.node_name),
            (REMOTE, &args.southbound()?),
            REMOTE_PROBE,
            OPENFLOW_PROBE,
            ("ovn-encap-type", &args.encapsulation.to_string()),
            ("ovn-bridge-datapath-type", &args.datapath_type.to_string()),
        ];
        let initial = args.address.map(|address| (ENCAP_IP, address.to_string()));
        let threads = THREADS.into_iter().filter(|_| processors > FEW_PROCESSORS);
        Ok(Self {
            fixed: fixed
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            initial: initial
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            threads: threads
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// Where ovn-controller is told to go.
    pub(crate) fn southbound(&self) -> &str {
        self.fixed.get(REMOTE).map_or("", String::as_str)
    }

    /// Writes what is not there yet, when the database answers.
    ///
    /// # Errors
    /// When the database refuses, or changes under every attempt.
    pub(crate) async fn commit(&self, client: &Client) -> Result<()> {
        commit(client, |row| self.operation(row)).await
    }

    /// What brings the row there; `None` when nothing is to do.
    fn operation(&self, row: Option<(Uuid, &Row)>) -> Option<Operation> {
        let Some((uuid, row)) = row else {
            let all = self.initial.iter().chain(&self.fixed);
            let row = Row::new().with(EXTERNAL_IDS, Datum::map(all));
            return Some(Operation::Insert {
                table: OPEN_VSWITCH.into(),
                uuid: None,
                row: row.with(OTHER_CONFIG, Datum::map(&self.threads)),
            });
        };
        let differs =
            |(key, value): &(&String, &String)| row.datum(EXTERNAL_IDS).get_str(key) != Some(value);
        let initial = self.initial.iter().filter(is_absent(row, EXTERNAL_IDS));
        let changes = self.fixed.iter().filter(differs).chain(initial).collect();
        let threads = self.threads.iter().filter(is_absent(row, OTHER_CONFIG));
        let mutations = [(EXTERNAL_IDS, changes), (OTHER_CONFIG, threads.collect())];
        mutate(
            uuid,
            mutations
                .into_iter()
                .flat_map(|(column, pairs)| replace(column, pairs)),
        )
    }
}

fn is_absent(row: &Row, column: &str) -> impl Fn(&(&String, &String)) -> bool {
    let actual = row.datum(column);
    move |(key, _)| actual.get_str(key).is_none()
}

/// The value of a key, as far as the database is known.
pub(super) fn get(client: &Client, column: &str, key: &str) -> Option<String> {
    let database = client.replica().read();
    let row = database.table(OPEN_VSWITCH).values().next()?;
    row.datum(column).get_str(key).map(str::to_owned)
}

/// Gives a key its value, or removes it.
///
/// # Errors
/// As [`Settings::commit`].
pub(super) async fn set(
    client: &Client,
    column: &'static str,
    key: &str,
    value: Option<&str>,
) -> Result<()> {
    let key = key.to_owned();
    commit(client, |row| {
        let (uuid, row) = row?;
        if row.datum(column).get_str(&key) == value {
            return None;
        }
        let delete = Mutation::delete(column, Datum::set([&key]));
        let insert = value.map(|value| Mutation::insert(column, Datum::map([(&key, value)])));
        mutate(uuid, [delete].into_iter().chain(insert))
    })
    .await
}

/// Plans from the newest state and commits; again when it has moved on meanwhile.
async fn commit(
    client: &Client,
    plan: impl Fn(Option<(Uuid, &Row)>) -> Option<Operation>,
) -> Result<()> {
    for _attempt in 0..ATTEMPTS {
        client.replica().connected().await;
        let transaction = transaction(&client.replica().read(), &plan);
        match client.transact(transaction).await {
            Outcome::Unchanged | Outcome::Committed => return Ok(()),
            Outcome::Stale | Outcome::Lost => {}
            Outcome::Rejected(rejection) => return Err(rejection.into()),
        }
    }
    bail!("Open vSwitch's database changed under every attempt to write");
}

fn transaction(
    database: &Database,
    plan: impl Fn(Option<(Uuid, &Row)>) -> Option<Operation>,
) -> Transaction {
    let transaction = Transaction::new().planned_on(database.version());
    let row = database.table(OPEN_VSWITCH).iter().next();
    match plan(row.map(|(uuid, row)| (*uuid, &**row))) {
        Some(operation) => transaction.with(operation),
        None => transaction,
    }
}

/// Gives keys their values: inserting a key that is there changes nothing.
fn replace(column: &'static str, pairs: Vec<(&String, &String)>) -> Vec<Mutation> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let keys = Datum::set(pairs.iter().map(|(key, _)| *key));
    vec![
        Mutation::delete(column, keys),
        Mutation::insert(column, Datum::map(pairs)),
    ]
}

fn mutate(row: Uuid, mutations: impl IntoIterator<Item = Mutation>) -> Option<Operation> {
    let mutations: Vec<_> = mutations.into_iter().collect();
    (!mutations.is_empty()).then(|| Operation::Mutate {
        table: OPEN_VSWITCH.into(),
        condition: Condition::uuid(row),
        mutations,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Role};

    fn settings(arguments: &[&str]) -> Settings {
        settings_on(2, arguments)
    }

    fn settings_on(processors: usize, arguments: &[&str]) -> Settings {
        let words = [
            "x",
            "vswitch",
            "--node-name=n1",
            "--ovn-remote=tcp:10.0.0.1:6642",
        ];
        let args = Args::try_parse_from(words.iter().chain(arguments)).unwrap();
        match args.role {
            Role::Vswitch(args) => Settings::new(&args, "id-1", processors).unwrap(),
            Role::Central(_) => panic!("vswitch was asked for"),
        }
    }

    fn row(pairs: &[(&str, &str)]) -> Row {
        Row::new().with(EXTERNAL_IDS, Datum::map(pairs.iter().copied()))
    }

    fn written(operation: &Operation) -> Pairs {
        let datum = if let Operation::Mutate { mutations, .. } = operation {
            mutations.last().unwrap().value.clone()
        } else if let Operation::Insert { row, .. } = operation {
            row.datum(EXTERNAL_IDS).clone()
        } else {
            panic!("unexpected {operation:?}")
        };
        datum
            .string_pairs()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn an_empty_database_gets_the_row_with_everything() {
        let settings = settings(&["--address=10.0.0.7", "--datapath-type=netdev"]);
        let written = written(&settings.operation(None).unwrap());
        assert_eq!(written["system-id"], "id-1");
        assert_eq!(written["hostname"], "n1");
        assert_eq!(written["ovn-remote"], "tcp:10.0.0.1:6642");
        assert_eq!(written["ovn-encap-type"], "geneve");
        assert_eq!(written["ovn-encap-ip"], "10.0.0.7");
        assert_eq!(written["ovn-bridge-datapath-type"], "netdev");
    }

    #[test]
    fn only_what_differs_is_written_and_the_keys_of_others_stay() {
        let settings = settings(&[]);
        let mut pairs: Vec<(&str, &str)> = settings
            .fixed
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        pairs.retain(|(key, _)| *key != "hostname");
        pairs.extend([
            ("hostname", "old"),
            ("ovn-bridge-mappings", "provider:br-x"),
        ]);
        let operation = settings
            .operation(Some((Uuid::nil(), &row(&pairs))))
            .unwrap();
        assert_eq!(
            written(&operation),
            Pairs::from([("hostname".to_owned(), "n1".to_owned())])
        );
    }

    #[test]
    fn the_tunnel_address_that_the_daemon_chose_stays() {
        let settings = settings(&["--address=10.0.0.7"]);
        let row = row(&[(ENCAP_IP, "192.168.0.7")]);
        let operation = settings.operation(Some((Uuid::nil(), &row))).unwrap();
        assert!(!written(&operation).contains_key(ENCAP_IP));
    }

    #[test]
    fn a_large_machine_gets_bounded_threads_unless_somebody_chose() {
        let settings = settings_on(13, &[]);
        let row = row(&[]).with(OTHER_CONFIG, Datum::map([("n-handler-threads", "3")]));
        let written = written(&settings.operation(Some((Uuid::nil(), &row))).unwrap());
        let threads = Pairs::from([("n-revalidator-threads".to_owned(), "4".to_owned())]);
        assert_eq!(written, threads);
        assert!(settings_on(12, &[]).threads.is_empty());
    }

    #[test]
    fn a_second_start_writes_nothing() {
        let settings = settings(&["--address=10.0.0.7"]);
        let pairs: Vec<(&str, &str)> = settings
            .fixed
            .iter()
            .chain(&settings.initial)
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(settings.operation(Some((Uuid::nil(), &row(&pairs)))), None);
    }
}
