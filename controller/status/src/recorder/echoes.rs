//! Writes whose events are still to come.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use controller_index::Claimant;
use tokio::time::{Instant, sleep_until};

/// How much later than the answer to a write its event may come.
pub(super) const ECHO: Duration = Duration::from_millis(100);

/// Claimants that were annotated a moment ago. Until that has come back, who compares their
/// annotations with what they should be would write them again.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    due: VecDeque<(Instant, Claimant)>,
    expected: BTreeSet<Claimant>,
    postponed: BTreeSet<Claimant>,
}

// === impl Echoes ===

impl Echoes {
    pub(super) fn expect(&mut self, claimant: Claimant) {
        self.expected.insert(claimant.clone());
        self.due.push_back((Instant::now() + ECHO, claimant));
    }

    /// Whether the claimant is to be looked at later; [`Self::next`] says when.
    pub(super) fn postpone(&mut self, claimant: &Claimant) -> bool {
        let is_expected = self.expected.contains(claimant);
        if is_expected {
            self.postponed.insert(claimant.clone());
        }
        is_expected
    }

    /// Waits for the next write that is old enough, and returns its claimant if that was postponed.
    pub(super) async fn next(&mut self) -> Option<Claimant> {
        let Some((due, _)) = self.due.front() else {
            return std::future::pending().await;
        };
        sleep_until(*due).await;
        let (_, claimant) = self.due.pop_front()?;
        self.expected.remove(&claimant);
        self.postponed.take(&claimant)
    }
}
