//! Three gateway nodes of which one is cut off: how long new flows are lost, and which flows stay.
//!
//! ```text
//! n1  a controller; a pod of each of some of the subnets, from which all flows are
//! n2  a controller
//! n3  no controller
//! ```
//!
//! Every node carries the traffic of every subnet. As in a cluster, the controllers are on nodes and
//! one of them leads; the databases and the API server are elsewhere.

mod controllers;
mod cut;

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use api::Subnet;
use kube::api::{Api, PostParams};
use model::IpFamily;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use self::controllers::Controllers;
pub use self::cut::Cut;
use crate::{
    Cluster, Lab, LabOptions, Netns, OvnVersion, RunningPod,
    cluster::{CONTROLLER_ADMIN, DAEMON_ADMIN, get},
    flows::Traffic,
    objects::pod,
    wait_until,
};

/// The gateway nodes.
pub const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// Where the pods are.
const HOME: &str = "n1";
/// So many subnets have a pod, if there are so many.
const PODS: usize = 5;
/// So many flows that stay are by each gateway.
const FLOWS: usize = 10;
/// So many calls to the API server are under way at once.
const AT_ONCE: usize = 32;
/// The metric of the echo requests that a program has sent.
const PROBES: &str = "gateway_probes_total";
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";
/// Until all nodes have installed many subnets.
const INSTALLED: Duration = Duration::from_mins(10);
const PATIENCE: Duration = Duration::from_mins(1);
/// An outage is over when no flow was lost for so long.
const QUIET: Duration = Duration::from_secs(2);

/// What an outage did.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// From the cut to the last new flow that was lost; zero where none was.
    pub lost_for: Duration,
    /// So many new flows were lost meanwhile.
    pub lost: usize,
    /// So many were lost when the node came back.
    pub lost_on_return: usize,
    /// So many flows that stay went on, of all.
    pub kept: (usize, usize),
    /// The same of those by other nodes.
    pub kept_by_others: (usize, usize),
    /// From the end of the cut until the node carries new flows again.
    pub recovered: Duration,
    /// From the end of the cut until the leader hears the daemons of all nodes again.
    pub heard: Duration,
}

/// The lab with the subnets, and flows from their pods to a host outside.
#[derive(Debug)]
pub struct Gateways<'lab> {
    traffic: Traffic,
    cluster: Cluster<'lab>,
    controllers: Controllers<'lab>,
    _pods: Vec<RunningPod>,
    _outside: Netns,
}

/// A lab for [`Gateways`].
pub const fn options() -> LabOptions {
    LabOptions::on(OvnVersion::V25_03)
        .nodes(3)
        .with_api_server()
}

// === impl Gateways ===

impl<'lab> Gateways<'lab> {
    /// Starts controllers and daemons, makes so many centralized subnets and some pods, and waits
    /// until flows pass by every node.
    ///
    /// # Errors
    /// They do not.
    pub async fn start(lab: &'lab Lab, subnets: usize) -> Result<Self> {
        let mut cluster = Cluster::prepare(lab).await?;
        let controllers = Controllers::start(&cluster).await?;
        for node in lab.nodes() {
            cluster.start_daemon(node)?;
        }
        for node in lab.nodes() {
            let what = format!("the daemon of {} is ready", node.name());
            wait_until(&what, PATIENCE, async || cluster.ask_daemon(node)).await?;
        }
        cluster.bring_certificates().await?;
        controllers.hear_all().await?;
        create_subnets(lab, subnets).await?;
        installed(lab, subnets).await?;
        let pods = run_pods(&cluster, subnets).await?;
        let (outside, addresses) = lab.outside()?;
        let address = addresses.values().next().context("no address")?;
        let namespaces: Vec<&Netns> = pods.iter().map(RunningPod::netns).collect();
        Ok(Self {
            traffic: Traffic::start(&namespaces, &outside, *address)?,
            cluster,
            controllers,
            _pods: pods,
            _outside: outside,
        })
    }

    /// The process ids of controllers and daemons.
    ///
    /// # Errors
    /// A daemon was not started.
    pub fn program_ids(&self) -> Result<Vec<u32>> {
        let nodes = self.cluster.lab().nodes().iter();
        let daemons = nodes.map(|node| self.cluster.daemon_id(node));
        self.controllers.ids().map(Ok).chain(daemons).collect()
    }

    /// How many echo requests all of them have sent.
    ///
    /// # Errors
    /// One does not say it.
    pub fn probes(&self) -> Result<f64> {
        let nodes = self.cluster.lab().nodes().iter();
        let daemons = nodes.map(|node| (node, DAEMON_ADMIN));
        let controllers = self
            .controllers
            .nodes()
            .map(|node| (node, CONTROLLER_ADMIN));
        let counts = daemons.chain(controllers).map(|(node, port)| {
            let metrics = get(node.netns(), port, "/metrics")?;
            let lines = metrics.lines();
            let counts =
                lines.filter_map(|line| line.strip_prefix(PROBES)?.trim().parse::<f64>().ok());
            Ok(counts.sum::<f64>())
        });
        counts.sum()
    }

    /// Lets the controller of a node lead, which must have one.
    ///
    /// # Errors
    /// It does not after a minute.
    pub async fn lead(&mut self, node: &str) -> Result<()> {
        self.controllers.lead(node).await
    }

    /// Cuts a node off until no flow is lost any more, and makes it whole again.
    ///
    /// # Errors
    /// Flows are lost for longer than a minute, or the node does not come back.
    pub async fn outage(&mut self, node: &str, cut: Cut) -> Result<Outage> {
        self.at_rest().await?;
        let begun = Instant::now();
        let broken = cut.make(node, &self.cluster, &self.controllers)?;
        let lost = quiet(&mut self.traffic, begun).await;
        broken.end()?;
        let lost = lost.with_context(|| format!("{node} is cut off, {cut}"))?;
        let whole = Instant::now();
        let recovered = self.comes_back(node, whole).await?;
        let lost_on_return = quiet(&mut self.traffic, whole).await?.len();
        self.controllers.start_ended()?;
        self.controllers.hear_all().await?;
        let heard = whole.elapsed();
        let (all, others) = self.gateways(node)?;
        let last = lost.last().copied();
        Ok(Outage {
            lost_for: last.map_or(Duration::ZERO, |last| last.duration_since(begun)),
            lost: lost.len(),
            lost_on_return,
            kept: self.traffic.kept(&all).await?,
            kept_by_others: self.traffic.kept(&others).await?,
            recovered,
            heard,
        })
    }

    /// Waits until flows go by all nodes, none is lost, and those that stay do.
    async fn at_rest(&mut self) -> Result<()> {
        let (all, _) = self.gateways("")?;
        wait_until("the traffic is at rest", PATIENCE, async || {
            self.carry(&all).await?;
            self.traffic.fill(&all, FLOWS).await?;
            self.traffic.forget();
            quiet(&mut self.traffic, Instant::now()).await?;
            // one by the slot of a node that was away does not outlive its return
            let (kept, flows) = self.traffic.kept(&all).await?;
            ensure!(kept == flows, "{kept} of {flows} go on");
            Ok(())
        })
        .await
    }

    /// Waits until all of them carry new flows.
    async fn carry(&self, gateways: &[IpAddr]) -> Result<()> {
        let begun = Instant::now();
        wait_until("flows go by all nodes", PATIENCE, async || {
            let carries = |by: &IpAddr| self.traffic.first_arrival(*by, begun).is_some();
            ensure!(gateways.iter().all(carries), "one carries none");
            Ok(())
        })
        .await
    }

    /// Waits until a node that is whole carries new flows again; how long it took.
    async fn comes_back(&self, node: &str, whole: Instant) -> Result<Duration> {
        let by = self.gateway(node)?;
        let what = format!("{node} carries flows again");
        let first = wait_until(&what, PATIENCE, async || {
            let first = self.traffic.first_arrival(by, whole);
            first.context("it carries none")
        })
        .await?;
        Ok(first.duration_since(whole))
    }

    /// The addresses of all nodes, and of those but one, as the host outside sees them.
    fn gateways(&self, but: &str) -> Result<(Vec<IpAddr>, Vec<IpAddr>)> {
        let all: Result<Vec<IpAddr>> = NODES.iter().map(|node| self.gateway(node)).collect();
        let others = NODES.iter().filter(|node| **node != but);
        let others: Result<Vec<IpAddr>> = others.map(|node| self.gateway(node)).collect();
        Ok((all?, others?))
    }

    fn gateway(&self, node: &str) -> Result<IpAddr> {
        let addresses = self.cluster.lab().node(node)?.addresses();
        addresses.get(IpFamily::V4).copied().context("no IPv4")
    }
}

/// Waits until no new flow has been lost for a while since then; when those that were had begun.
async fn quiet(traffic: &mut Traffic, since: Instant) -> Result<Vec<Instant>> {
    wait_until("no flow is lost", PATIENCE, async || {
        let attempts = traffic.attempts()?.into_iter();
        let lost = attempts.filter(|it| it.is_lost && it.begun >= since);
        let lost: Vec<Instant> = lost.map(|it| it.begun).collect();
        let last = lost.last().copied().unwrap_or(since);
        ensure!(last.elapsed() > QUIET, "{} were lost", lost.len());
        Ok(lost)
    })
    .await
}

async fn create_subnets(lab: &Lab, count: usize) -> Result<()> {
    let subnets: Api<Subnet> = Api::all(lab.api_server()?.client()?);
    let mut underway = JoinSet::new();
    for number in 0..count {
        let subnet = subnet(number)?;
        let subnets = subnets.clone();
        if underway.len() >= AT_ONCE {
            underway.join_next().await.context("it is underway")???;
        }
        underway.spawn(async move {
            let created = subnets.create(&PostParams::default(), &subnet).await;
            created.map(drop).context("a subnet")
        });
    }
    while let Some(created) = underway.join_next().await {
        created??;
    }
    Ok(())
}

/// Waits until all nodes have so many subnets besides the cluster's own two.
async fn installed(lab: &Lab, count: usize) -> Result<()> {
    wait_until("all nodes have all subnets", INSTALLED, async || {
        let switches = lab.nbctl(["ls-list"])?.lines().count();
        ensure!(switches == count + 2, "{switches} switches are in NB");
        lab.sync()
    })
    .await
}

/// A /24 for each, in the order of their numbers.
fn subnet(number: usize) -> Result<Subnet> {
    let first = u32::from_be_bytes([10, 64, 0, 0]) + (u32::try_from(number)? << 8);
    Ok(serde_json::from_value(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": name(number)},
        "spec": {
            "cidrBlock": format!("{}/24", IpAddr::from(first.to_be_bytes())), "natOutgoing": true,
            "gatewayType": "centralized", "gatewayNode": NODES.join(","),
        },
    }))?)
}

fn name(number: usize) -> String {
    format!("gateway-{number}")
}

/// In subnets from the first to the last.
async fn run_pods(cluster: &Cluster<'_>, subnets: usize) -> Result<Vec<RunningPod>> {
    let count = subnets.min(PODS);
    let mut pods = Vec::new();
    for number in 0..count {
        let subnet = name((number + 1) * subnets / count - 1);
        let pod = pod(&format!("client-{number}")).annotation(LOGICAL_SWITCH, &subnet);
        pods.push(cluster.run_pod(pod, HOME).await?);
    }
    Ok(pods)
}
