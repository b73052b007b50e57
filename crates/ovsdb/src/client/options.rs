//! What a client connects to and what it copies.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{remote::Remote, tls::Tls};

/// What a client connects to, what it copies, and how patient it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers, at least one, in the order in which to try them.
    pub remotes: Vec<Remote>,
    /// Who we are and whom we believe, for remotes with `ssl:`.
    pub tls: Option<Tls>,
    /// The database, for example `OVN_Northbound`.
    pub database: String,
    /// The tables to copy. Tables and columns that the server lacks are left out.
    pub tables: BTreeMap<String, Columns>,
    /// Whether to stay with no other member of a raft cluster than its leader.
    pub leader_only: bool,
    /// A server that is silent for so long is asked for a sign of life; if it is for as long
    /// again, the connection is given up. Also the time that connecting may take. It does not
    /// count while the first copy is made: a server is silent for long before a large one.
    pub probe_interval: Duration,
    /// The time that any one reply may take.
    pub deadline: Duration,
    /// How long to wait when no remote is usable.
    pub backoff: Backoff,
    /// The largest message accepted, in bytes. The first copy of a database is one message.
    pub max_message: usize,
}

impl Options {
    /// Options for `database` at `remotes` that copy nothing yet and do not ask for the leader.
    pub fn new(remotes: Vec<Remote>, database: impl Into<String>) -> Self {
        Self {
            remotes,
            tls: None,
            database: database.into(),
            tables: BTreeMap::new(),
            leader_only: false,
            probe_interval: Duration::from_secs(5),
            deadline: Duration::from_mins(1),
            backoff: Backoff::default(),
            max_message: 1 << 30,
        }
    }

    /// The options with one more table to copy.
    pub fn table(mut self, table: impl Into<String>, columns: Columns) -> Self {
        self.tables.insert(table.into(), columns);
        self
    }

    /// The options with a configuration for remotes with `ssl:`.
    pub fn tls(mut self, tls: impl Into<Tls>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// The options of a client that stays with the leader of a raft cluster.
    pub fn leader_only(mut self) -> Self {
        self.leader_only = true;
        self
    }
}

/// Which columns of a table to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// All that the server has.
    All,
    /// Those of these that the server has.
    Only(BTreeSet<String>),
}

impl Columns {
    /// The named columns.
    pub fn only<C: Into<String>>(columns: impl IntoIterator<Item = C>) -> Self {
        Self::Only(columns.into_iter().map(Into::into).collect())
    }

    pub(super) fn includes(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(columns) => columns.contains(column),
        }
    }
}

/// The wait after all remotes failed: doubled each time from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(100),
            max: Duration::from_secs(8),
        }
    }
}

impl Backoff {
    /// The wait after `failures` rounds without success, counted from 0.
    pub(super) fn wait(self, failures: u32) -> Duration {
        self.min.saturating_mul(1 << failures.min(20)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let backoff = Backoff {
            min: Duration::from_millis(100),
            max: Duration::from_secs(1),
        };
        let waits: Vec<_> = (0..6)
            .map(|failures| backoff.wait(failures).as_millis())
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.wait(u32::MAX), backoff.max);
    }
}
