//! Centralized gateways: by which nodes packets of a subnet leave, as a host outside sees it.
#![cfg(test)]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use api::{Subnet, annotation::GATEWAY_SLOTS};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams, PostParams};
use model::{DualStack, IpFamily};
use nix::sys::{
    socket::{setsockopt, sockopt::ReceiveTimeout},
    time::TimeVal,
};
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, Netns, OvnVersion, RunningPod, lab, objects::pod,
    tell::tell, wait_until,
};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(2);
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";
const NODES: [&str; 3] = ["n1", "n2", "n3"];

#[test]
fn b3a_all_gateway_nodes_carry_traffic_at_once_and_flows_of_the_others_survive_one() {
    with_gateways(async |lab, mut cluster, way| {
        for family in lab.families().all() {
            b3a_spread(lab, &way, *family).await?;
        }
        recorded_slots_are_the_next_hops(lab).await?;
        b3d_failover(lab, &way).await?;
        let before = policies(lab)?;
        cluster.start_controller()?;
        cluster.ready().await?;
        ensure!(policies(lab)? == before, "a restart changed {before}");
        Ok(())
    });
}

#[test]
fn b3e_a_subnet_is_switched_between_distributed_and_centralized_while_pods_talk() {
    with_gateways(async |lab, cluster, way| {
        let v4 = IpFamily::V4;
        edit(
            lab,
            json!({"gatewayType": "centralized", "gatewayNode": "n2"}),
        )
        .await?;
        leaves_by(lab, &way, v4, &["n2"]).await?;
        // both at once
        edit(
            lab,
            json!({"gatewayType": "distributed", "gatewayNode": ""}),
        )
        .await?;
        for family in lab.families().all() {
            leaves_by(lab, &way, *family, &["n1"]).await?;
        }
        ensure!(!policies(lab)?.contains("$gw."), "a policy is left");
        edit(lab, json!({"gatewayType": "centralized"})).await?;
        ready(lab, "False", "NoReadyGateway").await?;
        edit(
            lab,
            json!({"gatewayNode": "n3,n2,nowhere", "enableEcmp": false}),
        )
        .await?;
        leaves_by(lab, &way, v4, &["n3"]).await?;
        edit(lab, json!({"gatewayNode": "n3,n2"})).await?;
        ready(lab, "True", "ReconcileCentralizedGatewaySuccess").await?;
        set_ready(lab, "n3", "Unknown").await?;
        for family in lab.families().all() {
            leaves_by(lab, &way, *family, &["n2"]).await?;
        }
        set_ready(lab, "n2", "Unknown").await?;
        ready(lab, "False", "NoReadyGateway").await?;
        // nobody is better, so the slot is where it was at first
        leaves_by(lab, &way, v4, &["n3"]).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn b3f_outside_sees_the_gateway_node_with_nat_and_the_pod_without() {
    with_gateways(async |lab, cluster, way| {
        edit(lab, json!({"gatewayNode": "n3"})).await?;
        for family in lab.families().all() {
            leaves_by(lab, &way, *family, &["n3"]).await?;
        }
        let by = lab.node("n3")?.addresses();
        let routes = way.pod.addresses.iter().map(|(family, address)| {
            let by = by.get(family).context("no such family")?;
            Ok(format!("route add {address} via {by}"))
        });
        way.outside.ip(routes.collect::<Result<Vec<_>>>()?)?;
        edit(lab, json!({"natOutgoing": false})).await?;
        for family in lab.families().all() {
            let own = way.pod.address(*family)?;
            wait_until("outside sees the pod", PATIENCE, async || {
                let seen = way.connect(*family)?.seen;
                ensure!(seen == own, "it sees {seen}");
                Ok(())
            })
            .await?;
        }
        drop(cluster);
        Ok(())
    });
}

/// From a pod on n1 to a host outside.
struct Way {
    pod: RunningPod,
    outside: Netns,
    listeners: DualStack<(TcpListener, SocketAddr)>,
}

/// A connection that is open at both ends.
struct Flow {
    near: TcpStream,
    far: TcpStream,
    /// Whom the host outside sees.
    seen: IpAddr,
}

/// A subnet with the gateway nodes n1, n2 and n3, and a pod of it on n1.
fn with_gateways(test: impl AsyncFnOnce(&Lab, Cluster<'_>, Way) -> Result<()> + Send + 'static) {
    let options = LabOptions::on(OvnVersion::V25_03).families(Families::Dual);
    lab::run(options.nodes(3).with_api_server(), async move |lab| {
        let cluster = Cluster::start(lab).await?;
        let subnet: Subnet = serde_json::from_value(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "ecmp"},
            "spec": {
                "cidrBlock": "10.70.0.0/16,fd00:70::/64", "natOutgoing": true,
                "gatewayType": "centralized", "gatewayNode": "n1, n2,n3",
            },
        }))?;
        let created = subnets(lab)?;
        created.create(&PostParams::default(), &subnet).await?;
        ready(lab, "True", "ReconcileCentralizedGatewaySuccess").await?;
        let pod = pod("client").annotation(LOGICAL_SWITCH, "ecmp");
        let pod = cluster.run_pod(pod, "n1").await?;
        let way = Way::new(lab, pod)?;
        for family in lab.families().all() {
            wait_until("the pod reaches outside", PATIENCE, async || {
                way.connect(*family).map(drop)
            })
            .await?;
        }
        test(lab, cluster, way).await
    });
}

// === impl Way ===

impl Way {
    fn new(lab: &Lab, pod: RunningPod) -> Result<Self> {
        let (outside, addresses) = lab.outside()?;
        let mut listeners = DualStack::NONE;
        for (family, address) in addresses.iter() {
            let listener = testkit::traffic::listen(&outside, family)?;
            // while a slot moves, a connection may seem open to the client alone
            setsockopt(&listener, ReceiveTimeout, &TimeVal::new(2, 0))?;
            let peer = SocketAddr::new(*address, listener.local_addr()?.port());
            *listeners.get_mut(family) = Some((listener, peer));
        }
        Ok(Self {
            pod,
            outside,
            listeners,
        })
    }

    fn connect(&self, family: IpFamily) -> Result<Flow> {
        let (listener, peer) = self.listeners.get(family).context("no such family")?;
        listener.set_nonblocking(true)?;
        // one whose client gave up
        while listener.accept().is_ok() {}
        listener.set_nonblocking(false)?;
        let near = self
            .pod
            .netns()
            .run(|| Ok(TcpStream::connect_timeout(peer, CONNECT)?))?;
        let (far, seen) = listener.accept()?;
        for end in [&near, &far] {
            end.set_read_timeout(Some(CONNECT))?;
        }
        let seen = seen.ip();
        let mut flow = Flow { near, far, seen };
        flow.carries()?;
        Ok(flow)
    }
}

// === impl Flow ===

impl Flow {
    /// A word goes there and back.
    fn carries(&mut self) -> Result<()> {
        let mut word = [0; 4];
        self.near.write_all(b"ping")?;
        self.far.read_exact(&mut word)?;
        self.far.write_all(&word)?;
        self.near.read_exact(&mut word)?;
        ensure!(&word == b"ping", "another word came back");
        Ok(())
    }
}

/// Three hundred connections use all three nodes, each for at least a fifth of them.
async fn b3a_spread(lab: &Lab, way: &Way, family: IpFamily) -> Result<()> {
    leaves_by(lab, way, family, &NODES).await?;
    let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for _ in 0..300 {
        *counts.entry(way.connect(family)?.seen).or_default() += 1;
    }
    tell(format_args!("b3a: of 300 connections {counts:?}"))?;
    ensure!(counts.len() == NODES.len(), "seen as {counts:?}");
    ensure!(counts.values().all(|it| *it >= 60), "seen as {counts:?}");
    Ok(())
}

/// What was recorded on the join subnet is what the one policy of each family leads to.
async fn recorded_slots_are_the_next_hops(lab: &Lab) -> Result<()> {
    let join = subnets(lab)?.get("join").await?;
    let recorded = join.metadata.annotations.unwrap_or_default();
    let recorded = recorded
        .get(GATEWAY_SLOTS)
        .context("no slots are recorded")?;
    let mut words = recorded.split(' ');
    ensure!(words.next() == Some("n1,n2,n3"), "recorded are {recorded}");
    let slots: Vec<&str> = words.collect();
    ensure!(slots.len() == 12, "recorded are {recorded}");
    let policies = policies(lab)?;
    let lines: Vec<&str> = policies.lines().filter(|it| it.contains("$gw.")).collect();
    ensure!(lines.len() == 2, "there are {policies}");
    for address in slots.iter().flat_map(|slot| slot.split(',')) {
        ensure!(policies.contains(address), "{address} is not in {policies}");
    }
    let flows = lab.sbctl(["lflow-list", "ovn-cluster"])?;
    ensure!(flows.contains("select("), "no group chooses a next hop");
    Ok(())
}

/// A node that is no longer ready gets no new connection; what others carry goes on.
async fn b3d_failover(lab: &Lab, way: &Way) -> Result<()> {
    let families: Vec<IpFamily> = lab.families().all().to_vec();
    let mut flows = Vec::new();
    for family in families.iter().flat_map(|family| [*family; 60]) {
        flows.push(way.connect(family)?);
    }
    let lost = lab.node("n2")?.addresses();
    let is_lost = |seen: IpAddr| lost.values().any(|address| *address == seen);
    flows.retain(|flow| !is_lost(flow.seen));
    let before = policies(lab)?;

    set_ready(lab, "n2", "Unknown").await?;
    let begun = Instant::now();
    for family in &families {
        leaves_by(lab, way, *family, &["n1", "n3"]).await?;
    }
    tell(format_args!(
        "b3d: {:?} after the node was not ready no new connection left by it",
        begun.elapsed()
    ))?;
    ensure!(policies(lab)? == before, "the next hops changed");
    let kept = flows
        .iter_mut()
        .filter_map(|flow| flow.carries().ok())
        .count();
    tell(format_args!(
        "b3d: {kept} of {} flows by other nodes went on",
        flows.len()
    ))?;
    ensure!(
        kept == flows.len(),
        "{kept} of {} flows went on",
        flows.len()
    );

    set_ready(lab, "n2", "True").await?;
    for family in &families {
        leaves_by(lab, way, *family, &NODES).await?;
    }
    let kept = flows
        .iter_mut()
        .filter_map(|flow| flow.carries().ok())
        .count();
    ensure!(
        kept == flows.len(),
        "{kept} of {} flows outlived the return",
        flows.len()
    );
    Ok(())
}

/// Connections leave by these nodes, each of them, and by no other.
async fn leaves_by(lab: &Lab, way: &Way, family: IpFamily, nodes: &[&str]) -> Result<()> {
    let wanted = nodes.iter().map(|node| {
        let addresses = lab.node(node)?.addresses();
        addresses.get(family).copied().context("no such family")
    });
    let mut wanted = wanted.collect::<Result<Vec<IpAddr>>>()?;
    wanted.sort();
    wait_until(
        &format!("traffic leaves by {nodes:?}"),
        PATIENCE,
        async || {
            let mut seen = Vec::new();
            for _ in 0..40 {
                seen.push(way.connect(family)?.seen);
            }
            seen.sort();
            seen.dedup();
            ensure!(seen == wanted, "outside sees {seen:?}");
            Ok(())
        },
    )
    .await
}

fn subnets(lab: &Lab) -> Result<Api<Subnet>> {
    Ok(Api::all(lab.api_server()?.client()?))
}

async fn edit(lab: &Lab, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": spec}));
    let subnets = subnets(lab)?;
    subnets
        .patch("ecmp", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// As kubelet would say, or the node controller when kubelet is silent.
async fn set_ready(lab: &Lab, node: &str, status: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(lab.api_server()?.client()?);
    let ready = json!({"type": "Ready", "status": status});
    let patch = Patch::Merge(json!({"status": {"conditions": [ready]}}));
    nodes
        .patch_status(node, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// The condition Ready of the subnet becomes so.
async fn ready(lab: &Lab, status: &str, reason: &str) -> Result<()> {
    wait_until(&format!("the subnet is {reason}"), PATIENCE, async || {
        let subnet = subnets(lab)?.get("ecmp").await?;
        let conditions = subnet.status.unwrap_or_default().conditions;
        let ready = conditions.into_iter().find(|it| it.type_ == "Ready");
        let ready = ready.context("nothing is said yet")?;
        let is_so = ready.status == status && ready.reason == reason;
        ensure!(
            is_so,
            "it says {} {}: {}",
            ready.status,
            ready.reason,
            ready.message
        );
        Ok(())
    })
    .await
}

fn policies(lab: &Lab) -> Result<String> {
    lab.nbctl(["lr-policy-list", "ovn-cluster"])
}
