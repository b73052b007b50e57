//! The leader's loop: hears, judges, and tells the index.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use controller_index::{GatewayNode, Index, Liveness, Shared};
use controller_status::{NodeEvent, Tone, Writer};
use kit::shutdown::Shutdown;
use model::{DualStack, NodeName};
use probe::{Assignment, Pace, Prober, Sights, own_address_towards};
use proto::debug::v1;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Metrics;
use super::hub::{Heard, Hub, Message, Reports, Views, millis};
use super::judge::{Gateways, Judge, Observer};
use super::orders::{self, Orders, Targets};

/// How often to judge when nothing is heard: silence is news, too.
const PERIOD: Duration = Duration::from_millis(50);
/// How often to look for the way to the gateway nodes, in periods.
const LOOK: u32 = 20;

/// What the controller was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) pace: Pace,
    /// How long a node that was out must answer before it carries traffic again.
    pub(crate) settling: Duration,
}

/// Watches the gateway nodes, as long as this controller leads.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) index: Shared,
    pub(crate) hub: Hub,
    pub(crate) reports: Reports,
    pub(crate) rules: Rules,
    pub(crate) metrics: Metrics,
    pub(crate) writer: Writer,
}

/// A watcher at work.
#[derive(Debug)]
struct Watch {
    index: Shared,
    hub: Hub,
    rules: Rules,
    metrics: Metrics,
    writer: Writer,
    judge: Judge,
    gateways: Gateways,
    nodes: BTreeMap<NodeName, GatewayNode>,
    /// Those that were told to the index.
    out: BTreeSet<NodeName>,
    assignment: watch::Sender<Assignment>,
    sights: watch::Receiver<Sights>,
}

// === impl Watcher ===

impl Watcher {
    /// Runs until shutdown. `out` are the nodes that the index has as silent.
    ///
    /// # Errors
    /// Never.
    pub(crate) async fn run(
        self,
        out: BTreeSet<NodeName>,
        shutdown: Shutdown,
    ) -> Result<(), Infallible> {
        let (assignment, assigned) = watch::channel(Assignment::default());
        let (sender, sights) = watch::channel(Sights::new());
        let prober = Prober::new(self.metrics.probes.clone(), assigned, sender);
        // ends with its last assignment
        drop(kit::spawn("prober", prober.run()));
        let watch = Watch {
            judge: Judge::new(Instant::now(), self.rules.settling, out.clone()),
            index: self.index,
            hub: self.hub,
            rules: self.rules,
            metrics: self.metrics,
            writer: self.writer,
            gateways: Gateways::default(),
            nodes: BTreeMap::new(),
            out,
            assignment,
            sights,
        };
        watch.run(self.reports, shutdown).await;
        Ok(())
    }
}

// === impl Watch ===

impl Watch {
    async fn run(mut self, mut reports: Reports, shutdown: Shutdown) {
        let mut writes = self.index.subscribe();
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.refresh();
        for tick in 0_u32.. {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(message) = reports.messages.recv() => self.take(message),
                Ok(()) = self.sights.changed() => {}
                _ = ticks.tick() => {
                    let is_changed = writes.has_changed().unwrap_or(false);
                    writes.mark_unchanged();
                    if is_changed || tick.is_multiple_of(LOOK) {
                        self.refresh();
                    }
                }
            }
            while let Ok(message) = reports.messages.try_recv() {
                self.take(message);
            }
            self.rule();
        }
        self.hub.dismiss();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Heard(Heard { node, sights, at }) => {
                self.judge.hear(Observer::Daemon(node), sights, at);
            }
            Message::Asked(answer) => {
                if answer.send(self.views()).is_err() {
                    tracing::debug!("Who asked is gone");
                }
            }
        }
    }

    fn views(&self) -> Views {
        let nodes = self.nodes.keys();
        nodes.map(|name| (name.clone(), self.view(name))).collect()
    }

    fn view(&self, name: &NodeName) -> v1::GatewayNode {
        let now = Instant::now();
        let since = |then| millis(now.saturating_duration_since(then));
        let views = self.judge.views(name).map(|(observer, at, sight)| {
            let round_trip = sight.round_trip.unwrap_or_default();
            v1::GatewayView {
                observer: observer.to_string(),
                answers: sight.answers,
                for_ms: since(sight.since),
                round_trip_us: u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX),
                age_ms: since(at),
            }
        });
        v1::GatewayNode {
            node: name.to_string(),
            ready: self.gateways.ready.contains(name),
            unreachable: self.judge.is_lost(name),
            views: views.collect(),
        }
    }

    /// Looks at which gateway nodes there are, and tells observers.
    fn refresh(&mut self) {
        let index = self.index.read();
        self.nodes = index.gateway_nodes();
        let ready = self.nodes.iter();
        let ready = ready.filter(|(_, node)| node.liveness == Liveness::Alive);
        self.gateways = Gateways {
            sets: index.inputs().gateways.keys().cloned().collect(),
            ready: ready.map(|(name, _)| name.clone()).collect(),
            host: host(&index, &self.nodes),
        };
        let targets = self.nodes.iter();
        let targets: Targets = targets
            .map(|(name, it)| (name.clone(), it.addresses))
            .collect();
        let alive = index.inputs().nodes.iter();
        let alive = alive.filter(|(_, it)| it.liveness == Liveness::Alive);
        let witnesses = orders::witnesses(&targets, alive.map(|(name, _)| name));
        drop(index);
        let pace = self.rules.pace;
        self.assign(pace, targets.clone());
        self.hub.order(Orders {
            pace,
            targets,
            witnesses,
        });
        self.count();
    }

    /// Where there is no way to others, there is nothing to see.
    fn assign(&self, pace: Pace, targets: Targets) {
        let host = self.gateways.host.as_ref();
        let others = targets.into_iter().filter(|(name, _)| Some(name) != host);
        let nodes = others.filter(|_| host.is_some()).collect();
        let assignment = Assignment { pace, nodes };
        self.assignment.send_if_modified(|last| {
            let is_new = *last != assignment;
            *last = assignment;
            is_new
        });
    }

    fn rule(&mut self) {
        let now = Instant::now();
        let sights = self.sights.borrow_and_update().clone();
        self.judge.hear(Observer::Leader, sights, now);
        let out = self.judge.judge(now, &self.gateways);
        if out == self.out {
            return;
        }
        for node in out.difference(&self.out) {
            tracing::warn!(%node, "Gateway node does not answer, others have its slots");
            self.metrics.out();
            self.tell(node, Tone::Warning);
        }
        for node in self.out.difference(&out) {
            tracing::info!(%node, "Gateway node is back");
            self.metrics.back();
            self.tell(node, Tone::Normal);
        }
        self.index.write(|index| index.set_silent(&out));
        self.out = out;
        self.count();
    }

    /// By an event of the node, which nothing waits for.
    fn tell(&self, name: &NodeName, tone: Tone) {
        let Some(node) = self.nodes.get(name) else {
            return;
        };
        let addresses: Vec<String> = node.addresses.values().map(IpAddr::to_string).collect();
        let addresses = addresses.join(", ");
        let (reason, note) = match tone {
            Tone::Warning => (
                "GatewayUnreachable",
                format!(
                    "most observers get no answer from ovn0 ({addresses}): traffic of centralized \
                     subnets leaves by other nodes; see the tunnels and ovn-controller of this node"
                ),
            ),
            Tone::Normal => (
                "GatewayReachable",
                format!("ovn0 ({addresses}) answers: the node carries traffic again"),
            ),
        };
        let event = NodeEvent {
            name: name.clone(),
            uid: node.uid.clone(),
            tone,
            reason,
            note,
        };
        let writer = self.writer.clone();
        drop(kit::spawn("node-event", async move {
            if let Err(error) = writer.tell_of_node(&event).await {
                let error = kit::error::Chain(&error);
                tracing::warn!(%error, "Cannot tell of a gateway node");
            }
        }));
    }

    fn count(&self) {
        let ready = &self.gateways.ready;
        let alive = |name: &NodeName| ready.contains(name) && !self.out.contains(name);
        let nodes = self.nodes.keys();
        self.metrics.alive(nodes.map(|name| (name, alive(name))));
    }
}

/// The node that this controller runs on: the one with the address by which it reaches the others.
fn host(index: &Index, nodes: &BTreeMap<NodeName, GatewayNode>) -> Option<NodeName> {
    let mut targets = nodes.values().flat_map(|node| node.addresses.values());
    let own = own_address_towards(*targets.next()?)?;
    let has_own = |addresses: &DualStack<IpAddr>| addresses.values().any(|it| *it == own);
    let mut all = index.inputs().nodes.iter();
    let host = all.find(|(_, node)| node.join.as_ref().is_some_and(|it| has_own(&it.addresses)));
    host.map(|(name, _)| name.clone())
}
