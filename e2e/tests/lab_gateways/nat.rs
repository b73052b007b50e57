//! Whom a host outside sees: the gateway node, or the pod.

use std::{net::IpAddr, time::Duration};

use anyhow::{Result, ensure};
use model::IpFamily;
use serde_json::json;
use testkit::{Lab, OvnVersion, tell::tell, wait_until};
use tokio::time::Instant;

use super::{NODES, PATIENCE, Way, address, cidr, edit, with_gateways};

/// How long a switch of `natOutgoing` may take.
const AT_ONCE: Duration = Duration::from_secs(3);

#[test]
fn b3f_outside_sees_the_gateway_node_with_nat_and_the_pod_without_on_23_03() {
    seen_outside(OvnVersion::V23_03);
}

#[test]
fn b3f_outside_sees_the_gateway_node_with_nat_and_the_pod_without_on_25_03() {
    seen_outside(OvnVersion::V25_03);
}

fn seen_outside(version: OvnVersion) {
    with_gateways(version, async |lab, cluster, way| {
        edit(lab, json!({"gatewayNode": "n2,n3"})).await?;
        way.left_by(lab, Instant::now(), &["n2", "n3"]).await?;
        translated_at(lab, &["n2", "n3"]).await?;
        edit(lab, json!({"gatewayNode": "n3"})).await?;
        way.left_by(lab, Instant::now(), &["n3"]).await?;
        translated_at(lab, &["n3"]).await?;

        answers_go_by(lab, &way, "n3")?;
        edit(lab, json!({"natOutgoing": false})).await?;
        for family in lab.families().all() {
            let own = way.pod.address(*family)?;
            way.outside.wait_for(way.from(), *family, &[own]).await?;
        }
        translated_at(lab, &[]).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn r18_nat_of_a_live_subnet_is_switched_within_three_seconds_both_ways() {
    with_gateways(OvnVersion::V25_03, async |lab, cluster, way| {
        edit(lab, json!({"gatewayNode": "n3"})).await?;
        way.left_by(lab, Instant::now(), &["n3"]).await?;
        switched_in_time(lab, &way, "n3").await?;

        edit(lab, json!({"gatewayType": "distributed"})).await?;
        way.left_by(lab, Instant::now(), &["n1"]).await?;
        translated_at(lab, &NODES).await?;
        switched_in_time(lab, &way, "n1").await?;
        drop(cluster);
        Ok(())
    });
}

/// Off and on again, with traffic by this node.
async fn switched_in_time(lab: &Lab, way: &Way, node: &str) -> Result<()> {
    answers_go_by(lab, way, node)?;
    edit(lab, json!({"natOutgoing": false})).await?;
    let begun = Instant::now();
    for family in lab.families().all() {
        let own = way.pod.address(*family)?;
        seen_as(way, *family, own).await?;
    }
    let off = begun.elapsed();
    edit(lab, json!({"natOutgoing": true})).await?;
    let begun = Instant::now();
    for family in lab.families().all() {
        seen_as(way, *family, address(lab, node, *family)?).await?;
    }
    let on = begun.elapsed();
    tell(format_args!("r18: off in {off:?}, on in {on:?} at {node}"))?;
    ensure!(off < AT_ONCE && on < AT_ONCE, "it took {off:?} and {on:?}");
    way.left_by(lab, begun, &[node]).await.map(drop)
}

/// The host outside knows the way to the pod.
fn answers_go_by(lab: &Lab, way: &Way, node: &str) -> Result<()> {
    let routes = way.pod.addresses.iter().map(|(family, own)| {
        let by = address(lab, node, family)?;
        Ok(format!("route replace {own} via {by}"))
    });
    way.outside.netns().ip(routes.collect::<Result<Vec<_>>>()?)
}

async fn seen_as(way: &Way, family: IpFamily, wanted: IpAddr) -> Result<()> {
    wait_until(&format!("outside sees {wanted}"), PATIENCE, async || {
        let seen = way.connect(family)?.seen;
        ensure!(seen == wanted, "it sees {seen}");
        Ok(())
    })
    .await
}

/// These nodes translate what comes from the subnet, and no others.
async fn translated_at(lab: &Lab, nodes: &[&str]) -> Result<()> {
    for node in NODES {
        let is_wanted = nodes.contains(&node);
        let what = format!("{node} translates: {is_wanted}");
        wait_until(&what, PATIENCE, async || {
            for family in lab.families().all() {
                let set = match family {
                    IpFamily::V4 => "nat4",
                    IpFamily::V6 => "nat6",
                };
                let list = lab.node(node)?.netns().command("nft");
                let found = list.args(["list", "set", "inet", "kube_ovn", set]).read()?;
                ensure!(found.contains(cidr(*family)) == is_wanted, "it has {found}");
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}
