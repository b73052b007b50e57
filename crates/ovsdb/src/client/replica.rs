//! Our copy of a database: one writer (the driver), any number of readers.

use std::{
    ops::Deref,
    sync::{Arc, Weak},
};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use tokio::sync::watch;

use super::{
    apply::Record,
    changes::ChangeSet,
    database::{Database, Version},
    error::Error,
    update::Updates,
};

/// Our copy of a database. Clones show the same copy.
#[derive(Clone, Debug)]
pub struct Replica {
    shared: Arc<Shared>,
    version: watch::Receiver<Version>,
}

impl Replica {
    /// The newest state. It cannot change while the snapshot is held, and for as long the client
    /// cannot do its work: look, copy what is needed, let go.
    pub fn read(&self) -> Snapshot<'_> {
        // recursive: two snapshots at a time in one thread must not wait for a waiting writer
        Snapshot(self.shared.database.read_recursive())
    }

    /// The newest version.
    pub fn version(&self) -> Version {
        *self.version.borrow()
    }

    /// Tells of each new version; closed when the driver ends.
    pub fn watch(&self) -> watch::Receiver<Version> {
        self.version.clone()
    }

    /// Waits for a connection whose state has been copied; `None` if the driver ends before.
    pub async fn connected(&self) -> Option<Version> {
        let mut version = self.watch();
        let found = version.wait_for(|version| version.connected).await.ok()?;
        Some(*found)
    }

    /// Delivers first everything, then every change.
    pub fn changes(&self) -> Changes {
        let database = self.shared.database.read_recursive();
        let first = (database.version.epoch > 0).then(|| database.everything());
        let pending = Arc::new(Mutex::new(first));
        self.shared
            .subscribers
            .lock()
            .push(Arc::downgrade(&pending));
        drop(database);
        Changes {
            pending,
            version: self.version.clone(),
        }
    }
}

/// A state of the database that does not change while it is looked at.
#[derive(Debug)]
pub struct Snapshot<'a>(RwLockReadGuard<'a, Database>);

impl Deref for Snapshot<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}

/// A stream of changes without gaps, also over reconnects. What is not taken in time is merged, so
/// that a slow reader sees fewer and larger sets and never more than the size of the database.
#[derive(Debug)]
pub struct Changes {
    pending: Pending,
    version: watch::Receiver<Version>,
}

type Pending = Arc<Mutex<Option<ChangeSet>>>;

impl Changes {
    /// What changed since the last call; at first all rows, when they have been copied. A set can
    /// be empty. `None` when the driver has ended. Can be dropped while it waits.
    pub async fn next(&mut self) -> Option<ChangeSet> {
        loop {
            let taken = self.pending.lock().take();
            if taken.is_some() {
                return taken;
            }
            if self.version.changed().await.is_err() {
                return self.pending.lock().take();
            }
        }
    }

    /// What changed since the last call, if anything did.
    pub fn try_next(&mut self) -> Option<ChangeSet> {
        self.pending.lock().take()
    }
}

#[derive(Debug, Default)]
struct Shared {
    database: RwLock<Database>,
    subscribers: Mutex<Vec<Weak<Mutex<Option<ChangeSet>>>>>,
}

/// The side that writes. When it is dropped, watchers learn that nothing will come any more.
#[derive(Debug)]
pub(super) struct Publisher {
    shared: Arc<Shared>,
    version: watch::Sender<Version>,
}

impl Publisher {
    pub(super) fn new() -> (Self, Replica) {
        let shared = Arc::new(Shared::default());
        let (sender, receiver) = watch::channel(Version::default());
        let replica = Replica {
            shared: Arc::clone(&shared),
            version: receiver,
        };
        (
            Self {
                shared,
                version: sender,
            },
            replica,
        )
    }

    pub(super) fn read(&self) -> Snapshot<'_> {
        Snapshot(self.shared.database.read_recursive())
    }

    /// Starts an epoch with a new copy.
    pub(super) fn restart(&self, new: Database) {
        self.publish(Epoch::Next, |old, record| {
            let changes = match record {
                Record::Changes => old.difference(&new),
                Record::Nothing => ChangeSet::default(),
            };
            let version = old.version;
            *old = new;
            old.version = version;
            changes
        });
    }

    /// Starts an epoch with what changed meanwhile.
    pub(super) fn resume(&self, updates: Updates) -> Result<(), Error> {
        self.update(Epoch::Next, updates)
    }

    /// Makes changes inside of an epoch.
    pub(super) fn advance(&self, updates: Updates) -> Result<(), Error> {
        self.update(Epoch::Same, updates)
    }

    fn update(&self, epoch: Epoch, updates: Updates) -> Result<(), Error> {
        // nobody else writes, so what is checked now holds when it is applied
        self.read().check(&updates)?;
        self.publish(epoch, |database, record| database.apply(updates, record));
        Ok(())
    }

    /// Notes that the connection is gone.
    pub(super) fn disconnect(&self) {
        let mut database = self.shared.database.write();
        database.version.connected = false;
        let version = database.version;
        drop(database);
        self.version.send_replace(version);
    }

    fn publish(&self, epoch: Epoch, change: impl FnOnce(&mut Database, Record) -> ChangeSet) {
        let mut database = self.shared.database.write();
        // both locks: who subscribes sees each change either in the first set or later
        let mut subscribers = self.shared.subscribers.lock();
        subscribers.retain(|pending| pending.strong_count() > 0);
        let record = if subscribers.is_empty() {
            Record::Nothing
        } else {
            Record::Changes
        };
        let mut changes = change(&mut database, record);
        let version = &mut database.version;
        version.serial += 1;
        version.connected = true;
        if epoch == Epoch::Next {
            version.epoch += 1;
        }
        changes.version = *version;
        let version = *version;
        for pending in subscribers.iter().filter_map(Weak::upgrade) {
            deliver(&changes, &mut pending.lock());
        }
        drop(subscribers);
        drop(database);
        self.version.send_replace(version);
    }
}

fn deliver(changes: &ChangeSet, pending: &mut Option<ChangeSet>) {
    match pending {
        Some(earlier) => earlier.merge(changes.clone()),
        None => *pending = Some(changes.clone()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Epoch {
    Same,
    Next,
}
