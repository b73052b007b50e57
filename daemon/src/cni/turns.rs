//! Commands of one sandbox take turns: a runtime that gave up on an ADD sends a DEL while the ADD
//! still runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::request::Sandbox;

/// The turns of all sandboxes.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<Sandbox, Weak<Lock>>>);

type Lock = tokio::sync::Mutex<()>;

/// The right to work on one sandbox, as long as it is held.
#[derive(Debug)]
pub(super) struct Turn {
    _guard: OwnedMutexGuard<()>,
}

// === impl Turns ===

impl Turns {
    /// Waits until no other command works on `sandbox`.
    pub(super) async fn take(&self, sandbox: &Sandbox) -> Turn {
        let lock = self.lock(sandbox);
        Turn {
            _guard: lock.lock_owned().await,
        }
    }

    fn lock(&self, sandbox: &Sandbox) -> Arc<Lock> {
        let mut locks = self.0.lock();
        locks.retain(|_, lock| lock.strong_count() > 0);
        let held = locks.get(sandbox).and_then(Weak::upgrade);
        let lock = held.unwrap_or_default();
        locks.insert(sandbox.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn sandbox(id: &str) -> Sandbox {
        Sandbox {
            id: id.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_command_waits_for_the_first_and_others_do_not() {
        let turns = Turns::default();
        let first = turns.take(&sandbox("a")).await;
        let _other = turns.take(&sandbox("b")).await;
        let wait = Duration::from_secs(1);
        assert!(timeout(wait, turns.take(&sandbox("a"))).await.is_err());
        drop(first);
        assert!(timeout(wait, turns.take(&sandbox("a"))).await.is_ok());
    }

    #[tokio::test]
    async fn finished_sandboxes_are_forgotten() {
        let turns = Turns::default();
        drop(turns.take(&sandbox("a")).await);
        let _turn = turns.take(&sandbox("b")).await;
        assert_eq!(turns.0.lock().len(), 1);
    }
}
