//! A typed table that tells what a write changed.

use std::collections::BTreeMap;

/// Rows of one kind by key.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
}

/// The row before and after a write that changed it.
#[derive(Debug)]
pub(crate) struct Edit<K, V> {
    pub(crate) key: K,
    pub(crate) old: Option<V>,
    pub(crate) new: Option<V>,
}

// === impl Table ===

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone, V: PartialEq + Clone> Table<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.rows.keys()
    }

    /// Writes or, without a value, removes a row; `None` when it was so already.
    pub(crate) fn write(&mut self, key: K, new: Option<V>) -> Option<Edit<K, V>> {
        let old = match new.clone() {
            Some(value) => self.rows.insert(key.clone(), value),
            None => self.rows.remove(&key),
        };
        (old != new).then_some(Edit { key, old, new })
    }
}
