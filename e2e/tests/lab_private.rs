//! A private subnet with real packets: who reaches its pods, whom they reach, and that it becomes
//! private, lets others in and opens again while its pods run.
#![cfg(test)]

use std::time::Duration;

use anyhow::{Result, ensure};
use api::Subnet;
use kube::api::{Api, Patch, PatchParams, PostParams};
use model::IpFamily;
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, OvnVersion, RunningPod, lab,
    objects::pod,
    traffic::{LARGE, SMALL, ping, tcp, wait_for_ping},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(20);
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";
/// The subnet that is made private.
const PRIVATE: &str = "private";
/// A subnet that is let in.
const FRIEND: &str = "friend";
/// One that is not.
const OTHER: &str = "other";

#[test]
fn c2_probes_and_allowed_networks_pass_a_private_ipv4_subnet_and_nobody_else_on_25_03() {
    private_subnet(OvnVersion::V25_03, Families::V4);
}

#[test]
fn c2_probes_and_allowed_networks_pass_both_families_of_a_private_subnet_on_25_03() {
    private_subnet(OvnVersion::V25_03, Families::Dual);
}

#[test]
fn c2_probes_and_allowed_networks_pass_both_families_of_a_private_subnet_on_23_03() {
    private_subnet(OvnVersion::V23_03, Families::Dual);
}

fn private_subnet(version: OvnVersion, families: Families) {
    let options = LabOptions::on(version).families(families).with_api_server();
    lab::run(options, async move |lab| {
        let cluster = Cluster::start(lab).await?;
        for (third, name) in [(1, PRIVATE), (2, FRIEND), (3, OTHER)] {
            create_subnet(lab, name, &cidrs(families, third)).await?;
        }
        let pods = Pods {
            inside: run(&cluster, "inside", PRIVATE, "n1").await?,
            beside: run(&cluster, "beside", PRIVATE, "n2").await?,
            friend: run(&cluster, "friend", FRIEND, "n2").await?,
            other: run(&cluster, "other", OTHER, "n1").await?,
        };
        let families = families.all().len();
        reach(lab, &pods, &[&pods.beside, &pods.friend, &pods.other]).await?;

        edit(lab, json!({"private": true})).await?;
        wait_for_acls(lab, families * 2 + 2).await?;
        reach(lab, &pods, &[&pods.beside]).await?;
        nodes_and_the_gateway_are_answered(lab, &pods)?;
        let rows = rows(lab)?;

        let friends = cidrs(lab.families(), 2);
        let friends: Vec<&str> = friends.split(',').collect();
        edit(lab, json!({"allowSubnets": friends})).await?;
        wait_for_acls(lab, families * 3 + 2).await?;
        reach(lab, &pods, &[&pods.beside, &pods.friend]).await?;
        answers_come_back(lab, &pods)?;

        // nothing that was there is made anew by an edit of something else, or of the friends
        edit(lab, json!({"allowSubnets": [], "natOutgoing": true})).await?;
        wait_for_acls(lab, families * 2 + 2).await?;
        ensure!(rows == self::rows(lab)?, "other rows than {rows:#?}");
        reach(lab, &pods, &[&pods.beside]).await?;

        let anywhere = lab.families().all().iter();
        let anywhere: Vec<String> = anywhere.map(|it| it.any().to_string()).collect();
        edit(lab, json!({"allowSubnets": anywhere})).await?;
        wait_for_acls(lab, families * 3 + 2).await?;
        reach(lab, &pods, &[&pods.beside, &pods.friend, &pods.other]).await?;
        edit(lab, json!({"allowSubnets": []})).await?;
        wait_for_acls(lab, families * 2 + 2).await?;

        edit(lab, json!({"private": false})).await?;
        wait_for_acls(lab, 0).await?;
        reach(lab, &pods, &[&pods.beside, &pods.friend, &pods.other]).await
    });
}

struct Pods {
    inside: RunningPod,
    beside: RunningPod,
    friend: RunningPod,
    other: RunningPod,
}

fn cidrs(families: Families, third: u8) -> String {
    let cidrs = families.all().iter().map(|family| match family {
        IpFamily::V4 => format!("10.{}.0.0/16", 30 + third),
        IpFamily::V6 => format!("fd00:{third}::/112"),
    });
    cidrs.collect::<Vec<_>>().join(",")
}

async fn create_subnet(lab: &Lab, name: &str, cidrs: &str) -> Result<()> {
    let subnet = json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": name},
        "spec": {"cidrBlock": cidrs},
    });
    let subnet: Subnet = serde_json::from_value(subnet)?;
    subnets(lab)?
        .create(&PostParams::default(), &subnet)
        .await?;
    Ok(())
}

fn subnets(lab: &Lab) -> Result<Api<Subnet>> {
    Ok(Api::all(lab.api_server()?.client()?))
}

async fn edit(lab: &Lab, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": spec}));
    subnets(lab)?
        .patch(PRIVATE, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

async fn run(cluster: &Cluster<'_>, name: &str, subnet: &str, node: &str) -> Result<RunningPod> {
    let pod = pod(name).annotation(LOGICAL_SWITCH, subnet);
    cluster.run_pod(pod, node).await
}

/// Waits for so many, and until the nodes have them.
async fn wait_for_acls(lab: &Lab, count: usize) -> Result<()> {
    wait_until("the ACLs are as many", PATIENCE, async || {
        let acls = lab.nbctl(["acl-list", PRIVATE])?;
        ensure!(acls.lines().count() == count, "there are {acls}");
        Ok(())
    })
    .await?;
    lab.sync()
}

/// What the ACLs are, with their UUIDs.
fn rows(lab: &Lab) -> Result<Vec<String>> {
    let columns = "--columns=_uuid,priority,match,action,log,severity,name";
    let printed = lab.nbctl(["--format=csv", "--no-headings", columns, "list", "ACL"])?;
    let mut rows: Vec<String> = printed.lines().map(str::to_owned).collect();
    rows.sort();
    Ok(rows)
}

/// Those reach the pod inside by both families, and the others by none.
async fn reach(lab: &Lab, pods: &Pods, wanted: &[&RunningPod]) -> Result<()> {
    for family in lab.families().all() {
        let address = pods.inside.address(*family)?;
        for from in [&pods.beside, &pods.friend, &pods.other] {
            let name = from.netns().name();
            if wanted.iter().any(|it| it.netns().name() == name) {
                wait_for_ping(from.netns(), address, PATIENCE).await?;
                tcp(from.netns(), pods.inside.netns(), address, SMALL)?;
            } else {
                let received = ping(from.netns(), address)?.received;
                ensure!(received == 0, "{name} is answered {received} times");
                let connected = tcp(from.netns(), pods.inside.netns(), address, SMALL);
                ensure!(connected.is_err(), "{name} can connect");
            }
        }
    }
    Ok(())
}

/// Both nodes probe the pod as kubelet does, and the pod finds its gateway.
fn nodes_and_the_gateway_are_answered(lab: &Lab, pods: &Pods) -> Result<()> {
    let inside = pods.inside.netns();
    for family in lab.families().all() {
        let address = pods.inside.address(*family)?;
        for node in lab.nodes() {
            tcp(node.netns(), inside, address, SMALL)?;
            ensure!(ping(node.netns(), address)?.received == 3, "no answer");
        }
        let gateway = match family {
            IpFamily::V4 => "10.31.0.1",
            IpFamily::V6 => "fd00:1::1",
        };
        ensure!(ping(inside, gateway.parse()?)?.received == 3, "no gateway");
    }
    Ok(())
}

/// The pod inside opens connections to those that it may talk to, and to nobody else.
fn answers_come_back(lab: &Lab, pods: &Pods) -> Result<()> {
    let inside = pods.inside.netns();
    for family in lab.families().all() {
        for to in [&pods.beside, &pods.friend] {
            tcp(inside, to.netns(), to.address(*family)?, LARGE)?;
        }
        let other = pods.other.address(*family)?;
        ensure!(ping(inside, other)?.received == 0, "it reaches the other");
    }
    Ok(())
}
