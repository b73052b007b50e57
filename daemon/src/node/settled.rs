//! What was last found as desired.

use std::time::Duration;

use tokio::time::Instant;

/// Remembers what a costly domain was brought to, so that it is not observed at every event: reads
/// of nftables start a program.
#[derive(Debug)]
pub(super) struct Settled<T> {
    last: Option<(T, Instant)>,
}

/// How long a finding lasts: less than a tick, so that every tick observes again.
const LASTS: Duration = Duration::from_secs(4);

// === impl Settled ===

impl<T: PartialEq> Settled<T> {
    /// Whether `desired` has just been found to be so.
    pub(super) fn holds(&self, desired: &T) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|(found, when)| found == desired && when.elapsed() < LASTS)
    }

    pub(super) fn found(&mut self, desired: T) {
        self.last = Some((desired, Instant::now()));
    }
}

impl<T> Default for Settled<T> {
    fn default() -> Self {
        Self { last: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_finding_lasts_less_than_a_tick_and_for_one_desire() {
        let mut settled = Settled::default();
        assert!(!settled.holds(&1));
        settled.found(1);
        assert!(settled.holds(&1) && !settled.holds(&2));
        tokio::time::advance(LASTS).await;
        assert!(!settled.holds(&1));
    }
}
