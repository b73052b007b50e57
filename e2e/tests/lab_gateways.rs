//! Gateways: by which nodes packets of a subnet leave, as a host outside sees it.
#![cfg(test)]

#[path = "lab_gateways/bandwidth.rs"]
mod bandwidth;
#[path = "lab_gateways/flips.rs"]
mod flips;
#[path = "lab_gateways/nat.rs"]
mod nat;
#[path = "lab_gateways/north.rs"]
mod north;
#[path = "lab_gateways/spread.rs"]
mod spread;

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use model::IpFamily;
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, Netns, Outside, OvnVersion, RunningPod, lab,
    objects::pod,
    subnets::{self, wait_for_ready},
    wait_until,
};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";
const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// The subnet whose gateways are tried.
const SUBNET: &str = "ecmp";
/// The reasons of its condition `Ready`.
const CENTRALIZED: &str = "ReconcileCentralizedGatewaySuccess";
const NO_GATEWAY: &str = "NoReadyGateway";

/// From a pod on n1 to a host outside.
struct Way {
    pod: RunningPod,
    outside: Outside,
}

/// A subnet with the gateway nodes n1, n2 and n3, and a pod of it on n1. OVN 23.03 is tried with IPv4
/// alone.
fn with_gateways(
    version: OvnVersion,
    test: impl AsyncFnOnce(&Lab, Cluster<'_>, Way) -> Result<()> + Send + 'static,
) {
    let families = match version {
        OvnVersion::V23_03 => Families::V4,
        OvnVersion::V25_03 => Families::Dual,
    };
    let options = LabOptions::on(version).families(families);
    lab::run(options.nodes(3).with_api_server(), async move |lab| {
        let cluster = Cluster::start(lab).await?;
        let spec = json!({
            "cidrBlock": cidrs(lab), "natOutgoing": true,
            "gatewayType": "centralized", "gatewayNode": "n1, n2,n3",
        });
        subnets::create(lab, SUBNET, spec).await?;
        wait_for_ready(lab, SUBNET, "True", CENTRALIZED).await?;
        let pod = pod("client").annotation(LOGICAL_SWITCH, SUBNET);
        let pod = cluster.run_pod(pod, "n1").await?;
        let outside = Outside::new(lab)?;
        let way = Way { pod, outside };
        for family in lab.families().all() {
            wait_until("the pod reaches outside", PATIENCE, async || {
                way.connect(*family).map(drop)
            })
            .await?;
        }
        test(lab, cluster, way).await
    });
}

/// Of the subnet.
fn cidrs(lab: &Lab) -> String {
    let cidrs = lab.families().all().iter().copied().map(cidr);
    cidrs.collect::<Vec<_>>().join(",")
}

const fn cidr(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "10.70.0.0/16",
        IpFamily::V6 => "fd00:70::/64",
    }
}

// === impl Way ===

impl Way {
    const fn from(&self) -> &Netns {
        self.pod.netns()
    }

    fn connect(&self, family: IpFamily) -> Result<testkit::Flow> {
        self.outside.connect(self.from(), family)
    }

    /// Connections leave by these nodes, each of them, and by no other.
    async fn leaves_by(&self, lab: &Lab, family: IpFamily, nodes: &[&str]) -> Result<()> {
        let wanted = nodes.iter().map(|node| address(lab, node, family));
        let wanted = wanted.collect::<Result<Vec<IpAddr>>>()?;
        self.outside.wait_for(self.from(), family, &wanted).await
    }

    /// The same in every family, from an instant on; returns how long it took.
    async fn left_by(&self, lab: &Lab, begun: Instant, nodes: &[&str]) -> Result<Duration> {
        for family in lab.families().all() {
            self.leaves_by(lab, *family, nodes).await?;
        }
        Ok(begun.elapsed())
    }
}

/// As whom the node is seen outside.
fn address(lab: &Lab, node: &str, family: IpFamily) -> Result<IpAddr> {
    let addresses = lab.node(node)?.addresses();
    addresses.get(family).copied().context("no such family")
}

async fn edit(lab: &Lab, spec: Value) -> Result<()> {
    subnets::edit(lab, SUBNET, spec).await
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

fn policies(lab: &Lab) -> Result<String> {
    lab.nbctl(["lr-policy-list", "ovn-cluster"])
}

/// The policies that lead a subnet to chosen nodes: one for each family of the lab, or none.
fn has_policies(lab: &Lab, expected: usize) -> Result<()> {
    let policies = policies(lab)?;
    let lines = policies.lines().filter(|line| line.contains("$gw."));
    ensure!(lines.count() == expected, "there are {policies}");
    Ok(())
}
