//! The rows of a replica, by meaning and by owner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Owner;
use ovsdb::{Atom, Datum};
use uuid::Uuid;

use crate::column::ColumnValue;
use crate::few::Few;
use crate::key::RowKey;
use crate::managed::{self, Managed};
use crate::nb;
use crate::owned;
use crate::row::{Link, Row, Rows};

/// An index over the managed tables of a replica, kept up to date by its change sets.
#[derive(Debug, Default)]
pub struct View {
    seen: BTreeMap<Uuid, Seen>,
    by_key: BTreeMap<RowKey, Few<Uuid>>,
    by_owner: BTreeMap<Owner, Few<Uuid>>,
    parents: BTreeMap<Uuid, Few<Place>>,
}

#[derive(Debug)]
struct Seen {
    managed: &'static Managed,
    row: Arc<ovsdb::Row>,
    owner: Option<Owner>,
    is_adoptable: bool,
    key: Option<RowKey>,
}

/// A row and one of its columns that refers to others.
type Place = (Uuid, &'static str);

// === impl View ===

impl View {
    /// Takes over the new contents of rows; `None` for a row that is gone. Rows of tables that
    /// are not managed are passed over. Returns the owners whose rows or links changed.
    pub fn update<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (&'a str, Uuid, Option<&'a Arc<ovsdb::Row>>)>,
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
        for uuid in self.by_owner.get(owner).into_iter().flat_map(Few::iter) {
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

    /// The UUID of the row with that meaning: of ours, or if there is none, of somebody's.
    pub fn uuid(&self, key: &RowKey) -> Option<Uuid> {
        let uuids = self.by_key.get(key)?;
        let ours = uuids.iter().find(|uuid| self.is_owned(**uuid));
        let adoptable = || uuids.iter().find(|uuid| self.is_adoptable(**uuid));
        let found = ours.or_else(adoptable).or_else(|| uuids.iter().next());
        found.copied()
    }

    /// The row with that meaning that has no owner and may get one. There is none where a row of
    /// ours has the meaning.
    pub fn adoptable(&self, key: &RowKey) -> Option<Row> {
        let uuid = self.uuid(key).filter(|uuid| self.is_adoptable(*uuid))?;
        self.row(uuid).map(|(_, row)| row)
    }

    /// The ACLs of a switch or a group of ports that have no owner and may get one.
    pub fn adoptable_acls(&self, parent: &RowKey) -> impl Iterator<Item = (RowKey, Row)> {
        let is_of_parent =
            |key: &&RowKey| matches!(key, RowKey::Acl { parent: it, .. } if **it == *parent);
        let from = self.by_key.range(RowKey::first_acl(parent.clone())..);
        let keys = from.map(|(key, _)| key).take_while(is_of_parent);
        keys.filter_map(|key| Some((key.clone(), self.adoptable(key)?)))
    }

    /// Every row without an owner that may get one.
    pub fn all_adoptable(&self) -> impl Iterator<Item = (RowKey, Row)> {
        let adoptable = self.seen.iter().filter(|(_, seen)| seen.is_adoptable);
        adoptable.filter_map(|(uuid, _)| self.row(*uuid))
    }

    fn is_owned(&self, uuid: Uuid) -> bool {
        let seen = self.seen.get(&uuid);
        seen.is_some_and(|seen| seen.owner.is_some())
    }

    fn is_adoptable(&self, uuid: Uuid) -> bool {
        self.seen.get(&uuid).is_some_and(|seen| seen.is_adoptable)
    }

    fn row(&self, uuid: Uuid) -> Option<(RowKey, Row)> {
        let seen = self.seen.get(&uuid)?;
        Some((seen.key.clone()?, self.linked_row(uuid, seen)))
    }

    fn linked_row(&self, uuid: Uuid, seen: &Seen) -> Row {
        self.partial_row(uuid, seen, |_column| true)
    }

    /// The row with some of its columns, and its links.
    fn partial_row(&self, uuid: Uuid, seen: &Seen, wanted: impl Fn(&str) -> bool) -> Row {
        let mut row = Row::new(seen.managed.table);
        for (column, value) in seen.columns().filter(|(column, _)| wanted(column)) {
            row.set_datum(column, value.clone());
        }
        for (parent, column) in self.parents.get(&uuid).into_iter().flat_map(Few::iter) {
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
        let mut affected = BTreeSet::from([uuid]);
        for (child, column) in without(old.as_ref(), new.as_ref()) {
            remove_from(&mut self.parents, &child, &(uuid, column));
            affected.insert(child);
        }
        for (child, column) in without(new.as_ref(), old.as_ref()) {
            self.parents
                .entry(child)
                .or_default()
                .insert((uuid, column));
            affected.insert(child);
        }
        if old.as_ref().map(Seen::name) != new.as_ref().map(Seen::name) {
            let children = new.iter().flat_map(Seen::children);
            affected.extend(children.map(|(child, _)| child));
        }
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
        let is_in_key = |column: &str| RowKey::COLUMNS.contains(&column);
        let key = RowKey::of(&self.partial_row(uuid, seen, is_in_key));
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
        self.row.get("name")
    }

    fn columns(&self) -> impl Iterator<Item = (&'static str, &Datum)> {
        let columns = self.managed.columns.iter();
        columns.filter_map(|column| Some((*column, self.row.get(column)?)))
    }

    fn children(&self) -> impl Iterator<Item = (Uuid, &'static str)> {
        let columns = self.managed.children.iter();
        columns.flat_map(|column| {
            let atoms = atoms(self, column).into_iter().flatten();
            atoms.filter_map(|atom| Some((atom.as_uuid()?, *column)))
        })
    }

    fn new(managed: &'static Managed, row: &Arc<ovsdb::Row>) -> Self {
        let external_ids: BTreeMap<String, String> = row
            .get("external_ids")
            .and_then(ColumnValue::from_datum)
            .unwrap_or_default();
        let is_port = managed.table.name == nb::LOGICAL_SWITCH_PORT.name;
        let of_port = || owned::owner_of_port(row.str("name"), &external_ids);
        let owner = owned::owner(&external_ids);
        let owner = owner.or_else(|| is_port.then(of_port).flatten());
        Self {
            managed,
            row: Arc::clone(row),
            is_adoptable: owner.is_none() && owned::is_adoptable(&external_ids),
            owner,
            key: None,
        }
    }
}

/// The children of `one` that `other`, the same row at another time, does not have in that column.
/// Switches have thousands, so nothing is copied.
fn without(one: Option<&Seen>, other: Option<&Seen>) -> Vec<(Uuid, &'static str)> {
    let Some(one) = one else { return Vec::new() };
    let mut children = Vec::new();
    for column in one.managed.children {
        let mine = atoms(one, column);
        let theirs = other.and_then(|other| atoms(other, column));
        let surplus: Box<dyn Iterator<Item = &Atom>> = match (mine, theirs) {
            (None, _) => Box::new(std::iter::empty()),
            (Some(mine), None) => Box::new(mine.iter()),
            (Some(mine), Some(theirs)) => Box::new(mine.difference(theirs)),
        };
        children.extend(surplus.filter_map(|atom| Some((atom.as_uuid()?, *column))));
    }
    children
}

fn atoms<'a>(seen: &'a Seen, column: &str) -> Option<&'a BTreeSet<Atom>> {
    match seen.row.get(column)? {
        Datum::Set(atoms) => Some(atoms),
        Datum::Map(_) => None,
    }
}

fn remove_from<K: Ord, V: Ord>(index: &mut BTreeMap<K, Few<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
