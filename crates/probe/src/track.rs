//! What became of the requests to one address. No I/O, and the clock is passed in.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The requests to one address.
#[derive(Debug, Default)]
pub(crate) struct Track {
    next: u16,
    /// The last requests without an answer to them or to a later one, oldest first.
    waiting: VecDeque<(u16, Instant)>,
    /// Whether there ever was an answer.
    is_heard: bool,
    is_silent: bool,
}

/// A request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) sequence: u16,
    /// Whether the request before the last ones is given up now.
    pub(crate) is_loss: bool,
}

// === impl Track ===

impl Track {
    /// Begins the next request; an answer to one of the last `losses` counts.
    pub(crate) fn begin(&mut self, now: Instant, losses: usize) -> Due {
        self.is_silent = self.waiting.len() >= losses;
        let mut is_loss = false;
        while self.waiting.len() >= losses {
            self.waiting.pop_front();
            is_loss = true;
        }
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        self.waiting.push_back((sequence, now));
        Due { sequence, is_loss }
    }

    /// Takes an answer: how long it took, or `None` when it is not waited for.
    pub(crate) fn answer(&mut self, sequence: u16, now: Instant) -> Option<Duration> {
        let place = self.waiting.iter().position(|(it, _)| *it == sequence)?;
        let begun = self.waiting.drain(..=place).next_back()?.1;
        self.is_heard = true;
        self.is_silent = false;
        Some(now.saturating_duration_since(begun))
    }

    pub(crate) const fn is_heard(&self) -> bool {
        self.is_heard
    }

    pub(crate) const fn is_silent(&self) -> bool {
        self.is_silent
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOSSES: usize = 3;

    /// Runs requests of which those with `true` are answered before the next.
    fn run(answered: &[bool]) -> Track {
        let now = Instant::now();
        let mut track = Track::default();
        for is_answered in answered {
            let due = track.begin(now, LOSSES);
            if *is_answered {
                assert!(track.answer(due.sequence, now).is_some());
            }
        }
        track.begin(now, LOSSES);
        track
    }

    #[test]
    fn three_losses_in_a_row_are_silence_and_two_are_not() {
        assert!(run(&[true, false, false, false]).is_silent());
        assert!(!run(&[true, false, false]).is_silent());
        assert!(!run(&[false, false, true, false, false]).is_silent());
    }

    #[test]
    fn an_answer_that_is_late_by_two_intervals_counts() {
        let begun = Instant::now();
        let mut track = Track::default();
        let first = track.begin(begun, LOSSES).sequence;
        track.begin(begun, LOSSES);
        track.begin(begun, LOSSES);
        let late = begun + Duration::from_millis(250);
        assert_eq!(track.answer(first, late), Some(Duration::from_millis(250)));
        assert!(!track.begin(late, LOSSES).is_loss);
        assert_eq!(track.answer(first, late), None, "a second time");
    }

    #[test]
    fn the_first_answer_ends_the_silence() {
        let mut track = run(&[false; 5]);
        assert!(track.is_silent() && !track.is_heard());
        let due = track.begin(Instant::now(), LOSSES);
        assert!(due.is_loss);
        track.answer(due.sequence, Instant::now());
        assert!(!track.is_silent() && track.is_heard());
    }

    proptest! {
        #[test]
        fn silence_is_when_the_last_requests_are_all_lost(answered in prop::collection::vec(any::<bool>(), 0..40)) {
            let last = answered.iter().rev().take(LOSSES);
            let is_lost = answered.len() >= LOSSES && last.clone().all(|it| !it);
            prop_assert_eq!(run(&answered).is_silent(), is_lost);
        }
    }
}
