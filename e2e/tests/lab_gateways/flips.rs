//! Other gateways while pods run.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use testkit::{
    Lab, OvnVersion, loss::Pinging, objects::pod, subnets::wait_for_ready, tell::tell,
    wait_for_event, wait_until,
};
use tokio::time::Instant;

use super::{
    CENTRALIZED, NO_GATEWAY, NODES, PATIENCE, SUBNET, edit, has_policies, set_ready, with_gateways,
};

/// How long an edit may take to have its effect, a connection included that is tried meanwhile and
/// given up.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn b3e_a_subnet_is_switched_between_distributed_and_centralized_while_pods_talk_on_23_03() {
    switched_both_ways(OvnVersion::V23_03);
}

#[test]
fn b3e_a_subnet_is_switched_between_distributed_and_centralized_while_pods_talk_on_25_03() {
    switched_both_ways(OvnVersion::V25_03);
}

fn switched_both_ways(version: OvnVersion) {
    with_gateways(version, async |lab, cluster, way| {
        let neighbour = cluster.run_pod(pod("neighbour"), "n2").await?;
        let (from, to) = (way.from().path(), neighbour.first_address()?);
        let talk = Pinging::start(from, to, "talk", lab.directory()).await?;
        for _ in 0..2 {
            let centralized = json!({"gatewayType": "centralized", "gatewayNode": "n2"});
            edit(lab, centralized).await?;
            let took = way.left_by(lab, Instant::now(), &["n2"]).await?;
            tell(format_args!("b3e: {took:?} to centralized"))?;
            one_form(lab, Form::Centralized).await?;
            // both at once
            let distributed = json!({"gatewayType": "distributed", "gatewayNode": ""});
            edit(lab, distributed).await?;
            let took = way.left_by(lab, Instant::now(), &["n1"]).await?;
            tell(format_args!("b3e: {took:?} to distributed"))?;
            one_form(lab, Form::Distributed).await?;
        }
        let loss = talk.finish().await?;
        tell(format_args!("b3e: pods of two subnets meanwhile: {loss:?}"))?;
        ensure!(loss.outage < Duration::from_secs(1), "they lost {loss:?}");
        Ok(())
    });
}

#[test]
fn b3e_edits_of_the_list_of_gateway_nodes_count_at_once() {
    with_gateways(OvnVersion::V25_03, async |lab, cluster, way| {
        way.left_by(lab, Instant::now(), &NODES).await?;
        edit(lab, json!({"gatewayNode": "n1,n3"})).await?;
        let took = way.left_by(lab, Instant::now(), &["n1", "n3"]).await?;
        tell(format_args!("b3e: {took:?} to take a node off the list"))?;
        ensure!(took < AT_ONCE, "it took {took:?}");

        edit(lab, json!({"gatewayNode": "n3,nowhere"})).await?;
        way.left_by(lab, Instant::now(), &["n3"]).await?;
        let words = ["spec.gatewayNode", "`nowhere`", "remove it from the list"];
        wait_for_event(lab, "ValidateLogicalSwitchFailed", &words).await?;

        edit(lab, json!({"gatewayNode": ""})).await?;
        let why = wait_for_ready(lab, SUBNET, "False", NO_GATEWAY).await?;
        ensure!(why.contains("name a node"), "it says {why}");
        has_policies(lab, 0)?;
        edit(lab, json!({"gatewayNode": "n2"})).await?;
        wait_for_ready(lab, SUBNET, "True", CENTRALIZED).await?;
        way.left_by(lab, Instant::now(), &["n2"]).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn b3e_where_one_node_carries_all_the_next_takes_over_and_the_last_is_never_left() {
    with_gateways(OvnVersion::V25_03, async |lab, cluster, way| {
        let in_turn = json!({"gatewayNode": "n3,n2", "enableEcmp": false});
        edit(lab, in_turn).await?;
        way.left_by(lab, Instant::now(), &["n3"]).await?;
        wait_for_ready(lab, SUBNET, "True", CENTRALIZED).await?;
        set_ready(lab, "n3", "Unknown").await?;
        way.left_by(lab, Instant::now(), &["n2"]).await?;
        set_ready(lab, "n2", "Unknown").await?;
        wait_for_ready(lab, SUBNET, "False", NO_GATEWAY).await?;
        // nobody is better, so the slot is where it was at first
        way.left_by(lab, Instant::now(), &["n3"]).await?;
        drop(cluster);
        Ok(())
    });
}

/// The rows by which the subnet's traffic leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Distributed,
    Centralized,
}

/// There are the rows of this form, and none of the other.
async fn one_form(lab: &Lab, form: Form) -> Result<()> {
    let families = lab.families().all().len();
    wait_until(&format!("all rows are {form:?}"), PATIENCE, async || {
        let ports = lab.nbctl(["get", "Port_Group", "node.n1", "ports"])?;
        let sets = lab.nbctl(["--bare", "--columns=name", "list", "Address_Set"])?;
        let sets = sets.lines().filter(|name| name.starts_with("gw.")).count();
        let (wanted, is_alone) = match form {
            Form::Distributed => (0, ports != "[]"),
            Form::Centralized => (families, ports == "[]"),
        };
        has_policies(lab, wanted)?;
        ensure!(sets == wanted, "there are {sets} sets of sources");
        ensure!(is_alone, "the node has the pods {ports}");
        Ok(())
    })
    .await
}
