//! Updates applied to a database: checked as a whole first, so that a bad one leaves no trace.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use uuid::Uuid;

use super::{
    changes::{Change, ChangeSet},
    database::{Database, Monitored, Rows},
    error::Error,
    update::{RowUpdate, Updates},
};
use crate::{
    data::{Atom, Datum, Row},
    schema::{AtomicType, ColumnType, Max, Schema, TableSchema},
};

/// Whether to note what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Changes,
    Nothing,
}

impl Database {
    /// A database with the rows of a first reply.
    pub(super) fn load(
        schema: Arc<Schema>,
        monitored: &Monitored,
        updates: Updates,
    ) -> Result<Self, Error> {
        let mut database = Self::new(schema, monitored);
        database.check(&updates)?;
        for (table, updates) in updates.0 {
            let Some((schema, rows)) = database.parts_mut(&table) else {
                continue;
            };
            let row = |(uuid, update)| match update {
                RowUpdate::Insert(row) | RowUpdate::Replace(row) => {
                    Some((uuid, Arc::new(normal(schema, row))))
                }
                RowUpdate::Modify(_) | RowUpdate::Delete => None,
            };
            // all at once builds the tree faster than one by one
            *rows = updates.into_iter().filter_map(row).collect();
        }
        Ok(database)
    }

    /// Whether updates fit: known tables and columns, new rows new and old rows there.
    pub(super) fn check(&self, updates: &Updates) -> Result<(), Error> {
        for (table, updates) in &updates.0 {
            let Some((schema, rows)) = self.parts(table) else {
                return Err(Error::UnknownTable {
                    table: table.clone(),
                });
            };
            for (uuid, update) in updates {
                check_row(schema, table, rows.contains_key(uuid), (*uuid, update))?;
            }
        }
        Ok(())
    }

    /// Applies updates that have been checked.
    pub(super) fn apply(&mut self, updates: Updates, record: Record) -> ChangeSet {
        let mut changes = ChangeSet::default();
        for (table, updates) in updates.0 {
            let Some((schema, rows)) = self.parts_mut(&table) else {
                continue;
            };
            let mut changed = BTreeMap::new();
            for (uuid, update) in updates {
                // without this second reference the row can be changed where it is
                let old = rows
                    .get(&uuid)
                    .filter(|_| record == Record::Changes)
                    .cloned();
                apply_row(schema, rows, uuid, update);
                let new = rows
                    .get(&uuid)
                    .filter(|_| record == Record::Changes)
                    .cloned();
                changed.insert(uuid, Change { old, new });
            }
            changed.retain(|_, change| change.old != change.new);
            if !changed.is_empty() {
                changes.tables.insert(table, changed);
            }
        }
        changes
    }
}

fn check_row(
    schema: &TableSchema,
    table: &str,
    exists: bool,
    (row, update): (Uuid, &RowUpdate),
) -> Result<(), Error> {
    let (fits, columns) = match update {
        RowUpdate::Insert(columns) => (!exists, Some(columns)),
        RowUpdate::Replace(columns) => (true, Some(columns)),
        RowUpdate::Modify(columns) => (exists, Some(columns)),
        RowUpdate::Delete => (exists, None),
    };
    if !fits {
        return Err(Error::Inconsistent {
            table: table.to_owned(),
            row,
        });
    }
    let mut names = columns.into_iter().flat_map(|columns| columns.0.keys());
    match names.find(|column| !schema.columns.contains_key(*column)) {
        Some(column) => Err(Error::UnknownColumn {
            table: table.to_owned(),
            column: column.clone(),
        }),
        None => Ok(()),
    }
}

fn apply_row(schema: &TableSchema, rows: &mut Rows, uuid: Uuid, update: RowUpdate) {
    match update {
        RowUpdate::Insert(row) | RowUpdate::Replace(row) => {
            rows.insert(uuid, Arc::new(normal(schema, row)));
        }
        RowUpdate::Modify(differences) => {
            if let Some(row) = rows.get_mut(&uuid) {
                modify(schema, Arc::make_mut(row), differences);
            }
        }
        RowUpdate::Delete => {
            rows.remove(&uuid);
        }
    }
}

/// The row without default values, as [`Row`] promises for replicas.
fn normal(schema: &TableSchema, mut row: Row) -> Row {
    row.0.retain(|column, datum| {
        let Some(column) = schema.columns.get(column) else {
            return false;
        };
        *datum = restore_reals(&column.kind, mem::take(datum));
        !column.kind.is_default(datum)
    });
    row
}

fn modify(schema: &TableSchema, row: &mut Row, differences: Row) {
    for (column, difference) in differences.0 {
        let Some(known) = schema.columns.get(&column) else {
            continue;
        };
        let difference = restore_reals(&known.kind, difference);
        let old = row.0.remove(&column).unwrap_or_default();
        let new = apply_difference(&known.kind, old, difference);
        if !known.kind.is_default(&new) {
            row.0.insert(column, new);
        }
    }
}

/// Applies a difference as `update2` sends them: of columns with at most one value it is the new
/// value, of sets it is the members that only one side has, of maps the pairs that only one side
/// has, with the new value where both sides have the key.
fn apply_difference(kind: &ColumnType, old: Datum, difference: Datum) -> Datum {
    if kind.max == Max::Count(1) {
        return difference;
    }
    match (old, difference) {
        (Datum::Set(old), Datum::Set(difference)) if !kind.is_map() => {
            Datum::Set(apply_to_set(old, difference))
        }
        (Datum::Map(old), Datum::Map(difference)) => Datum::Map(apply_to_map(old, difference)),
        // an absent map is the empty set
        (Datum::Set(_), Datum::Map(difference)) => Datum::Map(difference),
        (Datum::Set(_) | Datum::Map(_), difference @ Datum::Set(_)) => difference,
    }
}

fn apply_to_set(mut set: BTreeSet<Atom>, difference: BTreeSet<Atom>) -> BTreeSet<Atom> {
    for atom in difference {
        if !set.remove(&atom) {
            set.insert(atom);
        }
    }
    set
}

fn apply_to_map(
    mut map: BTreeMap<Atom, Atom>,
    difference: BTreeMap<Atom, Atom>,
) -> BTreeMap<Atom, Atom> {
    for (key, value) in difference {
        if map.get(&key) == Some(&value) {
            map.remove(&key);
        } else {
            map.insert(key, value);
        }
    }
    map
}

/// Makes reals of the integers in a column of reals: servers print whole reals without a point.
fn restore_reals(kind: &ColumnType, datum: Datum) -> Datum {
    let keys = kind.key.kind == AtomicType::Real;
    let values = kind
        .value
        .as_ref()
        .is_some_and(|value| value.kind == AtomicType::Real);
    if !keys && !values {
        return datum;
    }
    let restore = |is_real: bool, atom: Atom| match atom.as_real() {
        Some(value) if is_real => Atom::from(value),
        Some(_) | None => atom,
    };
    match datum {
        Datum::Set(atoms) => {
            Datum::Set(atoms.into_iter().map(|atom| restore(keys, atom)).collect())
        }
        Datum::Map(pairs) => Datum::Map(
            pairs
                .into_iter()
                .map(|(k, v)| (restore(keys, k), restore(values, v)))
                .collect(),
        ),
    }
}
