//! What gateway nodes carry: as much more as there are of them, and no more than they are allowed.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use model::IpFamily;
use serde_json::{Value, json};
use testkit::{
    Lab, OvnVersion,
    outside::{End, throughput},
    tell::tell,
    wait_for_event, wait_until,
};
use tokio::time::Instant;

use super::{PATIENCE, Way, edit, with_gateways};

/// What a node's link to the outside carries in each test of more than one, in Mbit/s.
const CAP: &str = "100mbit";
const STREAMS: usize = 16;
/// How many streams share what one node is allowed.
const SHARERS: usize = 8;

#[test]
fn b3b_two_gateway_nodes_carry_more_than_one_on_23_03() {
    two_carry_more(OvnVersion::V23_03);
}

#[test]
fn b3b_two_gateway_nodes_carry_more_than_one_on_25_03() {
    two_carry_more(OvnVersion::V25_03);
}

fn two_carry_more(version: OvnVersion) {
    with_gateways(version, async |lab, cluster, way| {
        for node in ["n2", "n3"] {
            let cap = ["qdisc", "add", "dev", "eth0", "root", "tbf", "rate", CAP];
            let tc = lab.node(node)?.netns().command("tc").args(cap);
            tc.args(["burst", "256kb", "latency", "50ms"]).read()?;
        }
        leave_by(lab, &way, &["n2"]).await?;
        let one = sent(&way, IpFamily::V4, STREAMS, End::Near)?;
        leave_by(lab, &way, &["n2", "n3"]).await?;
        wait_until("two carry more than one", PATIENCE, async || {
            let two = sent(&way, IpFamily::V4, STREAMS, End::Near)?;
            let ratio = two / one;
            tell(format_args!(
                "b3b: {STREAMS} streams, {CAP} a node: {one:.1} Mbit/s by one, {two:.1} by two, \
                 which is {ratio:.2} times as much"
            ))?;
            ensure!(ratio > 1.6, "two carry {ratio:.2} times what one does");
            Ok(())
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

async fn leave_by(lab: &Lab, way: &Way, nodes: &[&str]) -> Result<()> {
    edit(lab, json!({"gatewayNode": nodes.join(",")})).await?;
    way.left_by(lab, Instant::now(), nodes).await.map(drop)
}

/// What so many streams carry, in Mbit/s.
fn sent(way: &Way, family: IpFamily, streams: usize, sender: End) -> Result<f64> {
    let flows = (0..streams).map(|_| way.connect(family));
    throughput(&flows.collect::<Result<Vec<_>>>()?, sender)
}

#[test]
fn a_gateway_node_carries_what_its_annotations_allow_as_they_change_on_23_03() {
    as_much_as_allowed(OvnVersion::V23_03);
}

#[test]
fn a_gateway_node_carries_what_its_annotations_allow_as_they_change_on_25_03() {
    as_much_as_allowed(OvnVersion::V25_03);
}

fn as_much_as_allowed(version: OvnVersion) {
    with_gateways(version, async |lab, cluster, way| {
        leave_by(lab, &way, &["n3"]).await?;
        limit(lab, json!({"ingress_rate": "20"}), 1).await?;
        for family in lab.families().all() {
            about(&way, *family, End::Near, 20.0).await?;
        }
        let back = sent(&way, IpFamily::V4, SHARERS, End::Far)?;
        ensure!(back > 30.0, "the other direction carries {back:.1} Mbit/s");

        limit(lab, json!({"ingress_rate": "40", "egress_rate": "20"}), 2).await?;
        about(&way, IpFamily::V4, End::Near, 40.0).await?;
        about(&way, IpFamily::V4, End::Far, 20.0).await?;

        limit(lab, json!({"ingress_rate": null, "egress_rate": "fast"}), 0).await?;
        let words = ["egress_rate", "`fast`", "write a whole number of Mbit/s"];
        wait_for_event(lab, "ValidateNodeNetworkFailed", &words).await?;
        let free = sent(&way, IpFamily::V4, SHARERS, End::Near)?;
        tell(format_args!("{free:.1} Mbit/s without a limit"))?;
        ensure!(free > 60.0, "without a limit it carries {free:.1} Mbit/s");
        drop(cluster);
        Ok(())
    });
}

/// What is carried is the rate, to a tenth, and never more. A machine that is busy may need several
/// tries.
async fn about(way: &Way, family: IpFamily, sender: End, rate: f64) -> Result<()> {
    wait_until("as much is carried as may be", PATIENCE, async || {
        let found = sent(way, family, SHARERS, sender)?;
        tell(format_args!(
            "{found:.1} Mbit/s of {rate} allowed, {family:?}, sent by the end {sender:?}"
        ))?;
        // without a word of `Err`, which would only be another try
        assert!(
            found <= rate * 1.1,
            "it carries {found:.1} Mbit/s of {rate}"
        );
        ensure!(
            found >= rate * 0.9,
            "it carries {found:.1} Mbit/s of {rate}"
        );
        Ok(())
    })
    .await
}

/// Annotates the gateway node, and waits until so many limits are in force.
async fn limit(lab: &Lab, rates: Value, expected: usize) -> Result<()> {
    let rates = rates.as_object().context("rates are a map")?;
    let rates = rates.iter();
    let annotations: serde_json::Map<_, _> = rates
        .map(|(key, rate)| (format!("ovn.kubernetes.io/{key}"), rate.clone()))
        .collect();
    let nodes: Api<Node> = Api::all(lab.api_server()?.client()?);
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    nodes.patch("n3", &PatchParams::default(), &patch).await?;
    wait_until("the limits are in force", PATIENCE, async || {
        let rules = lab.nbctl(["qos-list", "join"])?;
        ensure!(rules.lines().count() == expected, "they are {rules}");
        for rate in annotations.values().filter_map(Value::as_str) {
            let wanted = format!("rate={rate}000");
            ensure!(expected == 0 || rules.contains(&wanted), "they are {rules}");
        }
        Ok(())
    })
    .await?;
    lab.sync()
}
