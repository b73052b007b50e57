//! Changes become OVSDB operations: the one place where keys turn into UUIDs.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::{Atom, Condition, Datum, Mutation, Mutator, Operation};
use uuid::Uuid;

use crate::diff::{Change, Update};
use crate::key::RowKey;
use crate::row::{Link, Row};
use crate::view::View;

/// A change refers to a row that is neither in the database nor among the changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{row} needs {missing}, which does not exist yet")]
pub struct Unresolved {
    pub row: Box<RowKey>,
    pub missing: Box<RowKey>,
}

/// The operations of one transaction that performs `changes` on the database seen by `view`.
///
/// `fresh` gives new UUIDs. What was read is guarded by `wait` operations, so the transaction
/// fails as a whole when the database has moved on. Maps need no guard: only the entries that
/// differ are written, each only in the place of the entry that was read.
///
/// # Errors
/// When a parent is missing: plan its owner first, or together with this one.
pub fn operations(
    changes: &[Change],
    view: &View,
    fresh: impl FnMut() -> Uuid,
) -> Result<Vec<Operation>, Unresolved> {
    let mut steps = Steps::new(Resolver::new(changes, view, fresh));
    for change in changes {
        let uuid = steps.resolver.resolve(change.key(), change.key())?;
        match change {
            Change::Insert { key, row } => {
                steps.guards.extend(absent_guard(key, row));
                steps.inserts.push(insert(uuid, row));
                steps.link(key, uuid, Membership::Joins, row.links())?;
            }
            Change::Update { key, update } => {
                steps.guards.extend(unchanged_guard(key, uuid, update));
                steps.writes.extend(update_columns(key, uuid, update));
                steps.writes.extend(update_maps(key, uuid, update));
                steps.link(key, uuid, Membership::Leaves, &update.unlinked)?;
                steps.link(key, uuid, Membership::Joins, &update.linked)?;
            }
            Change::Delete { key, .. } if key.table().is_root => {
                steps.writes.push(delete(key, uuid));
            }
            Change::Delete { key, row } => {
                steps.link(key, uuid, Membership::Leaves, &steps.resolver.staying(row))?;
            }
        }
    }
    Ok(steps.in_order())
}

/// The parts of a transaction in the order in which they are performed.
struct Steps<'a> {
    resolver: Resolver<'a>,
    guards: Vec<Operation>,
    inserts: Vec<Operation>,
    memberships: BTreeMap<(&'static str, Uuid), Memberships>,
    writes: Vec<Operation>,
}

/// What happens to the columns of one parent: one mutation each, however many the children.
type Memberships = BTreeMap<(&'static str, Membership), BTreeSet<Uuid>>;

/// Leaving comes before joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Membership {
    Leaves,
    Joins,
}

/// UUIDs of rows that exist and of rows about to be inserted.
struct Resolver<'a> {
    view: &'a View,
    inserted: BTreeMap<&'a RowKey, Uuid>,
    deleted: BTreeSet<&'a RowKey>,
}

// === impl Steps ===

impl<'a> Steps<'a> {
    const fn new(resolver: Resolver<'a>) -> Self {
        Self {
            resolver,
            guards: Vec::new(),
            inserts: Vec::new(),
            memberships: BTreeMap::new(),
            writes: Vec::new(),
        }
    }

    fn link(
        &mut self,
        key: &RowKey,
        uuid: Uuid,
        membership: Membership,
        links: &BTreeSet<Link>,
    ) -> Result<(), Unresolved> {
        for Link { parent, column } in links {
            let row = (parent.table().name, self.resolver.resolve(parent, key)?);
            let memberships = self.memberships.entry(row).or_default();
            memberships
                .entry((column, membership))
                .or_default()
                .insert(uuid);
        }
        Ok(())
    }

    /// Rows must be there before they are referred to, and be left before they are deleted.
    fn in_order(self) -> Vec<Operation> {
        let memberships = self
            .memberships
            .into_iter()
            .map(|((table, uuid), columns)| {
                let mutations = columns.into_iter().map(|((column, membership), children)| {
                    Mutation::new(column, membership.mutator(), Datum::set(children))
                });
                Operation::Mutate {
                    table: table.to_owned(),
                    condition: Condition::uuid(uuid),
                    mutations: mutations.collect(),
                }
            });
        let before = self.guards.into_iter().chain(self.inserts);
        before.chain(memberships).chain(self.writes).collect()
    }
}

// === impl Membership ===

impl Membership {
    const fn mutator(self) -> Mutator {
        match self {
            Self::Leaves => Mutator::Delete,
            Self::Joins => Mutator::Insert,
        }
    }
}

// === impl Resolver ===

impl<'a> Resolver<'a> {
    fn new(changes: &'a [Change], view: &'a View, mut fresh: impl FnMut() -> Uuid) -> Self {
        let mut resolver = Self {
            view,
            inserted: BTreeMap::new(),
            deleted: BTreeSet::new(),
        };
        for change in changes {
            match change {
                Change::Insert { key, .. } => {
                    resolver.inserted.insert(key, fresh());
                }
                Change::Delete { key, .. } => {
                    resolver.deleted.insert(key);
                }
                Change::Update { .. } => {}
            }
        }
        resolver
    }

    fn resolve(&self, key: &RowKey, needed_by: &RowKey) -> Result<Uuid, Unresolved> {
        let inserted = self.inserted.get(key).copied();
        inserted
            .or_else(|| self.view.uuid(key))
            .ok_or_else(|| Unresolved {
                row: Box::new(needed_by.clone()),
                missing: Box::new(key.clone()),
            })
    }

    /// The links to parents that stay: a row goes with the others without being asked.
    fn staying(&self, row: &Row) -> BTreeSet<Link> {
        let stays = |link: &&Link| !self.deleted.contains(&link.parent);
        row.links().iter().filter(stays).cloned().collect()
    }
}

fn wire_row<'a>(columns: impl IntoIterator<Item = (&'a &'static str, &'a Datum)>) -> ovsdb::Row {
    columns
        .into_iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn insert(uuid: Uuid, row: &Row) -> Operation {
    Operation::Insert {
        table: row.table().name.to_owned(),
        uuid: Some(uuid),
        row: wire_row(row.columns()),
    }
}

fn delete(key: &RowKey, uuid: Uuid) -> Operation {
    Operation::Delete {
        table: key.table().name.to_owned(),
        condition: Condition::uuid(uuid),
    }
}

/// Sets the columns that are no maps.
fn update_columns(key: &RowKey, uuid: Uuid, update: &Update) -> Option<Operation> {
    let row = wire_row(sets(&update.columns));
    (!row.is_empty()).then(|| Operation::Update {
        table: key.table().name.to_owned(),
        condition: Condition::uuid(uuid),
        row,
    })
}

/// Changes the entries of maps that differ, so that one entry of thousands costs one entry.
fn update_maps(key: &RowKey, uuid: Uuid, update: &Update) -> Option<Operation> {
    let mutations: Vec<Mutation> = update
        .columns
        .iter()
        .filter_map(|(column, new)| Some((column, new, update.replaced.get(column)?)))
        .flat_map(|(column, new, old)| map_mutations(column, new, old))
        .collect();
    (!mutations.is_empty()).then(|| Operation::Mutate {
        table: key.table().name.to_owned(),
        condition: Condition::uuid(uuid),
        mutations,
    })
}

/// An entry is deleted only with the value that was read, and inserted only where its key is free
/// (RFC 7047, section 5.1).
fn map_mutations(column: &str, new: &Datum, old: &Datum) -> Vec<Mutation> {
    let (Datum::Map(new), Datum::Map(old)) = (new, old) else {
        return Vec::new();
    };
    let surplus = entries_beyond(old, new);
    let missing = entries_beyond(new, old);
    [(Mutator::Delete, surplus), (Mutator::Insert, missing)]
        .into_iter()
        .filter(|(_, entries)| !entries.is_empty())
        .map(|(mutator, entries)| Mutation::new(column, mutator, Datum::Map(entries)))
        .collect()
}

/// The entries of `map` that `other` has not, or has with another value.
fn entries_beyond(
    map: &BTreeMap<Atom, Atom>,
    other: &BTreeMap<Atom, Atom>,
) -> BTreeMap<Atom, Atom> {
    map.iter()
        .filter(|(key, value)| other.get(key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn sets<'a>(
    columns: &'a BTreeMap<&'static str, Datum>,
) -> impl Iterator<Item = (&'a &'static str, &'a Datum)> {
    columns
        .iter()
        .filter(|(_, value)| matches!(value, Datum::Set(_)))
}

/// Holds while the replaced columns have the values that were read.
fn unchanged_guard(key: &RowKey, uuid: Uuid, update: &Update) -> Option<Operation> {
    let read = wire_row(sets(&update.replaced));
    (!read.is_empty()).then(|| Operation::Wait {
        table: key.table().name.to_owned(),
        condition: Condition::uuid(uuid),
        columns: read.iter().map(|(name, _)| name.to_owned()).collect(),
        until: ovsdb::Until::Equal,
        rows: vec![read],
        timeout_ms: Some(0),
    })
}

/// Holds while no row has this name: for tables in which the schema would allow two.
fn absent_guard(key: &RowKey, row: &Row) -> Option<Operation> {
    let table = row.table();
    let named = row
        .columns()
        .get("name")
        .filter(|_| table.is_root && table.indexes.is_empty())?;
    Some(Operation::Wait {
        table: key.table().name.to_owned(),
        condition: Condition::equal("name", named.clone()),
        columns: vec!["name".to_owned()],
        until: ovsdb::Until::Equal,
        rows: Vec::new(),
        timeout_ms: Some(0),
    })
}
