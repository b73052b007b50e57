//! The node's own state: tunnels, `ovn0`, routes to pods, translation, the chassis annotation.
//!
//! ```text
//! Node, Subnets (API server)  --\                        /--> Facts, for CNI ADD
//! external_ids, br-int (OVS)  ---+--> observe --> plan --+--> tunnels; ovn0, routes, sysctls
//! links, addresses (kernel)   --/                        |--> nftables
//!                                                        \--> Node annotation
//! ```
//!
//! Level-triggered: any event of any source, and a slow tick, mean "observe again".

use std::collections::BTreeMap;
use std::time::Duration;

use daemon_plan::{
    Allocation, InvalidAllocation, NodeInputs, NodeState, RedirectInputs, node_state,
};
use futures::{FutureExt, Stream, StreamExt};
use kit::backoff::sleep;
use kit::error::Chain;
use kit::readiness::Condition;
use kit::shutdown::Shutdown;
use linux::link::InvalidLinkName;
use model::{NodeName, Provider};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::host::{self, Host};
use crate::object::{Node, Pod, Subnet};
use crate::table::Table;

mod annotations;
mod facts;
mod firewall;
pub(crate) mod journal;
mod redirects;
mod settled;
pub(crate) mod tunnel;

pub(crate) use annotations::Annotator;
pub(crate) use facts::{Facts, MtuRule};
pub(crate) use firewall::Firewall;
pub(crate) use journal::Journal;
pub(crate) use redirects::Redirects;
pub(crate) use tunnel::{Carrier, Tunnel, give_back};

/// How often to observe without an event.
const TICK: Duration = Duration::from_secs(5);
/// Events come in bursts, of which the first is enough.
const SETTLE: Duration = Duration::from_millis(50);
/// How many times as long as it observed, and found all right, the loop then lets events gather:
/// most are of pods that come and go, and with more pods each observation takes longer.
const REST: u32 = 9;
/// But no longer than this.
const LONGEST: Duration = Duration::from_secs(1);

/// Keeps the node as it should be.
#[derive(Debug)]
pub(crate) struct NodeLoop {
    pub(crate) name: NodeName,
    pub(crate) host: Host,
    pub(crate) node: watch::Receiver<Table<Node>>,
    pub(crate) pods: watch::Receiver<Table<Pod>>,
    pub(crate) subnets: watch::Receiver<Table<Subnet>>,
    pub(crate) mtu: MtuRule,
    pub(crate) facts: watch::Sender<Option<Facts>>,
    /// What was last planned.
    pub(crate) desired: watch::Sender<Option<NodeState>>,
    pub(crate) annotator: Annotator,
    pub(crate) tunnel: Tunnel,
    pub(crate) firewall: Firewall,
    pub(crate) redirects: Redirects,
    pub(crate) is_up: Condition,
}

/// Why the node is not yet as it should be.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no Node object {0} yet; see that --node-name is right and the API server answers")]
    NoNode(NodeName),
    #[error("node {0} has no address yet; see that kube-ovn-controller runs")]
    Unallocated(NodeName),
    #[error("no list of Subnets yet; see that the API server answers")]
    NoSubnets,
    #[error("the addresses of node {node} cannot be used")]
    Invalid {
        node: NodeName,
        source: InvalidAllocation,
    },
    #[error(transparent)]
    Facts(#[from] facts::Error),
    #[error(transparent)]
    Host(#[from] host::Error),
    #[error(transparent)]
    Kernel(#[from] linux::Error),
    #[error(transparent)]
    Tunnel(#[from] tunnel::Error),
    #[error(transparent)]
    Annotations(#[from] annotations::Error),
    #[error(transparent)]
    Redirects(#[from] redirects::Error),
    #[error(transparent)]
    Name(#[from] InvalidLinkName),
}

// === impl NodeLoop ===

impl NodeLoop {
    /// Runs until `shutdown`. `kernel` tells of changes of links, addresses and routes.
    pub(crate) async fn run(
        mut self,
        mut kernel: impl Stream<Item = ()> + Unpin,
        shutdown: Shutdown,
    ) {
        let mut ovs = self.host.ovs.watch();
        while !shutdown.is_cancelled() {
            let gather = self.settle().await;
            tokio::select! {
                _ = ovs.changed() => {}
                _ = self.node.changed() => {}
                _ = self.subnets.changed() => {}
                _ = self.pods.changed(), if self.redirects.are_wanted() => {}
                Some(()) = kernel.next() => {}
                () = sleep(TICK) => {}
                () = shutdown.cancelled() => return,
            }
            sleep(gather).await;
            while kernel.next().now_or_never().flatten().is_some() {}
        }
    }

    /// Returns for how long events may gather before it is time to observe again.
    async fn settle(&mut self) -> Duration {
        let begun = Instant::now();
        match self.reconcile().await {
            Ok(0) => {
                self.is_up.met();
                return (begun.elapsed() * REST).clamp(SETTLE, LONGEST);
            }
            Ok(changes) => {
                self.is_up.met();
                tracing::info!(changes, "Node changed");
            }
            Err(error) => {
                let why = Chain(&error).to_string();
                tracing::debug!(error = why, "Node is not yet as desired");
                self.is_up.unmet(why);
            }
        }
        SETTLE
    }

    async fn reconcile(&mut self) -> Result<usize, Error> {
        let pruned = self.host.prune().await?;
        let node = self.node_object();
        let (carrier, tunnelled) = self
            .tunnel
            .reconcile(&self.host, node.as_ref().ok())
            .await?;
        let facts = self.observe_facts(carrier).await?;
        let node = node?;
        // neither waits for the other to succeed
        let reconciled = self.reconcile_host(facts, &node).await;
        let annotated = self.annotator.chassis(&self.host, &node).await;
        Ok(pruned + tunnelled + reconciled? + annotated?)
    }

    async fn reconcile_host(&mut self, facts: Facts, node: &Node) -> Result<usize, Error> {
        let overlay = self.overlay(node)?;
        let redirect = self.redirect(node).await?;
        let found = redirect.found.clone();
        let state = node_state(&NodeInputs {
            node: self.name.clone(),
            allocation: self.allocation(node)?,
            datapath: facts.datapath,
            mtu: facts.mtu,
            encapsulation: facts.encapsulation,
            overlay,
            redirect,
        })?;
        self.desired.send_replace(Some(state.clone()));
        let mut made = self.host.reconcile(&state).await?;
        made += self.firewall.reconcile(&self.host.kernel, &state).await?;
        let desired = &state.redirection;
        let kernel = &self.host.kernel;
        made += self.redirects.apply(kernel, desired, &found).await;
        let told = self
            .annotator
            .redirect_faults(&self.host, node, &desired.faults);
        Ok(made + told.await?)
    }

    async fn redirect(&mut self, node: &Node) -> Result<RedirectInputs, Error> {
        let subnets = self.subnets.borrow().clone();
        let redirects = redirects::of(&subnets, node);
        let pods = if redirects.is_empty() {
            BTreeMap::new()
        } else {
            redirects::addresses(&self.pods.borrow_and_update())?
        };
        let found = self
            .redirects
            .found(&self.host.kernel, !redirects.is_empty());
        Ok(RedirectInputs {
            redirects,
            pods,
            found: found.await?,
        })
    }

    async fn observe_facts(&self, carrier: Option<Carrier>) -> Result<Facts, Error> {
        let facts = facts::observe(&self.host, self.mtu, carrier).await?;
        self.facts.send_if_modified(|published| {
            let changed = *published != Some(facts);
            *published = Some(facts);
            changed
        });
        Ok(facts)
    }

    fn node_object(&mut self) -> Result<Node, Error> {
        let table = self.node.borrow_and_update();
        let node = table.cluster(self.name.as_str()).cloned();
        node.ok_or_else(|| Error::NoNode(self.name.clone()))
    }

    fn allocation(&self, node: &Node) -> Result<Allocation, Error> {
        let invalid = |source| Error::Invalid {
            node: self.name.clone(),
            source,
        };
        let allocation = Allocation::read(&Provider::Ovn, &node.annotations).map_err(invalid)?;
        allocation.ok_or_else(|| Error::Unallocated(self.name.clone()))
    }

    /// Not before the subnets have been listed: routes to those not yet known would be removed.
    fn overlay(&mut self, node: &Node) -> Result<Vec<daemon_plan::Overlay>, Error> {
        let table = self.subnets.borrow_and_update();
        if !table.is_synced {
            return Err(Error::NoSubnets);
        }
        let rows = table.rows.values();
        Ok(rows.filter_map(|it| it.overlay_at(node)).collect())
    }
}
