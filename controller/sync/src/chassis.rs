//! The chassis of nodes that are gone, in the southbound database.
//!
//! ovn-controller writes its chassis there and takes it away when it ends; that of a node which is
//! gone did not end. A chassis does not tell whose it is, so those of nodes get our mark, and only
//! what has it is deleted: one whose node is gone, and one of a node whose annotation names
//! another. So it does not matter whether we saw the node go.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use controller_index::Shared;
use kit::lease::Permit;
use kit::shutdown::Shutdown;
use ovn::owned::{VENDOR, VENDOR_KEY};
use ovn::sb::{self, chassis};
use ovsdb::{
    Client, Columns, Condition, Datum, Mutation, Operation, Options, Outcome, Remote, Row,
    Transaction, Uuid,
};
use tokio::time::{MissedTickBehavior, interval};

const CHASSIS: &str = sb::CHASSIS.name;
const PRIVATE: &str = sb::CHASSIS_PRIVATE.name;
/// How often chassis and nodes are compared.
const PERIOD: Duration = Duration::from_secs(1);

/// The options of a client of the southbound database that copies what is needed here.
pub fn options(remotes: Vec<Remote>) -> Options {
    let columns = [
        chassis::NAME.name,
        chassis::HOSTNAME.name,
        chassis::EXTERNAL_IDS.name,
    ];
    Options::new(remotes, sb::DATABASE)
        .leader_only()
        .table(CHASSIS, Columns::only(columns))
}

/// Keeps chassis and nodes equal.
#[derive(Debug)]
pub struct Chassis {
    index: Shared,
    client: Client,
    permit: Permit,
}

/// A chassis as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Present {
    uuid: Uuid,
    name: String,
    host: String,
    is_marked: bool,
}

/// What to do about a chassis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Mark,
    Delete,
}

/// By the names of nodes, the chassis that their annotation names.
type Nodes = BTreeMap<String, Option<String>>;

// === impl Chassis ===

impl Chassis {
    pub const fn new(index: Shared, client: Client, permit: Permit) -> Self {
        Self {
            index,
            client,
            permit,
        }
    }

    /// Runs until shutdown.
    ///
    /// # Errors
    /// Never; what fails is tried again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            shutdown.run_until_cancelled(self.compare()).await;
        }
        Ok(())
    }

    async fn compare(&self) {
        if !self.index.read().is_synced() || !self.client.replica().version().connected {
            return;
        }
        let nodes = self.index.read().chassis_of_nodes();
        for (present, action) in actions(&nodes, &self.present()) {
            if !self.permit.holds() {
                return;
            }
            let outcome = self.client.transact(transaction(&present, action)).await;
            tell(&present, action, &outcome);
        }
    }

    fn present(&self) -> Vec<Present> {
        let database = self.client.replica().read();
        let rows = database.table(CHASSIS).iter();
        rows.map(|(uuid, row)| Present::new(*uuid, row)).collect()
    }
}

fn tell(present: &Present, action: Action, outcome: &Outcome) {
    let Present { name, host, .. } = present;
    match (outcome, action) {
        (Outcome::Committed | Outcome::Unchanged, Action::Delete) => {
            tracing::info!(chassis = name, host, "Deleted a chassis");
        }
        (Outcome::Committed | Outcome::Unchanged, Action::Mark) => {
            tracing::debug!(chassis = name, host, "Marked a chassis");
        }
        (Outcome::Stale | Outcome::Lost | Outcome::Rejected(_), _) => {
            tracing::warn!(chassis = name, host, ?outcome, "Could not write a chassis");
        }
    }
}

/// Where the annotation names no chassis of the host, all of them may be the right one.
fn actions(nodes: &Nodes, present: &[Present]) -> Vec<(Present, Action)> {
    let action = |chassis: &Present| {
        let Some(annotated) = nodes.get(&chassis.host) else {
            return chassis.is_marked.then_some(Action::Delete);
        };
        let is_right =
            |it: &Present| it.host == chassis.host && annotated.as_ref() == Some(&it.name);
        let has_other = !is_right(chassis) && present.iter().any(is_right);
        if has_other {
            return Some(Action::Delete);
        }
        (!chassis.is_marked).then_some(Action::Mark)
    };
    let all = present.iter();
    all.filter_map(|it| Some((it.clone(), action(it)?)))
        .collect()
}

/// Holds while the chassis is still of that host.
fn transaction(present: &Present, action: Action) -> Transaction {
    let Present {
        uuid, name, host, ..
    } = present;
    let mut transaction = Transaction::new();
    let row = Row::new()
        .with(chassis::NAME.name, name.as_str())
        .with(chassis::HOSTNAME.name, host.as_str());
    transaction.guard(CHASSIS, *uuid, row);
    match action {
        Action::Mark => transaction.push(Operation::Mutate {
            table: CHASSIS.to_owned(),
            condition: Condition::uuid(*uuid),
            mutations: vec![Mutation::insert(
                chassis::EXTERNAL_IDS.name,
                Datum::map([(VENDOR_KEY, VENDOR)]),
            )],
        }),
        Action::Delete => {
            transaction.push(Operation::Delete {
                table: CHASSIS.to_owned(),
                condition: Condition::uuid(*uuid),
            });
            let private = Operation::Delete {
                table: PRIVATE.to_owned(),
                condition: Condition::equal(sb::chassis_private::NAME.name, name.as_str()),
            };
            transaction.push_expecting(private, None);
        }
    }
    transaction
}

// === impl Present ===

impl Present {
    fn new(uuid: Uuid, row: &Row) -> Self {
        let ids = row.datum(chassis::EXTERNAL_IDS.name);
        Self {
            uuid,
            name: row.str(chassis::NAME.name).to_owned(),
            host: row.str(chassis::HOSTNAME.name).to_owned(),
            is_marked: ids.get_str(VENDOR_KEY) == Some(VENDOR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(name: &str, host: &str, is_marked: bool) -> Present {
        Present {
            uuid: Uuid::nil(),
            name: name.to_owned(),
            host: host.to_owned(),
            is_marked,
        }
    }

    fn nodes<const N: usize>(all: [(&str, Option<&str>); N]) -> Nodes {
        let all = all.into_iter();
        all.map(|(name, chassis)| (name.to_owned(), chassis.map(str::to_owned)))
            .collect()
    }

    fn done(nodes: &Nodes, present: &[Present]) -> Vec<(String, Action)> {
        let actions = actions(nodes, present).into_iter();
        actions.map(|(it, action)| (it.name, action)).collect()
    }

    #[test]
    fn r09_the_chassis_of_a_node_is_marked_once_and_deleted_with_its_node() {
        let here = nodes([("n1.example", None)]);
        let new = [present("a", "n1.example", false)];
        let known = [present("a", "n1.example", true)];
        assert_eq!(done(&here, &new), [("a".to_owned(), Action::Mark)]);
        assert_eq!(done(&here, &known), []);
        assert_eq!(done(&nodes([]), &known), [("a".to_owned(), Action::Delete)]);
    }

    #[test]
    fn r24_the_chassis_of_a_host_that_never_was_a_node_is_left_alone() {
        let foreign = [present("a", "gateway", false)];
        assert_eq!(done(&nodes([("n1", None)]), &foreign), []);
    }

    #[test]
    fn r09_of_two_chassis_of_a_node_the_one_of_its_annotation_stays() {
        let both = [present("old", "n1", true), present("new", "n1", false)];
        assert_eq!(
            done(&nodes([("n1", Some("new"))]), &both),
            [
                ("old".to_owned(), Action::Delete),
                ("new".to_owned(), Action::Mark)
            ]
        );
        let unsure = [("new".to_owned(), Action::Mark)];
        assert_eq!(done(&nodes([("n1", Some("third"))]), &both), unsure);
        assert_eq!(done(&nodes([("n1", None)]), &both), unsure);
    }
}
