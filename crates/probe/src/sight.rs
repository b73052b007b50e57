//! What an observer sees of nodes.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use model::{DualStack, NodeName};
use tokio::time::Instant;

use crate::track::Track;

/// How often an address is probed, and how many losses in a row are silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub interval: Duration,
    pub losses: u8,
}

/// Whom to probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    pub pace: Pace,
    pub nodes: BTreeMap<NodeName, DualStack<IpAddr>>,
}

/// What is seen of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Whether it answers, in each of its families.
    pub answers: bool,
    /// Since when that has been so.
    pub since: Instant,
    /// How long the last answer took.
    pub round_trip: Option<Duration>,
}

/// What is seen of the nodes about which something can be said.
pub type Sights = BTreeMap<NodeName, Sight>;

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            losses: 3,
        }
    }
}

impl Pace {
    /// As near to it as can be: 20 ms to 10 s, and 2 to 20 losses.
    pub fn clamped(self) -> Self {
        let (shortest, longest) = (Duration::from_millis(20), Duration::from_secs(10));
        Self {
            interval: self.interval.clamp(shortest, longest),
            losses: self.losses.clamp(2, 20),
        }
    }
}

/// Whether a node with these addresses answers; `None` while that is not known.
///
/// An address that answered and is silent now is enough to say no: a slot has both families. One that
/// never answered while another did says nothing, since a firewall may keep it from it.
pub(crate) fn answers<'a>(tracks: impl Iterator<Item = &'a Track> + Clone) -> Option<bool> {
    let mut heard = tracks.clone().filter(|it| it.is_heard()).peekable();
    if heard.peek().is_some() {
        return Some(heard.all(|it| !it.is_silent()));
    }
    let mut tracks = tracks.peekable();
    tracks.peek()?;
    tracks.all(Track::is_silent).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSES: usize = 3;

    fn track(requests: usize, is_answered: bool) -> Track {
        let mut track = Track::default();
        if is_answered {
            let due = track.begin(Instant::now(), LOSSES);
            track.answer(due.sequence, Instant::now());
        }
        for _ in 0..requests {
            track.begin(Instant::now(), LOSSES);
        }
        track
    }

    #[test]
    fn a_node_answers_when_each_family_does_that_ever_did() {
        let (good, lost, never, new) = (
            track(1, true),
            track(9, true),
            track(9, false),
            track(1, false),
        );
        assert_eq!(answers([&good, &good].into_iter()), Some(true));
        assert_eq!(answers([&good, &lost].into_iter()), Some(false));
        assert_eq!(answers([&good, &never].into_iter()), Some(true));
        assert_eq!(answers([&never, &never].into_iter()), Some(false));
        assert_eq!(answers([&never, &new].into_iter()), None);
        assert_eq!(answers([].into_iter()), None);
    }

    #[test]
    fn a_pace_that_would_flood_or_sleep_is_bounded() {
        let pace = Pace {
            interval: Duration::ZERO,
            losses: 0,
        }
        .clamped();
        assert_eq!((pace.interval, pace.losses), (Duration::from_millis(20), 2));
        assert_eq!(Pace::default().clamped(), Pace::default());
    }
}
