//! The index as the controller's tasks share it.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

use crate::index::Index;

/// One index, many readers; every write wakes whoever waits.
#[derive(Debug, Clone)]
pub struct Shared {
    index: Arc<RwLock<Index>>,
    writes: Arc<watch::Sender<u64>>,
}

// === impl Shared ===

impl Shared {
    pub fn new(index: Index) -> Self {
        Self {
            index: Arc::new(RwLock::new(index)),
            writes: Arc::new(watch::Sender::new(0)),
        }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read()
    }

    /// Changes the index and wakes the subscribers.
    pub fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        let result = change(&mut self.index.write());
        self.writes.send_modify(|count| *count += 1);
        result
    }

    /// Takes something out without waking anybody.
    pub fn take<T>(&self, take: impl FnOnce(&mut Index) -> T) -> T {
        take(&mut self.index.write())
    }

    /// As [`Self::take`], and keeps the state that it was taken from for reading.
    pub fn take_and_read<T>(
        &self,
        take: impl FnOnce(&mut Index) -> T,
    ) -> (T, RwLockReadGuard<'_, Index>) {
        let mut index = self.index.write();
        let taken = take(&mut index);
        (taken, RwLockWriteGuard::downgrade(index))
    }

    /// Counts writes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.writes.subscribe()
    }
}
