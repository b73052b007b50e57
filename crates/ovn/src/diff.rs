//! The difference between the rows that should be and the rows that are.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::Datum;

use crate::key::RowKey;
use crate::row::{Link, Row, Rows};

/// One element of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Insert { key: RowKey, row: Row },
    Update { key: RowKey, update: Update },
    Delete { key: RowKey, row: Row },
}

/// How one row becomes another of the same table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// New values, defaults included, of the columns that change.
    pub columns: BTreeMap<&'static str, Datum>,
    /// The values that the new ones replace: a transaction holds only while these are current.
    pub replaced: BTreeMap<&'static str, Datum>,
    pub linked: BTreeSet<Link>,
    pub unlinked: BTreeSet<Link>,
}

// === impl Change ===

impl Change {
    pub const fn key(&self) -> &RowKey {
        match self {
            Self::Insert { key, .. } | Self::Update { key, .. } | Self::Delete { key, .. } => key,
        }
    }
}

// === impl Update ===

impl Update {
    fn between(desired: &Row, actual: &Row) -> Self {
        let names: BTreeSet<&'static str> = desired
            .columns()
            .keys()
            .chain(actual.columns().keys())
            .copied()
            .collect();
        let differing = names
            .into_iter()
            .filter(|name| desired.columns().get(name) != actual.columns().get(name));
        let mut update = Self {
            linked: desired
                .links()
                .difference(actual.links())
                .cloned()
                .collect(),
            unlinked: actual
                .links()
                .difference(desired.links())
                .cloned()
                .collect(),
            ..Self::default()
        };
        for name in differing {
            if let Some((new, old)) = desired.datum(name).zip(actual.datum(name)) {
                update.columns.insert(name, new);
                update.replaced.insert(name, old);
            }
        }
        update
    }

    fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.linked.is_empty() && self.unlinked.is_empty()
    }
}

/// The changes that make `actual` equal to `desired`; none when they are equal.
pub fn diff(desired: &Rows, actual: &Rows) -> Vec<Change> {
    let surplus = actual.iter().filter(|(key, _)| !desired.contains_key(key));
    let deletes = surplus.map(|(key, row)| Change::Delete {
        key: key.clone(),
        row: row.clone(),
    });
    let others = desired
        .iter()
        .filter_map(|(key, row)| match actual.get(key) {
            None => Some(Change::Insert {
                key: key.clone(),
                row: row.clone(),
            }),
            Some(present) => {
                let update = Update::between(row, present);
                (!update.is_empty()).then(|| Change::Update {
                    key: key.clone(),
                    update,
                })
            }
        });
    deletes.chain(others).collect()
}

/// What `rows` become by `changes`: the meaning of a [`Change`].
pub fn apply(rows: &mut Rows, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Insert { key, row } => {
                rows.insert(key.clone(), row.clone());
            }
            Change::Delete { key, .. } => {
                rows.remove(key);
            }
            Change::Update { key, update } => {
                if let Some(row) = rows.get_mut(key) {
                    update_row(row, update);
                }
            }
        }
    }
}

fn update_row(row: &mut Row, update: &Update) {
    for (column, value) in &update.columns {
        row.set_datum(column, value.clone());
    }
    for link in &update.unlinked {
        row.remove_link(link);
    }
    for link in &update.linked {
        row.add_link(link.clone());
    }
}
