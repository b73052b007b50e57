//! The rows of a replica, by meaning and by owner.

use std::collections::{BTreeMap, BTreeSet};

use model::Owner;
use ovsdb::Datum;
use uuid::Uuid;

use crate::column::{Column, ColumnValue};
use crate::key::RowKey;
use crate::managed::{self, Managed};
use crate::owned;
use crate::row::{Link, Row, Rows};

/// An index over the managed tables of a replica, kept up to date by its change sets.
#[derive(Debug, Default)]
pub struct View {
    seen: BTreeMap<Uuid, Seen>,
    by_key: BTreeMap<RowKey, BTreeSet<Uuid>>,
    by_owner: BTreeMap<Owner, BTreeSet<Uuid>>,
    parents: BTreeMap<Uuid, BTreeSet<(Uuid, &'static str)>>,
}

#[derive(Debug)]
struct Seen {
    managed: &'static Managed,
    columns: BTreeMap<&'static str, Datum>,
    children: BTreeSet<(Uuid, &'static str)>,
    owner: Option<Owner>,
    key: Option<RowKey>,
}

// === impl View ===

impl View {
    /// Takes over the new contents of rows; `None` for a row that is gone. Rows of tables that
    /// are not managed are passed over. Returns the owners whose rows or links changed.
    pub fn update<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (&'a str, Uuid, Option<&'a ovsdb::Row>)>,
    ) -> BTreeSet<Owner> {
        let mut affected = BTreeSet::new();
        let mut owners = BTreeSet::new();
        for (table, uuid, row) in changes {
            let Some(managed) = managed::table(table) else {
                continue;
            };
            owners.extend(self.owner(uuid));
            affected.extend(self.replace(uuid, row.map(|row| Seen::new(managed, row))));
        }
        // Twice, since the keys of rows without a name are made from their parents'.
        for uuid in affected.iter().chain(&affected) {
            self.assign_key(*uuid);
        }
        owners.extend(affected.iter().filter_map(|uuid| self.owner(*uuid)));
        owners
    }

    /// The rows of `owner`. Where several rows have one meaning, the one with the lowest UUID
    /// counts.
    pub fn rows_of(&self, owner: &Owner) -> Rows {
        let mut rows = Rows::new();
        for uuid in self.by_owner.get(owner).into_iter().flatten() {
            if let Some((key, row)) = self.row(*uuid) {
                rows.entry(key).or_insert(row);
            }
        }
        rows
    }

    /// Every owner that has a row.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.by_owner.keys()
    }

    /// Every row with a meaning, those of others included.
    pub fn rows(&self) -> impl Iterator<Item = (Uuid, &RowKey, Option<&Owner>)> {
        self.seen
            .iter()
            .filter_map(|(uuid, seen)| Some((*uuid, seen.key.as_ref()?, seen.owner.as_ref())))
    }

    /// The UUID of the row with that meaning, whoever owns it.
    pub fn uuid(&self, key: &RowKey) -> Option<Uuid> {
        self.by_key
            .get(key)
            .and_then(|uuids| uuids.first())
            .copied()
    }

    fn row(&self, uuid: Uuid) -> Option<(RowKey, Row)> {
        let seen = self.seen.get(&uuid)?;
        Some((seen.key.clone()?, self.linked_row(uuid, seen)))
    }

    fn linked_row(&self, uuid: Uuid, seen: &Seen) -> Row {
        let mut row = Row::new(seen.managed.table);
        for (column, value) in &seen.columns {
            row.set_datum(column, value.clone());
        }
        for (parent, column) in self.parents.get(&uuid).into_iter().flatten() {
            let key = self.seen.get(parent).and_then(|parent| parent.key.clone());
            if let Some(parent) = key {
                row.add_link(Link { parent, column });
            }
        }
        row
    }

    fn owner(&self, uuid: Uuid) -> Option<Owner> {
        self.seen.get(&uuid)?.owner.clone()
    }

    /// Puts `new` in the place of what was seen of the row; returns the rows whose key or links
    /// may differ now: itself, and the children that came, went, or see their parent renamed.
    fn replace(&mut self, uuid: Uuid, new: Option<Seen>) -> BTreeSet<Uuid> {
        let old = self.seen.remove(&uuid);
        let children = |seen: &Option<Seen>| {
            seen.as_ref()
                .map(|seen| seen.children.clone())
                .unwrap_or_default()
        };
        let (before, after) = (children(&old), children(&new));
        for (child, column) in before.difference(&after) {
            remove_from(&mut self.parents, child, &(uuid, *column));
        }
        for (child, column) in after.difference(&before) {
            self.parents
                .entry(*child)
                .or_default()
                .insert((uuid, *column));
        }
        let renamed = old.as_ref().map(Seen::name) != new.as_ref().map(Seen::name);
        let affected: BTreeSet<Uuid> = if renamed {
            before
                .union(&after)
                .map(|(child, _)| *child)
                .chain([uuid])
                .collect()
        } else {
            before
                .symmetric_difference(&after)
                .map(|(child, _)| *child)
                .chain([uuid])
                .collect()
        };
        self.reindex(uuid, old, new);
        affected
    }

    fn reindex(&mut self, uuid: Uuid, old: Option<Seen>, new: Option<Seen>) {
        let (old_owner, key) = old.map_or((None, None), |old| (old.owner, old.key));
        if let Some(owner) = old_owner {
            remove_from(&mut self.by_owner, &owner, &uuid);
        }
        match new {
            Some(new) => {
                if let Some(owner) = &new.owner {
                    self.by_owner.entry(owner.clone()).or_default().insert(uuid);
                }
                self.seen.insert(uuid, Seen { key, ..new });
            }
            None => {
                if let Some(key) = key {
                    remove_from(&mut self.by_key, &key, &uuid);
                }
            }
        }
    }

    fn assign_key(&mut self, uuid: Uuid) {
        let Some(seen) = self.seen.get(&uuid) else {
            return;
        };
        let key = RowKey::of(&self.linked_row(uuid, seen));
        let Some(seen) = self.seen.get_mut(&uuid) else {
            return;
        };
        if seen.key == key {
            return;
        }
        if let Some(old) = std::mem::replace(&mut seen.key, key.clone()) {
            remove_from(&mut self.by_key, &old, &uuid);
        }
        if let Some(key) = key {
            self.by_key.entry(key).or_default().insert(uuid);
        }
    }
}

// === impl Seen ===

impl Seen {
    fn name(&self) -> Option<&Datum> {
        self.columns.get("name")
    }

    fn new(managed: &'static Managed, row: &ovsdb::Row) -> Self {
        let columns = managed
            .columns
            .iter()
            .filter_map(|column| Some((*column, row.get(column)?.clone())))
            .collect();
        let children = managed.children.iter().flat_map(|name| {
            let column = Column::<BTreeSet<Uuid>>::new(name);
            let uuids = column.read(row).unwrap_or_default();
            uuids.into_iter().map(|uuid| (uuid, *name))
        });
        let external_ids: Option<BTreeMap<String, String>> =
            row.get("external_ids").and_then(ColumnValue::from_datum);
        Self {
            managed,
            columns,
            children: children.collect(),
            owner: external_ids.and_then(|ids| owned::owner(&ids)),
            key: None,
        }
    }
}

fn remove_from<K: Ord, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
