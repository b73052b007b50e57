//! What failed, so that each failure is told once.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::writer::WriteError;

/// What was last said of each write that failed.
#[derive(Debug)]
pub(crate) struct Failures<K>(BTreeMap<K, String>);

// === impl Failures ===

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Debug> Failures<K> {
    /// Takes note of how a write ended, and passes on what it brought.
    pub(crate) fn note<T>(&mut self, what: K, result: Result<T, WriteError>) -> Option<T> {
        let error = match result {
            Ok(done) => {
                self.0.remove(&what);
                return Some(done);
            }
            Err(error) => kit::error::Chain(&error).to_string(),
        };
        if self.0.get(&what) != Some(&error) {
            tracing::warn!(?what, error, "Could not write");
        }
        self.0.insert(what, error);
        None
    }

    /// What failed when it was tried last.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }
}
