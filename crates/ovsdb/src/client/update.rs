//! Updates of tables in the three forms that servers send, and what they do to rows.
//!
//! - `update` (RFC 7047 section 4.1.6): old and new rows;
//! - `update2` and `update3` (ovsdb-server(7) sections 4.1.14 and 4.1.17): new rows without
//!   columns that have their default value, and differences.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use uuid::Uuid;

use crate::{
    data::{Atom, Datum, Row},
    schema::{AtomicType, ColumnType, Max},
};

/// What happened to rows, by table, in the order of the message.
#[derive(Debug)]
pub(super) struct Updates(pub(super) Vec<(String, Vec<(Uuid, RowUpdate)>)>);

/// What happened to one row.
#[derive(Debug)]
pub(super) enum RowUpdate {
    /// It is new.
    Insert(Row),
    /// It is new, or changed to this.
    Replace(Row),
    /// Some columns changed by these differences.
    Modify(Row),
    /// It is gone.
    Delete,
}

/// The first form, from `update` and the reply to `monitor`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct FullUpdates(Entries<String, Entries<Uuid, FullUpdate>>);

#[derive(Debug, Deserialize)]
struct FullUpdate {
    #[serde(default)]
    new: Option<Row>,
}

/// The second form, from `update2`, `update3` and the replies to `monitor_cond` and
/// `monitor_cond_since`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct DiffUpdates(Entries<String, Entries<Uuid, DiffUpdate>>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DiffUpdate {
    Initial(Row),
    Insert(Row),
    Modify(Row),
    Delete(IgnoredAny),
}

impl From<FullUpdate> for RowUpdate {
    fn from(update: FullUpdate) -> Self {
        update.new.map_or(Self::Delete, Self::Replace)
    }
}

impl From<DiffUpdate> for RowUpdate {
    fn from(update: DiffUpdate) -> Self {
        match update {
            DiffUpdate::Initial(row) | DiffUpdate::Insert(row) => Self::Insert(row),
            DiffUpdate::Modify(row) => Self::Modify(row),
            DiffUpdate::Delete(IgnoredAny) => Self::Delete,
        }
    }
}

impl From<FullUpdates> for Updates {
    fn from(updates: FullUpdates) -> Self {
        updates.0.into()
    }
}

impl From<DiffUpdates> for Updates {
    fn from(updates: DiffUpdates) -> Self {
        updates.0.into()
    }
}

impl<U: Into<RowUpdate>> From<Entries<String, Entries<Uuid, U>>> for Updates {
    fn from(tables: Entries<String, Entries<Uuid, U>>) -> Self {
        let rows = |rows: Entries<Uuid, U>| {
            rows.0
                .into_iter()
                .map(|(uuid, update)| (uuid, update.into()))
                .collect()
        };
        Self(
            tables
                .0
                .into_iter()
                .map(|(table, updates)| (table, rows(updates)))
                .collect(),
        )
    }
}

/// A JSON object as a list: rows are put in order once, where they are kept.
#[derive(Debug)]
struct Entries<K, V>(Vec<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Entries<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for EntriesVisitor<K, V> {
    type Value = Entries<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

/// Applies a difference as `update2` sends them: of columns with at most one value it is the new
/// value, of sets it is the members that only one side has, of maps the pairs that only one side
/// has, with the new value where both sides have the key.
pub(super) fn apply_difference(kind: &ColumnType, old: &Datum, difference: Datum) -> Datum {
    if kind.max == Max::Count(1) {
        return difference;
    }
    match (old, difference) {
        (Datum::Set(old), Datum::Set(difference)) if !kind.is_map() => {
            Datum::Set(symmetric(old, difference))
        }
        (Datum::Map(old), Datum::Map(difference)) => Datum::Map(by_key(old, difference)),
        // an absent map is the empty set
        (Datum::Set(_), Datum::Map(difference)) => Datum::Map(difference),
        (Datum::Set(_) | Datum::Map(_), difference @ Datum::Set(_)) => difference,
    }
}

fn symmetric(old: &BTreeSet<Atom>, difference: BTreeSet<Atom>) -> BTreeSet<Atom> {
    let mut new = old.clone();
    for atom in difference {
        if !new.remove(&atom) {
            new.insert(atom);
        }
    }
    new
}

fn by_key(old: &BTreeMap<Atom, Atom>, difference: BTreeMap<Atom, Atom>) -> BTreeMap<Atom, Atom> {
    let mut new = old.clone();
    for (key, value) in difference {
        if new.get(&key) == Some(&value) {
            new.remove(&key);
        } else {
            new.insert(key, value);
        }
    }
    new
}

/// Makes reals of the integers in a column of reals: servers print whole reals without a point.
pub(super) fn restore_reals(kind: &ColumnType, datum: Datum) -> Datum {
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
