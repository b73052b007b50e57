//! The judgement: which gateway nodes carry nothing, since they do not answer. No I/O, and the clock
//! is passed in.
//!
//! A host has one voice, whether its daemon reports, the leader on it, or both; about itself it has
//! none. A report counts while it is young. A node is lost when more than half of at least two voices
//! say that it is silent: what one alone sees may be its own fault. It returns when more than half
//! say that it has answered for a while. What nobody speaks of stays as it is, for a time.
//!
//! Of a set whose ready nodes are all lost, the one that was lost last goes on: a set is never
//! emptied because of probes. So whoever is cut off from all others changes little.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use model::{GatewaySet, NodeName};
use probe::{Sight, Sights};
use tokio::time::Instant;

/// How long a report counts.
pub(crate) const FRESH: Duration = Duration::from_millis(500);
/// How long a new leader listens before it changes anything, unless all have spoken before.
const GATHERING: Duration = Duration::from_millis(500);
/// How long a node stays lost of which nobody speaks any more.
const REMEMBERED: Duration = Duration::from_secs(30);

/// Whose eyes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Observer {
    /// The daemon of a node.
    Daemon(NodeName),
    /// This controller.
    Leader,
}

/// What there is to judge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gateways {
    pub(crate) sets: BTreeSet<GatewaySet>,
    /// Of the members, those that kubelet calls ready.
    pub(crate) ready: BTreeSet<NodeName>,
    /// The node that this controller runs on; `None` where it has no way to the others.
    pub(crate) host: Option<NodeName>,
}

#[derive(Debug, Clone)]
struct Report {
    at: Instant,
    sights: Sights,
}

/// A node that is lost.
#[derive(Debug, Clone, Copy)]
struct Loss {
    since: Instant,
    /// When somebody last spoke of it.
    observed: Instant,
}

/// What the voices say of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Votes {
    all: usize,
    silent: usize,
    /// It has answered for long enough.
    settled: usize,
}

/// What is known, and what was made of it.
#[derive(Debug)]
pub(crate) struct Judge {
    begun: Instant,
    /// How long a node that was lost must answer before it carries traffic again.
    settling: Duration,
    reports: BTreeMap<Observer, Report>,
    lost: BTreeMap<NodeName, Loss>,
}

// === impl Observer ===

impl fmt::Display for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon(node) => write!(f, "{node}"),
            Self::Leader => f.write_str("leader"),
        }
    }
}

// === impl Gateways ===

impl Gateways {
    pub(crate) fn members(&self) -> BTreeSet<&NodeName> {
        self.sets.iter().flat_map(GatewaySet::members).collect()
    }
}

// === impl Judge ===

impl Judge {
    /// Begins with nodes that carried nothing before.
    pub(crate) fn new(now: Instant, settling: Duration, lost: BTreeSet<NodeName>) -> Self {
        let loss = Loss {
            since: now,
            observed: now,
        };
        Self {
            begun: now,
            settling,
            reports: BTreeMap::new(),
            lost: lost.into_iter().map(|name| (name, loss)).collect(),
        }
    }

    /// A report takes the place of the observer's last.
    pub(crate) fn hear(&mut self, observer: Observer, sights: Sights, at: Instant) {
        self.reports.insert(observer, Report { at, sights });
    }

    /// The nodes that are to carry nothing from now on.
    pub(crate) fn judge(&mut self, now: Instant, gateways: &Gateways) -> BTreeSet<NodeName> {
        self.reports.retain(|_, it| is_fresh(it, now));
        let members = gateways.members();
        self.lost.retain(|name, _| members.contains(name));
        if self.has_gathered(now, gateways) {
            for name in members {
                self.weigh(name, now, gateways);
            }
        }
        let spared: BTreeSet<&NodeName> = gateways
            .sets
            .iter()
            .filter_map(|set| self.spared(set, gateways))
            .collect();
        let lost = self.lost.keys().filter(|name| !spared.contains(name));
        lost.cloned().collect()
    }

    /// What each observer says of a node, if it is heard at all.
    pub(crate) fn views(
        &self,
        node: &NodeName,
    ) -> impl Iterator<Item = (&Observer, Instant, Sight)> {
        let reports = self.reports.iter();
        let node = node.clone();
        reports.filter_map(move |(observer, report)| {
            Some((observer, report.at, *report.sights.get(&node)?))
        })
    }

    pub(crate) fn is_lost(&self, node: &NodeName) -> bool {
        self.lost.contains_key(node)
    }

    /// Whether it may be judged: the first to speak must not decide alone.
    fn has_gathered(&self, now: Instant, gateways: &Gateways) -> bool {
        let heard = |name: &NodeName| self.reports.contains_key(&Observer::Daemon(name.clone()));
        now >= self.begun + GATHERING || gateways.ready.iter().all(heard)
    }

    fn weigh(&mut self, node: &NodeName, now: Instant, gateways: &Gateways) {
        let votes = self.votes(node, now, gateways.host.as_ref());
        let is_silent = votes.all >= 2 && votes.silent * 2 > votes.all;
        let is_settled = votes.settled * 2 > votes.all;
        match self.lost.get_mut(node) {
            None if is_silent => {
                let loss = Loss {
                    since: now,
                    observed: now,
                };
                self.lost.insert(node.clone(), loss);
            }
            None => {}
            Some(loss) => {
                if votes.all > 0 {
                    loss.observed = now;
                }
                let is_forgotten = now >= loss.observed + REMEMBERED;
                if is_settled || is_forgotten {
                    self.lost.remove(node);
                }
            }
        }
    }

    fn votes(&self, node: &NodeName, now: Instant, host: Option<&NodeName>) -> Votes {
        let mut voices: BTreeMap<&NodeName, Sight> = BTreeMap::new();
        for (observer, report) in &self.reports {
            let voice = match observer {
                Observer::Daemon(name) => Some(name),
                Observer::Leader => host,
            };
            let sight = report.sights.get(node);
            if let Some((voice, sight)) = voice.filter(|it| *it != node).zip(sight) {
                // daemons come before the leader
                voices.entry(voice).or_insert(*sight);
            }
        }
        let mut votes = Votes::default();
        for sight in voices.values() {
            let lasted = now.saturating_duration_since(sight.since);
            votes.all += 1;
            votes.silent += usize::from(!sight.answers);
            votes.settled += usize::from(sight.answers && lasted >= self.settling);
        }
        votes
    }

    /// The node that goes on although it is lost, as all of the set are that are ready.
    fn spared<'a>(&self, set: &'a GatewaySet, gateways: &Gateways) -> Option<&'a NodeName> {
        let mut last: Option<(&NodeName, Instant)> = None;
        for name in set.members().filter(|it| gateways.ready.contains(it)) {
            let since = self.lost.get(name)?.since;
            if last.is_none_or(|(_, latest)| since > latest) {
                last = Some((name, since));
            }
        }
        last.map(|(name, _)| name)
    }
}

fn is_fresh(report: &Report, now: Instant) -> bool {
    now.saturating_duration_since(report.at) < FRESH
}

#[cfg(test)]
mod tests;
