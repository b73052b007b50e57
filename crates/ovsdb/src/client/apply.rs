//! Updates applied to a database: checked as a whole first, so that a bad one leaves no trace.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use uuid::Uuid;

use super::{
    changes::{Change, ChangeSet},
    database::{Database, Rows},
    error::Error,
    monitor::Monitored,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::client::options::Columns;

    fn schema() -> Arc<Schema> {
        let set = |max| json!({ "type": { "key": "string", "min": 0, "max": max } });
        let map = json!({ "key": "string", "value": "string", "min": 0, "max": "unlimited" });
        let columns = json!({
            "name": { "type": "string" },
            "one": set(json!(1)),
            "set": set(json!("unlimited")),
            "map": { "type": map },
            "rate": { "type": { "key": "real" } },
        });
        let text = json!({ "name": "D", "tables": { "T": { "columns": columns } } }).to_string();
        Arc::new(Schema::parse(&text).unwrap())
    }

    fn database(rows: Vec<(Uuid, Row)>) -> Database {
        let schema = schema();
        let wanted = BTreeMap::from([("T".to_owned(), Columns::All)]);
        let monitored = Monitored::new(&schema, &wanted);
        let insert = |(uuid, row)| (uuid, RowUpdate::Insert(row));
        let updates = rows.into_iter().map(insert).collect();
        Database::load(schema, &monitored, Updates(vec![("T".to_owned(), updates)])).unwrap()
    }

    fn updates(update: RowUpdate) -> Updates {
        Updates(vec![("T".to_owned(), vec![(Uuid::nil(), update)])])
    }

    /// The row that a modification makes of another.
    fn modified(old: Row, difference: Row) -> Row {
        let mut database = database(vec![(Uuid::nil(), old)]);
        let updates = updates(RowUpdate::Modify(difference));
        database.check(&updates).unwrap();
        database.apply(updates, Record::Nothing);
        Row::clone(database.row("T", Uuid::nil()).unwrap())
    }

    #[test]
    fn a_set_changes_by_the_members_that_only_one_side_has() {
        let old = Row::new().with("set", "a");
        let difference = Row::new().with("set", Datum::set(["a", "unknown"]));
        assert_eq!(modified(old, difference), Row::new().with("set", "unknown"));
    }

    #[test]
    fn an_optional_value_changes_to_the_difference() {
        let old = Row::new().with("one", "a");
        assert_eq!(
            modified(old.clone(), Row::new().with("one", "b")),
            Row::new().with("one", "b")
        );
        assert_eq!(
            modified(old, Row::new().with("one", Datum::empty())),
            Row::new()
        );
    }

    #[test]
    fn a_value_that_becomes_the_default_is_absent() {
        let old = Row::new().with("name", "a").with("set", "b");
        let difference = Row::new().with("name", "").with("set", "b");
        assert_eq!(modified(old, difference), Row::new());
    }

    #[test]
    fn a_whole_number_in_a_column_of_reals_is_a_real() {
        let new = modified(Row::new(), Row::new().with("rate", 2));
        assert_eq!(new, Row::new().with("rate", 2.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (absent, present) = (database(vec![]), database(vec![(Uuid::nil(), Row::new())]));
        let insert = updates(RowUpdate::Insert(Row::new()));
        assert!(matches!(
            present.check(&insert),
            Err(Error::Inconsistent { .. })
        ));
        let modify = updates(RowUpdate::Modify(Row::new()));
        assert!(matches!(
            absent.check(&modify),
            Err(Error::Inconsistent { .. })
        ));
        let delete = updates(RowUpdate::Delete);
        assert!(matches!(
            absent.check(&delete),
            Err(Error::Inconsistent { .. })
        ));
        let column = updates(RowUpdate::Insert(Row::new().with("other", 1)));
        assert!(matches!(
            absent.check(&column),
            Err(Error::UnknownColumn { .. })
        ));
        let table = Updates(vec![("Other".to_owned(), vec![])]);
        assert!(matches!(
            absent.check(&table),
            Err(Error::UnknownTable { .. })
        ));
    }

    fn row() -> impl Strategy<Value = Row> {
        let word = || "[a-d]{1,2}";
        let set = proptest::collection::btree_set(word(), 0..4).prop_map(Datum::set);
        let map = proptest::collection::btree_map(word(), word(), 0..4).prop_map(Datum::map);
        (word(), set, map).prop_map(|(name, set, map)| {
            Row::new()
                .with("name", name)
                .with("set", set)
                .with("map", map)
        })
    }

    /// The difference of two rows in which all columns are present, as a server sends it.
    fn difference(old: &Row, new: &Row) -> Row {
        let changed = new
            .iter()
            .filter(|(column, datum)| old.datum(column) != *datum);
        let difference = |(column, new): (&str, &Datum)| match (old.datum(column), new) {
            (Datum::Set(old), Datum::Set(new)) if column == "set" => (
                column.to_owned(),
                Datum::Set(old.symmetric_difference(new).cloned().collect()),
            ),
            (Datum::Map(old), Datum::Map(new)) => {
                let gone = old.iter().filter(|(key, _)| !new.contains_key(key));
                let other = new
                    .iter()
                    .filter(|(key, value)| old.get(key) != Some(value));
                let pairs = gone
                    .chain(other)
                    .map(|(key, value)| (key.clone(), value.clone()));
                (column.to_owned(), Datum::map(pairs))
            }
            (Datum::Set(_) | Datum::Map(_), new) => (column.to_owned(), new.clone()),
        };
        changed.map(difference).collect()
    }

    proptest! {
        #[test]
        fn the_difference_of_two_rows_leads_from_one_to_the_other(old in row(), new in row()) {
            let difference = difference(&old, &new);
            prop_assert_eq!(modified(old, difference), normal(schema().table("T").unwrap(), new));
        }

        #[test]
        fn recorded_changes_are_what_differs(
            old in proptest::collection::btree_map(0_u128..4, row(), 0..4),
            new in proptest::collection::btree_map(0_u128..4, proptest::option::of(row()), 0..4),
        ) {
            let rows = |(uuid, row)| (Uuid::from_u128(uuid), row);
            let before = database(old.into_iter().map(rows).collect());
            let mut after = before.clone();
            for (uuid, row) in new {
                let uuid = Uuid::from_u128(uuid);
                let exists = before.row("T", uuid).is_some();
                let update = match row {
                    Some(row) => RowUpdate::Replace(row),
                    None if exists => RowUpdate::Delete,
                    None => continue,
                };
                let updates = Updates(vec![("T".to_owned(), vec![(uuid, update)])]);
                let unchanged = after.clone();
                let changes = after.apply(updates, Record::Changes);
                prop_assert_eq!(changes, unchanged.difference(&after));
            }
        }
    }
}
