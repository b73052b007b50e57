//! Updates of tables in the three forms that servers send.
//!
//! - `update` (RFC 7047 section 4.1.6): old and new rows;
//! - `update2` and `update3` (ovsdb-server(7) sections 4.1.14 and 4.1.17): new rows without
//!   columns that have their default value, and differences.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use uuid::Uuid;

use crate::data::Row;

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
