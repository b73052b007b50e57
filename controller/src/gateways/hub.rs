//! Where the reports of daemons come in, and the orders for them go out.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, stream};
use model::NodeName;
use probe::{Pace, Sight, Sights};
use proto::debug::v1::GatewayNode;
use proto::liveness::v1::liveness_server::Liveness;
use proto::liveness::v1::{Assignment, Report, Target};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use super::orders::{Orders, Targets};

/// So many reports may wait for the judge; more than that are old before they are read.
const WAITING: usize = 4096;
/// How often daemons report when nothing changes.
const REPORTS: Duration = Duration::from_millis(150);

/// One report.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) node: NodeName,
    pub(super) sights: Sights,
    pub(super) at: Instant,
}

/// What the judge is told or asked.
#[derive(Debug)]
pub(super) enum Message {
    Heard(Heard),
    Asked(oneshot::Sender<Views>),
}

/// What is known of each gateway node, as an operator sees it.
pub(crate) type Views = BTreeMap<NodeName, GatewayNode>;

/// The meeting point of daemons and leader. A clone is another handle of the same.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    /// `None` while this controller does not lead.
    orders: watch::Sender<Option<Orders>>,
    messages: mpsc::Sender<Message>,
}

/// The leader's side.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(super) messages: mpsc::Receiver<Message>,
}

type Orderings = Pin<Box<dyn Stream<Item = Result<Assignment, Status>> + Send>>;

// === impl Hub ===

impl Hub {
    pub(crate) fn new() -> (Self, Reports) {
        let (sender, messages) = mpsc::channel(WAITING);
        let hub = Self {
            orders: watch::Sender::new(None),
            messages: sender,
        };
        (hub, Reports { messages })
    }

    /// From now on daemons are listened to, and told this.
    pub(super) fn order(&self, orders: Orders) {
        self.orders.send_if_modified(|last| {
            let is_new = last.as_ref() != Some(&orders);
            *last = Some(orders);
            is_new
        });
    }

    /// Ends the calls of daemons, who look for another leader then.
    pub(super) fn dismiss(&self) {
        self.orders.send_replace(None);
    }

    /// What the leader knows; nothing where this controller does not lead.
    pub(crate) async fn views(&self) -> Views {
        let (answer, answered) = oneshot::channel();
        let is_leader = self.orders.borrow().is_some();
        if !is_leader || self.messages.send(Message::Asked(answer)).await.is_err() {
            return Views::new();
        }
        answered.await.unwrap_or_default()
    }

    /// Most nodes are no gateways and see nothing.
    async fn hear(&self, node: &NodeName, report: Report) -> Result<(), Status> {
        if report.sights.is_empty() {
            return Ok(());
        }
        let at = Instant::now();
        let heard = Heard {
            node: node.clone(),
            sights: sights(report, at),
            at,
        };
        let sent = self.messages.send(Message::Heard(heard)).await;
        sent.map_err(|_ended| Status::unavailable("this controller ends"))
    }
}

#[tonic::async_trait]
impl Liveness for Hub {
    type ObserveStream = Orderings;

    async fn observe(
        &self,
        request: Request<Streaming<Report>>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        let orders = self.orders.subscribe();
        if orders.borrow().is_none() {
            let why = "this controller does not lead; see the address in the Lease";
            return Err(Status::unavailable(why));
        }
        let mut reports = request.into_inner();
        let none = || Status::invalid_argument("the first report says who reports");
        let first = reports.message().await?.ok_or_else(none)?;
        let node = NodeName::new(first.node.clone());
        let node = node.map_err(|error| Status::invalid_argument(error.to_string()))?;
        tracing::debug!(%node, "A daemon reports");
        self.hear(&node, first).await?;
        let (hub, name) = (self.clone(), node.clone());
        drop(kit::spawn("reports", async move {
            while let Ok(Some(report)) = reports.message().await {
                if hub.hear(&name, report).await.is_err() {
                    return;
                }
            }
            tracing::debug!(node = %name, "A daemon reports no more");
        }));
        Ok(Response::new(Box::pin(orderings(orders, node))))
    }
}

/// What a daemon is told: at once, and whenever it changes.
fn orderings(
    orders: watch::Receiver<Option<Orders>>,
    node: NodeName,
) -> impl Stream<Item = Result<Assignment, Status>> + Send {
    stream::unfold((orders, None), move |(mut orders, last)| {
        let node = node.clone();
        async move {
            let is_new = |it: &Option<Orders>| it.as_ref().map(|it| told(it, &node)) != last;
            let now = orders.wait_for(is_new).await.ok()?.clone()?;
            let assignment = assignment(&now, &node);
            Some((Ok(assignment), (orders, Some(told(&now, &node)))))
        }
    })
}

/// What of the orders concerns a daemon.
fn told(orders: &Orders, node: &NodeName) -> (Pace, Targets) {
    (orders.pace, orders.of(node))
}

fn assignment(orders: &Orders, node: &NodeName) -> Assignment {
    Assignment {
        interval_ms: millis(orders.pace.interval),
        losses: orders.pace.losses.into(),
        report_ms: millis(REPORTS),
        targets: targets(orders.of(node)),
    }
}

fn targets(targets: Targets) -> Vec<Target> {
    let target = |(node, addresses): (NodeName, model::DualStack<std::net::IpAddr>)| Target {
        node: node.to_string(),
        addresses: addresses.values().map(ToString::to_string).collect(),
    };
    targets.into_iter().map(target).collect()
}

pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// What cannot be a name of a node is passed over.
fn sights(report: Report, now: Instant) -> Sights {
    let sights = report.sights.into_iter().filter_map(|it| {
        let lasted = Duration::from_millis(it.for_ms.into());
        let sight = Sight {
            answers: it.answers,
            since: now.checked_sub(lasted).unwrap_or(now),
            round_trip: match it.round_trip_us {
                0 => None,
                us => Some(Duration::from_micros(us.into())),
            },
        };
        Some((NodeName::new(it.node).ok()?, sight))
    });
    sights.collect()
}
