//! The loop that probes.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io,
    net::IpAddr,
    time::Duration,
};

use kit::backoff::sleep;
use model::{DualStack, IpFamily, NodeName};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use crate::{
    Assignment, Metrics, Sight, Sights,
    echo::{Answer, Echo},
    sight::answers,
    track::Track,
};

/// The rest after a socket has failed.
const PAUSE: Duration = Duration::from_millis(10);

/// Probes whom it is assigned.
#[derive(Debug)]
pub struct Prober {
    echoes: DualStack<Echo>,
    assignment: watch::Receiver<Assignment>,
    sights: watch::Sender<Sights>,
    nodes: BTreeMap<NodeName, Probed>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Probed {
    tracks: BTreeMap<IpAddr, Track>,
    round_trip: Option<Duration>,
}

// === impl Prober ===

impl Prober {
    /// Told whom to probe by one channel, it tells what it sees by another, whose receivers wake when
    /// a node falls silent or answers again.
    pub fn new(
        metrics: Metrics,
        assignment: watch::Receiver<Assignment>,
        sights: watch::Sender<Sights>,
    ) -> Self {
        Self {
            echoes: DualStack::NONE,
            assignment,
            sights,
            nodes: BTreeMap::new(),
            metrics,
        }
    }

    /// Probes until nobody assigns any more.
    pub async fn run(mut self) {
        self.open();
        self.take_over();
        let mut ticks = self.ticks();
        loop {
            // what is answered counts before what is late, so that a busy host blames nobody
            tokio::select! {
                biased;
                answer = receive(self.echoes.v4.as_ref()) => self.absorb(answer).await,
                answer = receive(self.echoes.v6.as_ref()) => self.absorb(answer).await,
                changed = self.assignment.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let pace = ticks.period();
                    self.take_over();
                    if pace != self.interval() {
                        ticks = self.ticks();
                    }
                }
                _ = ticks.tick() => {
                    self.probe().await;
                    self.tell();
                }
            }
        }
    }

    fn open(&mut self) {
        let hash = RandomState::new().build_hasher().finish();
        let [_, _, _, _, _, _, high, low] = hash.to_be_bytes();
        let identifier = u16::from_be_bytes([high, low]);
        for family in IpFamily::ALL {
            match Echo::open(family, identifier) {
                Ok(echo) => *self.echoes.get_mut(family) = Some(echo),
                Err(error) => {
                    tracing::warn!(
                        ?family,
                        error = %kit::error::Chain(&error),
                        "No socket for echo requests; allow our group in net.ipv4.ping_group_range"
                    );
                }
            }
        }
    }

    fn interval(&self) -> Duration {
        self.assignment.borrow().pace.clamped().interval
    }

    fn ticks(&self) -> Interval {
        let mut ticks = interval(self.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// What is known of addresses that stay is kept. Addresses that cannot be probed are left out.
    fn take_over(&mut self) {
        let nodes = self.assignment.borrow_and_update().nodes.clone();
        self.nodes.retain(|name, _| nodes.contains_key(name));
        for (name, addresses) in nodes {
            let addresses = addresses.iter();
            let addresses = addresses.filter(|(family, _)| self.echoes.get(*family).is_some());
            let addresses: Vec<IpAddr> = addresses.map(|(_, address)| *address).collect();
            let probed = self.nodes.entry(name).or_default();
            probed.tracks.retain(|it, _| addresses.contains(it));
            for address in addresses {
                probed.tracks.entry(address).or_default();
            }
        }
    }

    async fn probe(&mut self) {
        let losses = usize::from(self.assignment.borrow().pace.clamped().losses);
        let now = Instant::now();
        let tracks = self.nodes.values_mut().flat_map(|it| &mut it.tracks);
        for (address, track) in tracks {
            let due = track.begin(now, losses);
            self.metrics.sent();
            if due.is_loss {
                self.metrics.lost();
            }
            let Some(echo) = self.echoes.get(IpFamily::of(*address)) else {
                continue;
            };
            // without a way there, no answer comes either
            if let Err(error) = echo.send(*address, due.sequence).await {
                tracing::trace!(%address, %error, "Cannot send an echo request");
            }
        }
    }

    async fn absorb(&mut self, received: io::Result<Answer>) {
        let answer = match received {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "Cannot receive answers");
                return sleep(PAUSE).await;
            }
        };
        let now = Instant::now();
        for probed in self.nodes.values_mut() {
            let track = probed.tracks.get_mut(&answer.from);
            let took = track.and_then(|track| track.answer(answer.sequence, now));
            if let Some(took) = took {
                probed.round_trip = Some(took);
                self.metrics.answered(took);
            }
        }
    }

    /// At each interval: nobody is in a hurry to know that a node answers again.
    fn tell(&self) {
        let now = Instant::now();
        self.sights.send_if_modified(|sights| {
            let nodes = self.nodes.iter();
            let new: Sights = nodes
                .filter_map(|(name, it)| Some((name.clone(), it.sight(sights.get(name), now)?)))
                .collect();
            let is_other = !is_alike(sights, &new);
            *sights = new;
            is_other
        });
    }
}

// === impl Probed ===

impl Probed {
    fn sight(&self, before: Option<&Sight>, now: Instant) -> Option<Sight> {
        let answers = answers(self.tracks.values())?;
        let same = before.filter(|it| it.answers == answers);
        Some(Sight {
            answers,
            since: same.map_or(now, |it| it.since),
            round_trip: self.round_trip,
        })
    }
}

/// Whether they say the same of the same nodes, however long the last answers took.
fn is_alike(one: &Sights, other: &Sights) -> bool {
    let said = |sights: &Sights| -> Vec<(NodeName, bool)> {
        let all = sights.iter();
        all.map(|(name, it)| (name.clone(), it.answers)).collect()
    };
    said(one) == said(other)
}

/// For ever without a socket.
async fn receive(echo: Option<&Echo>) -> io::Result<Answer> {
    match echo {
        Some(echo) => echo.receive().await,
        None => std::future::pending().await,
    }
}
