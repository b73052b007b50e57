//! Waiting before trying again: exponential, jittered, bounded. The only place that sleeps.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

/// Waits for a while. For trying again use a [`Backoff`]; for a fact, wait for the fact.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Growing delays between attempts.
///
/// The n-th delay is `min * 2^n`, at most `max`, and of that a random part between one half and all,
/// so that many clients of one failed server do not return together.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    ceiling: Duration,
    random: Random,
}

/// A small generator (xorshift64), good enough to spread delays.
#[derive(Debug, Clone)]
struct Random(u64);

// === impl Backoff ===

impl Backoff {
    /// Delays from `min` to `max`. A `max` below `min` counts as `min`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self::seeded(min, max, RandomState::new().build_hasher().finish())
    }

    fn seeded(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max: max.max(min),
            ceiling: min,
            random: Random(seed | 1),
        }
    }

    /// The delay to wait now; the next one is longer.
    pub fn next_delay(&mut self) -> Duration {
        let half = self.ceiling / 2;
        let delay = half + half / JITTER_STEPS * self.random.below(JITTER_STEPS + 1);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        delay
    }

    /// Waits for the next delay.
    pub async fn wait(&mut self) {
        sleep(self.next_delay()).await;
    }

    /// Begins again at `min`, after a success.
    pub fn reset(&mut self) {
        self.ceiling = self.min;
    }
}

/// Into how many steps the random half of a delay is cut.
const JITTER_STEPS: u32 = 1024;

// === impl Random ===

impl Random {
    /// A number in `0..bound`.
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(bound)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(8);

    #[test]
    fn a_delay_is_between_half_and_all_of_a_ceiling_that_doubles_up_to_the_maximum() {
        for seed in 0..100 {
            let mut backoff = Backoff::seeded(MIN, MAX, seed);
            let mut ceiling = MIN;
            for _ in 0..20 {
                let delay = backoff.next_delay();
                assert!(
                    delay >= ceiling / 2 && delay <= ceiling,
                    "{delay:?} of {ceiling:?}"
                );
                ceiling = (ceiling * 2).min(MAX);
            }
        }
    }

    #[test]
    fn two_clients_do_not_return_together() {
        let mut one = Backoff::seeded(MIN, MAX, 1);
        let mut two = Backoff::seeded(MIN, MAX, 0x5eed_5eed_5eed);
        let pairs = (0..5).map(|_| (one.next_delay(), two.next_delay()));
        assert!(pairs.into_iter().any(|(a, b)| a != b));
    }

    #[test]
    fn after_a_success_the_delays_begin_again() {
        let mut backoff = Backoff::new(MIN, MAX);
        for _ in 0..10 {
            backoff.next_delay();
        }
        backoff.reset();
        assert!(backoff.next_delay() <= MIN);
    }

    #[test]
    fn a_maximum_below_the_minimum_counts_as_the_minimum() {
        let mut backoff = Backoff::new(MAX, MIN);
        backoff.next_delay();
        assert!(backoff.next_delay() >= MAX / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_takes_the_delay_of_tokio_time() {
        let mut backoff = Backoff::new(MIN, MAX);
        let mut twin = backoff.clone();
        let begun = Instant::now();
        backoff.wait().await;
        let late = begun.elapsed().checked_sub(twin.next_delay()).unwrap();
        assert!(
            late <= Duration::from_millis(1),
            "timers have a millisecond's grain: {late:?}"
        );
    }
}
