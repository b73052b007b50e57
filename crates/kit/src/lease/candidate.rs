//! Who may lead, judged by what was seen of the lease and when. No I/O, and nobody's clock but ours.

use std::time::Duration;

use tokio::time::Instant;

/// A lease as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// `None` when nobody holds it.
    pub(super) holder: Option<String>,
    /// Counts acquisitions.
    pub(super) term: i32,
    /// How long the holder may be silent.
    pub(super) duration: Duration,
    /// Differs after every write (`resourceVersion`).
    pub(super) version: String,
}

/// What a candidate does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// Write its name into the lease, unless somebody else is quicker.
    Take,
    /// Look again: when the lease changes, and at the latest then.
    WaitFor { holder: String, until: Instant },
}

/// Somebody who wants to hold a lease.
#[derive(Debug)]
pub(super) struct Candidate {
    identity: String,
    /// The last version that was seen, and when it was seen first.
    last: Option<(String, Instant)>,
}

// === impl Seen ===

impl Seen {
    pub(super) fn is_held_by(&self, identity: &str, term: i32) -> bool {
        self.holder.as_deref() == Some(identity) && self.term == term
    }
}

// === impl Candidate ===

impl Candidate {
    pub(super) const fn new(identity: String) -> Self {
        Self {
            identity,
            last: None,
        }
    }

    /// Judges a lease that was read `now`; `None` when there is none.
    ///
    /// A holder is silent while the lease does not change before our eyes: what the lease says
    /// about the time of its last renewal is by the holder's clock, and never compared with ours.
    pub(super) fn judge(&mut self, seen: Option<&Seen>, now: Instant) -> Move {
        let Some(seen) = seen else { return Move::Take };
        let since = self.unchanged_since(&seen.version, now);
        match &seen.holder {
            Some(holder) if *holder != self.identity && now < since + seen.duration => {
                Move::WaitFor {
                    holder: holder.clone(),
                    until: since + seen.duration,
                }
            }
            Some(_) | None => Move::Take,
        }
    }

    fn unchanged_since(&mut self, version: &str, now: Instant) -> Instant {
        match &self.last {
            Some((last, since)) if last == version => *since,
            _ => {
                self.last = Some((version.to_owned(), now));
                now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn held_by(holder: &str, version: &str) -> Seen {
        Seen {
            holder: (!holder.is_empty()).then(|| holder.to_owned()),
            term: 1,
            duration: DURATION,
            version: version.to_owned(),
        }
    }

    fn waits_until(until: Instant) -> Move {
        let holder = "other".to_owned();
        Move::WaitFor { holder, until }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_holds_is_taken_at_once() {
        let mut candidate = Candidate::new("me".to_owned());
        assert_eq!(candidate.judge(None, Instant::now()), Move::Take);
        let released = held_by("", "7");
        assert_eq!(candidate.judge(Some(&released), Instant::now()), Move::Take);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_identity_takes_its_lease_back_at_once() {
        let mut candidate = Candidate::new("me".to_owned());
        let mine = held_by("me", "7");
        assert_eq!(candidate.judge(Some(&mine), Instant::now()), Move::Take);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_of_another_is_taken_when_it_did_not_change_for_its_duration() {
        let mut candidate = Candidate::new("me".to_owned());
        let lease = held_by("other", "7");
        let expiry = Instant::now() + DURATION;
        for _ in 0..DURATION.as_secs() {
            let next = candidate.judge(Some(&lease), Instant::now());
            assert_eq!(next, waits_until(expiry));
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(candidate.judge(Some(&lease), Instant::now()), Move::Take);
    }

    #[tokio::test(start_paused = true)]
    async fn every_renewal_starts_the_wait_anew() {
        let mut candidate = Candidate::new("me".to_owned());
        for version in 0..100 {
            let lease = held_by("other", &version.to_string());
            let next = candidate.judge(Some(&lease), Instant::now());
            assert_eq!(next, waits_until(Instant::now() + DURATION));
            advance(DURATION.checked_sub(Duration::from_millis(1)).unwrap()).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_duration_is_that_of_the_holder() {
        let mut candidate = Candidate::new("me".to_owned());
        let mut lease = held_by("other", "7");
        lease.duration = Duration::from_mins(1);
        candidate.judge(Some(&lease), Instant::now());
        advance(DURATION * 2).await;
        let next = candidate.judge(Some(&lease), Instant::now());
        assert!(matches!(next, Move::WaitFor { .. }));
    }

    #[test]
    fn a_namesake_that_acquired_later_ends_the_tenure() {
        assert!(held_by("me", "7").is_held_by("me", 1));
        assert!(!held_by("me", "7").is_held_by("me", 2));
        assert!(!held_by("other", "7").is_held_by("me", 1));
    }
}
