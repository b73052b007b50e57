//! A state of a database: a schema and rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    changes::{Change, ChangeSet},
    error::Error,
    options::Columns,
    update::{RowUpdate, Updates, apply_difference, restore_reals},
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

    /// A database with the rows of a first reply.
    pub(super) fn load(
        schema: Arc<Schema>,
        monitored: &Monitored,
        updates: Updates,
    ) -> Result<Self, Error> {
        let tables = monitored
            .tables()
            .map(|table| (table.to_owned(), Rows::new()))
            .collect();
        let mut database = Self {
            version: Version::default(),
            schema,
            tables,
        };
        for (table, updates) in updates.0 {
            let Some((schema, _)) = database.parts(&table) else {
                return Err(Error::UnknownTable { table });
            };
            let row = |(uuid, update)| match change(schema, &table, None, (uuid, update))? {
                Some(row) => Ok((uuid, row)),
                None => Err(Error::Inconsistent {
                    table: table.clone(),
                    row: uuid,
                }),
            };
            let rows = updates.into_iter().map(row).collect::<Result<Rows, _>>()?;
            database.tables.insert(table, rows);
        }
        Ok(database)
    }

    fn parts(&self, table: &str) -> Option<(&TableSchema, &Rows)> {
        Some((self.schema.table(table)?, self.tables.get(table)?))
    }

    /// What updates change, without changing it yet: a bad update must leave no trace.
    pub(super) fn changes(&self, updates: Updates) -> Result<ChangeSet, Error> {
        let mut changes = ChangeSet::default();
        for (table, updates) in updates.0 {
            let Some((schema, rows)) = self.parts(&table) else {
                return Err(Error::UnknownTable { table });
            };
            let mut changed = BTreeMap::new();
            for (uuid, update) in updates {
                let old = rows.get(&uuid).cloned();
                let new = change(schema, &table, old.as_deref(), (uuid, update))?;
                changed.insert(uuid, Change { old, new });
            }
            changed.retain(|_, change| change.old != change.new);
            if !changed.is_empty() {
                changes.tables.insert(table, changed);
            }
        }
        Ok(changes)
    }

    /// Makes changes that [`Database::changes`] or [`Database::difference`] returned.
    pub(super) fn apply(&mut self, changes: &ChangeSet) {
        for (table, changed) in &changes.tables {
            let rows = self.tables.entry(table.clone()).or_default();
            for (uuid, change) in changed {
                match &change.new {
                    Some(row) => rows.insert(*uuid, Arc::clone(row)),
                    None => rows.remove(uuid),
                };
            }
        }
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
    let gone = gone.map(|(uuid, row)| {
        (
            *uuid,
            Change {
                old: Some(Arc::clone(row)),
                new: None,
            },
        )
    });
    let other = new.iter().filter_map(|(uuid, row)| {
        let before = old.get(uuid);
        let change = Change {
            old: before.cloned(),
            new: Some(Arc::clone(row)),
        };
        (before != Some(row)).then_some((*uuid, change))
    });
    gone.chain(other).collect()
}

/// The row after an update, if there is one.
fn change(
    schema: &TableSchema,
    table: &str,
    old: Option<&Row>,
    (uuid, update): (Uuid, RowUpdate),
) -> Result<Option<Arc<Row>>, Error> {
    let row = match (old, update) {
        (None, RowUpdate::Insert(row)) | (_, RowUpdate::Replace(row)) => {
            normal(schema, table, row)?
        }
        (Some(old), RowUpdate::Modify(differences)) => modify(schema, table, old, differences)?,
        (Some(_), RowUpdate::Delete) => return Ok(None),
        (Some(_), RowUpdate::Insert(_)) | (None, RowUpdate::Modify(_) | RowUpdate::Delete) => {
            return Err(Error::Inconsistent {
                table: table.to_owned(),
                row: uuid,
            });
        }
    };
    Ok(Some(Arc::new(row)))
}

/// The row without default values, as [`Row`] promises for replicas.
fn normal(schema: &TableSchema, table: &str, mut row: Row) -> Result<Row, Error> {
    let unknown = row
        .0
        .keys()
        .find(|column| !schema.columns.contains_key(*column));
    if let Some(column) = unknown {
        return Err(Error::UnknownColumn {
            table: table.to_owned(),
            column: column.clone(),
        });
    }
    row.0.retain(|column, datum| {
        let Some(column) = schema.columns.get(column) else {
            return false;
        };
        *datum = restore_reals(&column.kind, std::mem::take(datum));
        !column.kind.is_default(datum)
    });
    Ok(row)
}

fn modify(schema: &TableSchema, table: &str, old: &Row, differences: Row) -> Result<Row, Error> {
    let mut new = old.clone();
    for (column, difference) in differences.0 {
        let Some(known) = schema.columns.get(&column) else {
            return Err(Error::UnknownColumn {
                table: table.to_owned(),
                column,
            });
        };
        let difference = restore_reals(&known.kind, difference);
        let datum = apply_difference(&known.kind, old.datum(&column), difference);
        if known.kind.is_default(&datum) {
            new.0.remove(&column);
        } else {
            new.0.insert(column, datum);
        }
    }
    Ok(new)
}

/// The tables and columns to ask the server for: those wanted that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Monitored(BTreeMap<String, Vec<String>>);

impl Monitored {
    pub(super) fn new(schema: &Schema, wanted: &BTreeMap<String, Columns>) -> Self {
        let present = |(table, wanted): (&String, &Columns)| {
            let columns = schema.table(table)?.columns.keys();
            let columns = columns
                .filter(|column| wanted.includes(column))
                .cloned()
                .collect();
            Some((table.clone(), columns))
        };
        Self(wanted.iter().filter_map(present).collect())
    }

    fn tables(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The tables with their columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(table, columns)| (table.as_str(), columns.as_slice()))
    }
}
