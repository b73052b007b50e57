//! Watches of Kubernetes objects that go on soon after the API server is back.
//!
//! What kube does by itself is kind to a server and slow for us: up to 30 s between two attempts,
//! and five minutes until it is noticed that a server has gone without a word, as when its host
//! lost power. A node that does not hear of a pod attaches none.

use std::time::Duration;

use kube::runtime::{
    utils::{self, ResetTimerBackoff},
    watcher,
};

use crate::backoff::Backoff;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(3);
/// A watch that lasted for so long has worked.
const WORKED: Duration = Duration::from_secs(30);
/// A server ends a watch after so many seconds, and one that does not is gone. The next watch goes
/// on from where this one ended: nothing is listed again.
const LASTS: u32 = 40;

/// The delays between attempts of one watch.
#[derive(Debug)]
pub struct Delays(Backoff);

/// For `StreamExt::backoff` of a watch.
pub fn backoff() -> ResetTimerBackoff<Delays> {
    ResetTimerBackoff::new(Delays(Backoff::new(SHORTEST, LONGEST)), WORKED)
}

/// The same objects, watched so that a server which is gone is noticed.
pub fn config(config: watcher::Config) -> watcher::Config {
    config.timeout(LASTS)
}

// === impl Delays ===

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.0.next_delay())
    }
}

impl utils::Backoff for Delays {
    fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::utils::Backoff as _;

    use super::*;

    #[test]
    fn delays_grow_to_a_few_seconds_and_never_end() {
        let mut delays = backoff();
        let first = delays.next().unwrap();
        assert!(first <= SHORTEST, "{first:?}");
        let later = delays.nth(100).unwrap();
        assert!((LONGEST / 2..=LONGEST).contains(&later), "{later:?}");
        delays.reset();
    }
}
