//! One pod, end to end, twice: from the API object by way of controller, NB, northd,
//! ovn-controller, shim and daemon to a packet that reaches the other node.
//!
//! One case, with a lab that stays for inspection:
//!
//! ```text
//! cargo build -p controller -p daemon -p cni-shim
//! LAB_KEEP=1 cargo test -p e2e --features root-tests --test lab_pod dual_stack_on_25_03 -- --nocapture
//! ```
#![cfg(test)]

use std::time::Duration;

use anyhow::Result;
use testkit::{
    Cluster, Families, Lab, LabOptions, OvnVersion, RunningPod, lab,
    objects::pod,
    traffic::{LARGE, SMALL, ping, tcp, wait_for_ping},
};

const PATIENCE: Duration = Duration::from_secs(10);
const GONE: Duration = Duration::from_secs(1);

#[test]
fn ipv4_on_23_03() {
    pods_reach_each_other(OvnVersion::V23_03, Families::V4);
}

#[test]
fn ipv4_on_25_03() {
    pods_reach_each_other(OvnVersion::V25_03, Families::V4);
}

#[test]
fn ipv6_only_on_23_03() {
    pods_reach_each_other(OvnVersion::V23_03, Families::V6);
}

#[test]
fn ipv6_only_on_25_03() {
    pods_reach_each_other(OvnVersion::V25_03, Families::V6);
}

#[test]
fn dual_stack_on_23_03() {
    pods_reach_each_other(OvnVersion::V23_03, Families::Dual);
}

#[test]
fn dual_stack_on_25_03() {
    pods_reach_each_other(OvnVersion::V25_03, Families::Dual);
}

fn pods_reach_each_other(version: OvnVersion, families: Families) {
    lab::run(
        LabOptions::on(version).families(families).with_api_server(),
        async |lab| {
            let cluster = Cluster::start(lab).await?;
            let a = cluster.run_pod(pod("a"), "n1").await?;
            let b = cluster.run_pod(pod("b"), "n2").await?;
            reach_each_other(lab, &a, &b).await?;
            nodes_reach_pods(lab, &b).await?;

            a.sandbox.del()?;
            a.sandbox.del()?;
            assert!(
                wait_for_ping(b.netns(), a.first_address()?, GONE)
                    .await
                    .is_err()
            );
            Ok(())
        },
    );
}

async fn reach_each_other(lab: &Lab, a: &RunningPod, b: &RunningPod) -> Result<()> {
    for family in lab.families().all() {
        let (to_a, to_b) = (a.address(*family)?, b.address(*family)?);
        wait_for_ping(a.netns(), to_b, PATIENCE).await?;
        assert_eq!(ping(b.netns(), to_a)?.received, 3);
        tcp(a.netns(), b.netns(), to_b, SMALL)?;
        tcp(b.netns(), a.netns(), to_a, LARGE)?;
    }
    Ok(())
}

/// By way of `ovn0`, from the pod's own node and from the other.
async fn nodes_reach_pods(lab: &Lab, pod: &RunningPod) -> Result<()> {
    for node in lab.nodes() {
        for address in pod.addresses.values() {
            wait_for_ping(node.netns(), *address, PATIENCE).await?;
        }
        for address in node.addresses().values() {
            wait_for_ping(pod.netns(), *address, PATIENCE).await?;
        }
    }
    Ok(())
}
