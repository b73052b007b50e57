//! A state of a database: a schema and rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    changes::{Change, ChangeSet},
    monitor::Monitored,
};
use crate::{
    data::Row,
    schema::{Schema, TableSchema},
};

/// The rows of a table by their identities.
pub type Rows = BTreeMap<Uuid, Arc<Row>>;

static NO_ROWS: Rows = Rows::new();

/// Which state of which connection a replica shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The connection, counted from 1; 0 before the first.
    pub epoch: u64,
    /// How many states there were before this one, over all connections.
    pub serial: u64,
    /// Whether the connection lives. If not, the state may be out of date.
    pub connected: bool,
}

/// A consistent state of a database, as one transaction left it.
///
/// It holds the tables and columns that [`Options`](super::Options) ask for and the server has.
#[derive(Clone, Debug, Default)]
pub struct Database {
    pub(super) version: Version,
    schema: Arc<Schema>,
    tables: BTreeMap<String, Rows>,
}

impl Database {
    /// Which state this is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The server's schema, with all tables and columns; empty before the first connection.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The rows of a table; none for one that is not copied.
    pub fn table(&self, table: &str) -> &Rows {
        self.tables.get(table).unwrap_or(&NO_ROWS)
    }

    /// One row.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Arc<Row>> {
        self.table(table).get(&uuid)
    }

    /// The tables that are copied.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &Rows)> {
        self.tables
            .iter()
            .map(|(table, rows)| (table.as_str(), rows))
    }

    /// A database without rows.
    pub(super) fn new(schema: Arc<Schema>, monitored: &Monitored) -> Self {
        let tables = monitored
            .tables()
            .map(|table| (table.to_owned(), Rows::new()))
            .collect();
        Self {
            version: Version::default(),
            schema,
            tables,
        }
    }

    /// The schema and the rows of a table, if it is copied.
    pub(super) fn parts(&self, table: &str) -> Option<(&TableSchema, &Rows)> {
        Some((self.schema.table(table)?, self.tables.get(table)?))
    }

    /// As [`Database::parts`], to change the rows.
    pub(super) fn parts_mut(&mut self, table: &str) -> Option<(&TableSchema, &mut Rows)> {
        Some((self.schema.table(table)?, self.tables.get_mut(table)?))
    }

    /// What leads from this state to another.
    pub(super) fn difference(&self, new: &Self) -> ChangeSet {
        let mut changes = ChangeSet::default();
        let names: BTreeSet<_> = self.tables.keys().chain(new.tables.keys()).collect();
        for table in names {
            let changed = difference(self.table(table), new.table(table));
            if !changed.is_empty() {
                changes.tables.insert(table.clone(), changed);
            }
        }
        changes
    }

    /// All rows as changes from nothing.
    pub(super) fn everything(&self) -> ChangeSet {
        let changes = Self::default().difference(self);
        ChangeSet {
            version: self.version,
            ..changes
        }
    }
}

fn difference(old: &Rows, new: &Rows) -> BTreeMap<Uuid, Change> {
    let gone = old.iter().filter(|(uuid, _)| !new.contains_key(uuid));
    let gone = gone.map(|(uuid, row)| (*uuid, Change::between(Some(row), None)));
    let other = new.iter().filter(|(uuid, row)| old.get(uuid) != Some(row));
    let other = other.map(|(uuid, row)| (*uuid, Change::between(old.get(uuid), Some(row))));
    gone.chain(other).collect()
}
