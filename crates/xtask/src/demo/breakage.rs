//! Breaking one thing for real, to see that exactly its rows turn red.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use cluster::Cluster;
use testkit::{command::Invocation, wait_until};

use super::{
    check::{Check, Way},
    facts::Facts,
    row,
    workload::SYSTEM,
};
use crate::console;

/// OVN's load balancer of TCP services.
const BALANCER: &str = "cluster-tcp-loadbalancer";
/// The router of the default VPC, and the priority of the policies that lead from a node's pods
/// to that node, and from subnets to their gateway nodes.
const ROUTER: &str = "ovn-cluster";
const NODE_POLICIES: &str = "29000";
/// From the start of a pod until it does its work.
const PATIENCE: Duration = Duration::from_mins(2);

/// What can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Breakage {
    /// The router's policies that lead out of the cluster
    Route,
    /// The backends of the service in the load balancer
    Lb,
    /// The cluster's DNS server
    Dns,
}

/// A Deployment that is switched off while something is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Switched {
    name: &'static str,
    /// Of its pods.
    selector: &'static str,
}

/// Would repair at once what we break in its database.
const CONTROLLER: Switched = Switched {
    name: "kube-ovn-controller",
    selector: "app=kube-ovn-controller",
};
const DNS: Switched = Switched {
    name: "coredns",
    selector: "k8s-app=kube-dns",
};

// === impl Breakage ===

impl Breakage {
    /// The rows that turn red.
    pub(crate) fn ways(self) -> &'static [Way] {
        match self {
            Self::Route => &[
                Way::Outside,
                Way::OutsideFromOther,
                Way::OutsideByGateway,
                Way::OutsideByBoth,
            ],
            Self::Lb => &[Way::ClusterIp],
            Self::Dns => &[Way::Name],
        }
    }

    /// Breaks it.
    ///
    /// # Errors
    /// It cannot be broken.
    pub(crate) fn inflict(self, cluster: &Cluster, facts: &Facts) -> Result<()> {
        match self {
            Self::Route => {
                console::say("Breaking the policies that lead out, with the controller stopped");
                CONTROLLER.stop(cluster)?;
                nbctl(cluster)?
                    .args(["lr-policy-del", ROUTER, NODE_POLICIES])
                    .read()
                    .map(drop)
            }
            Self::Lb => {
                console::say("Breaking the service's load balancer, with the controller stopped");
                CONTROLLER.stop(cluster)?;
                facts.service.values().try_for_each(|address| {
                    let vip = SocketAddr::new(*address, 80).to_string();
                    // were the entry absent, the node's proxy would answer for it
                    let empty = format!(r#"vips:"{vip}"="""#);
                    let set = nbctl(cluster)?.args(["set", "Load_Balancer", BALANCER, &empty]);
                    set.read().map(drop)
                })
            }
            Self::Dns => {
                console::say("Breaking DNS: no server");
                DNS.stop(cluster)
            }
        }
    }

    /// Lets what repairs it do so, and waits until its rows are green.
    ///
    /// # Errors
    /// They stay red.
    pub(crate) async fn restore(self, cluster: &Cluster, checks: &[Check]) -> Result<()> {
        console::say("Restoring");
        mend(cluster)?;
        let broken = checks
            .iter()
            .filter(|check| self.ways().contains(&check.way));
        for check in broken {
            wait_until("what was broken works again", PATIENCE, async || {
                let row = row::run(cluster, check.clone()).await?;
                ensure!(row.is_green(), "{} is red", check.way.describe());
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// Starts what an earlier run may have left switched off.
///
/// # Errors
/// What the API server says.
pub(crate) fn mend(cluster: &Cluster) -> Result<()> {
    [CONTROLLER, DNS]
        .iter()
        .try_for_each(|switched| switched.start(cluster))
}

/// A northbound command, whose effect every node has when it returns.
fn nbctl(cluster: &Cluster) -> Result<Invocation> {
    let words = [
        "exec",
        "--namespace=kube-system",
        "deployment/ovn-central",
        "--",
        "ovn-nbctl",
        "--wait=hv",
        "--timeout=30",
    ];
    Ok(cluster.kubectl()?.args(words))
}

// === impl Switched ===

impl Switched {
    fn stop(self, cluster: &Cluster) -> Result<()> {
        self.scale(cluster, 0)?;
        let wait = ["wait", "-n", SYSTEM, "--for=delete", "pod"];
        let wait = cluster.kubectl()?.args(wait);
        wait.arg(format!("--selector={}", self.selector))
            .read()
            .map(drop)
            .with_context(|| format!("the pods of {} do not go", self.name))
    }

    /// Where it was switched off; otherwise nothing. Does not wait for its pods.
    fn start(self, cluster: &Cluster) -> Result<()> {
        let query = ["get", "deployment", self.name, "-n", SYSTEM];
        let query = cluster.kubectl()?.args(query);
        if query.arg("-o=jsonpath={.spec.replicas}").read()? == "0" {
            self.scale(cluster, 1)?;
        }
        Ok(())
    }

    fn scale(self, cluster: &Cluster, replicas: u8) -> Result<()> {
        let scale = ["scale", "-n", SYSTEM, "deployment", self.name];
        let scale = cluster.kubectl()?.args(scale);
        let scale = scale.arg(format!("--replicas={replicas}"));
        scale.read().map(drop)
    }
}
