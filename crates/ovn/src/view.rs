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
    /// are not managed are passed over.
    pub fn update<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (&'a str, Uuid, Option<&'a ovsdb::Row>)>,
    ) {
        let mut affected = BTreeSet::new();
        for (table, uuid, row) in changes {
            let Some(managed) = managed::table(table) else {
                continue;
            };
            affected.extend(self.forget(uuid));
            if let Some(row) = row {
                affected.extend(self.remember(uuid, managed, row));
            }
        }
        // Named rows first: the keys of the others are made from their parents'.
        for uuid in &affected {
            self.assign_key(*uuid);
        }
        for uuid in &affected {
            self.assign_key(*uuid);
        }
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

    /// Takes `uuid` out of every index; returns it and its children.
    fn forget(&mut self, uuid: Uuid) -> BTreeSet<Uuid> {
        let Some(seen) = self.seen.remove(&uuid) else {
            return BTreeSet::from([uuid]);
        };
        if let Some(key) = &seen.key {
            remove_from(&mut self.by_key, key, &uuid);
        }
        if let Some(owner) = &seen.owner {
            remove_from(&mut self.by_owner, owner, &uuid);
        }
        for (child, column) in &seen.children {
            remove_from(&mut self.parents, child, &(uuid, *column));
        }
        seen.children
            .iter()
            .map(|(child, _)| *child)
            .chain([uuid])
            .collect()
    }

    /// Puts `uuid` into the indexes that need no key; returns it and its children.
    fn remember(
        &mut self,
        uuid: Uuid,
        managed: &'static Managed,
        row: &ovsdb::Row,
    ) -> BTreeSet<Uuid> {
        let seen = Seen::new(managed, row);
        for (child, column) in &seen.children {
            self.parents
                .entry(*child)
                .or_default()
                .insert((uuid, *column));
        }
        if let Some(owner) = &seen.owner {
            self.by_owner.entry(owner.clone()).or_default().insert(uuid);
        }
        let affected = seen
            .children
            .iter()
            .map(|(child, _)| *child)
            .chain([uuid])
            .collect();
        self.seen.insert(uuid, seen);
        affected
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
