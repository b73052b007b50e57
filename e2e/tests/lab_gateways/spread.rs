//! All gateway nodes at once, and one of them that fails.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::annotation::GATEWAY_SLOTS;
use model::IpFamily;
use testkit::{Flow, Lab, OvnVersion, subnets, tell::tell};
use tokio::time::Instant;

use super::{NODES, Way, has_policies, policies, set_ready, with_gateways};

#[test]
fn b3a_all_gateway_nodes_carry_traffic_at_once_and_flows_of_the_others_survive_one_on_23_03() {
    all_carry_traffic(OvnVersion::V23_03);
}

#[test]
fn b3a_all_gateway_nodes_carry_traffic_at_once_and_flows_of_the_others_survive_one_on_25_03() {
    all_carry_traffic(OvnVersion::V25_03);
}

fn all_carry_traffic(version: OvnVersion) {
    with_gateways(version, async |lab, mut cluster, way| {
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

/// Three hundred connections use all three nodes, each for at least a fifth of them.
async fn b3a_spread(lab: &Lab, way: &Way, family: IpFamily) -> Result<()> {
    way.leaves_by(lab, family, &NODES).await?;
    let counts = way.outside.sees(way.from(), family, 300)?;
    tell(format_args!("b3a: of 300 connections {counts:?}"))?;
    ensure!(counts.len() == NODES.len(), "seen as {counts:?}");
    ensure!(counts.values().all(|it| *it >= 60), "seen as {counts:?}");
    Ok(())
}

/// What was recorded on the join subnet is what the one policy of each family leads to.
async fn recorded_slots_are_the_next_hops(lab: &Lab) -> Result<()> {
    let join = subnets::all(lab)?.get("join").await?;
    let recorded = join.metadata.annotations.unwrap_or_default();
    let recorded = recorded
        .get(GATEWAY_SLOTS)
        .context("no slots are recorded")?;
    let mut words = recorded.split(' ');
    ensure!(words.next() == Some("n1,n2,n3"), "recorded are {recorded}");
    let slots: Vec<&str> = words.collect();
    ensure!(slots.len() == 12, "recorded are {recorded}");
    has_policies(lab, lab.families().all().len())?;
    let policies = policies(lab)?;
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
    let took = way.left_by(lab, Instant::now(), &["n1", "n3"]).await?;
    tell(format_args!(
        "b3d: {took:?} after the node was not ready no new connection left by it"
    ))?;
    ensure!(policies(lab)? == before, "the next hops changed");
    let kept = carried(&mut flows);
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
    way.left_by(lab, Instant::now(), &NODES).await?;
    let kept = carried(&mut flows);
    ensure!(
        kept == flows.len(),
        "{kept} of {} flows outlived the return",
        flows.len()
    );
    Ok(())
}

/// How many of them go on.
fn carried(flows: &mut [Flow]) -> usize {
    let flows = flows.iter_mut();
    flows.filter_map(|flow| flow.carries().ok()).count()
}
