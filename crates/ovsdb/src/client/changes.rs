//! What changed between two states of a database.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::database::Version;
use crate::data::Row;

/// What happened to one row between two states. Never is neither side there, nor are both equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The row before, if it was there.
    pub old: Option<Arc<Row>>,
    /// The row after, if it is there.
    pub new: Option<Arc<Row>>,
}

impl Change {
    pub(super) fn between(old: Option<&Arc<Row>>, new: Option<&Arc<Row>>) -> Self {
        Self {
            old: old.cloned(),
            new: new.cloned(),
        }
    }
}

/// All rows that differ between two states of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// The state that the changes lead to.
    pub version: Version,
    /// Changes by table and row; no table is without changes.
    pub tables: BTreeMap<String, BTreeMap<Uuid, Change>>,
}

impl ChangeSet {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The changes of one table in order of the rows' identities.
    pub fn table(&self, table: &str) -> impl Iterator<Item = (Uuid, &Change)> {
        self.tables
            .get(table)
            .into_iter()
            .flatten()
            .map(|(uuid, change)| (*uuid, change))
    }

    /// All changes in order of tables and rows.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Uuid, &Change)> {
        self.tables.iter().flat_map(|(table, rows)| {
            rows.iter()
                .map(|(uuid, change)| (table.as_str(), *uuid, change))
        })
    }

    /// Appends changes that start where these end: what cancels out vanishes.
    pub(super) fn merge(&mut self, later: Self) {
        self.version = later.version;
        for (table, rows) in later.tables {
            let merged = self.tables.entry(table).or_default();
            for (uuid, change) in rows {
                merge_row(merged, uuid, change);
            }
        }
        self.tables.retain(|_, rows| !rows.is_empty());
    }
}

fn merge_row(rows: &mut BTreeMap<Uuid, Change>, uuid: Uuid, later: Change) {
    let Some(earlier) = rows.remove(&uuid) else {
        rows.insert(uuid, later);
        return;
    };
    if earlier.old != later.new {
        rows.insert(
            uuid,
            Change {
                old: earlier.old,
                new: later.new,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(old: Option<&str>, new: Option<&str>) -> ChangeSet {
        let row = |name: &str| Arc::new(Row::new().with("name", name));
        let (old, new) = (old.map(row), new.map(row));
        let rows = BTreeMap::from([(Uuid::nil(), Change { old, new })]);
        ChangeSet {
            version: Version::default(),
            tables: BTreeMap::from([("T".to_owned(), rows)]),
        }
    }

    #[test]
    fn merged_changes_lead_from_the_first_state_to_the_last() {
        let mut changes = set(Some("a"), Some("b"));
        changes.merge(set(Some("b"), Some("c")));
        assert_eq!(changes, set(Some("a"), Some("c")));
        changes.merge(set(Some("c"), None));
        assert_eq!(changes, set(Some("a"), None));
    }

    #[test]
    fn changes_that_cancel_out_vanish() {
        let mut changes = set(None, Some("a"));
        changes.merge(set(Some("a"), None));
        assert!(changes.is_empty());
    }
}
