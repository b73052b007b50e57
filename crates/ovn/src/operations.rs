//! Changes become OVSDB operations: the one place where keys turn into UUIDs.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::{Condition, Datum, Mutation, Mutator, Operation};
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
/// fails as a whole when the database has moved on.
///
/// # Errors
/// When a parent is missing: plan its owner first, or together with this one.
pub fn operations(
    changes: &[Change],
    view: &View,
    fresh: impl FnMut() -> Uuid,
) -> Result<Vec<Operation>, Unresolved> {
    let resolver = Resolver::new(changes, view, fresh);
    let mut guards = Vec::new();
    let mut inserts = Vec::new();
    let mut writes = Vec::new();
    for change in changes {
        let uuid = resolver.resolve(change.key(), change.key())?;
        match change {
            Change::Insert { key, row } => {
                guards.extend(absent_guard(key, row));
                inserts.push(insert(uuid, row));
                writes.extend(resolver.link_ops(key, uuid, row.links(), Mutator::Insert)?);
            }
            Change::Update { key, update } => {
                guards.extend(unchanged_guard(key, uuid, update));
                writes.extend(update_columns(key, uuid, update));
                writes.extend(resolver.link_ops(key, uuid, &update.unlinked, Mutator::Delete)?);
                writes.extend(resolver.link_ops(key, uuid, &update.linked, Mutator::Insert)?);
            }
            Change::Delete { key, row } => writes.extend(resolver.delete_ops(key, uuid, row)?),
        }
    }
    guards.extend(inserts);
    guards.extend(writes);
    Ok(guards)
}

/// UUIDs of rows that exist and of rows about to be inserted.
struct Resolver<'a> {
    view: &'a View,
    inserted: BTreeMap<&'a RowKey, Uuid>,
    deleted: BTreeSet<&'a RowKey>,
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

    /// One mutation of the parent's column for each link.
    fn link_ops(
        &self,
        key: &RowKey,
        uuid: Uuid,
        links: &BTreeSet<Link>,
        mutator: Mutator,
    ) -> Result<Vec<Operation>, Unresolved> {
        let mutate = |link: &Link| {
            let parent = self.resolve(&link.parent, key)?;
            Ok(Operation::Mutate {
                table: link.parent.table().name.to_owned(),
                condition: Condition::uuid(parent),
                mutations: vec![Mutation::new(link.column, mutator, Datum::uuid(uuid))],
            })
        };
        links.iter().map(mutate).collect()
    }

    /// A root row is deleted; another is taken out of its parents, unless they go with it.
    fn delete_ops(
        &self,
        key: &RowKey,
        uuid: Uuid,
        row: &Row,
    ) -> Result<Vec<Operation>, Unresolved> {
        let table = key.table();
        if table.is_root {
            let condition = Condition::uuid(uuid);
            return Ok(vec![Operation::Delete {
                table: table.name.to_owned(),
                condition,
            }]);
        }
        let staying = |link: &&Link| !self.deleted.contains(&link.parent);
        let links = row.links().iter().filter(staying).cloned().collect();
        self.link_ops(key, uuid, &links, Mutator::Delete)
    }
}

fn wire_row(columns: &BTreeMap<&'static str, Datum>) -> ovsdb::Row {
    columns
        .iter()
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

fn update_columns(key: &RowKey, uuid: Uuid, update: &Update) -> Option<Operation> {
    (!update.columns.is_empty()).then(|| Operation::Update {
        table: key.table().name.to_owned(),
        condition: Condition::uuid(uuid),
        row: wire_row(&update.columns),
    })
}

/// Holds while the replaced columns have the values that were read.
fn unchanged_guard(key: &RowKey, uuid: Uuid, update: &Update) -> Option<Operation> {
    (!update.replaced.is_empty()).then(|| Operation::Wait {
        table: key.table().name.to_owned(),
        condition: Condition::uuid(uuid),
        columns: update
            .replaced
            .keys()
            .map(|name| (*name).to_owned())
            .collect(),
        until: ovsdb::Until::Equal,
        rows: vec![wire_row(&update.replaced)],
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
