//! Two VPCs with pods, and packets between them: routes, policies and links, as they come and go.
#![cfg(test)]

use std::{net::IpAddr, time::Duration};

use anyhow::{Result, ensure};
use api::{Subnet, Vpc};
use kube::api::{Api, Patch, PatchParams, PostParams};
use model::{DualStack, IpFamily};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, OvnVersion, RunningPod, lab,
    objects::pod,
    traffic::{ping, wait_for_ping},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(20);
const SWITCH: &str = "ovn.kubernetes.io/logical_switch";
const ADDRESS: &str = "ovn.kubernetes.io/ip_address";
/// Addresses in no subnet, which pods have in addition to their own.
const BEHIND_FIRST: [&str; 2] = ["192.0.2.9", "2001:db8:1::9"];
const BEHIND_SECOND: [&str; 2] = ["198.51.100.9", "2001:db8:2::9"];
/// Who has those, in the subnet `one`.
const FIRST: [&str; 2] = ["10.40.1.9", "fd40:1::9"];
const SECOND: [&str; 2] = ["10.40.1.8", "fd40:1::8"];
/// Who sends, in the subnet `one`.
const SENDER: [&str; 2] = ["10.40.1.7", "fd40:1::7"];

#[test]
fn vpcs_route_as_their_users_say_on_23_03() {
    vpcs_route_as_their_users_say(OvnVersion::V23_03);
}

#[test]
fn vpcs_route_as_their_users_say_on_25_03() {
    vpcs_route_as_their_users_say(OvnVersion::V25_03);
}

/// Pods of the VPC `a` on two subnets, two that have more addresses, and a pod of the VPC `b`.
struct Pods {
    sender: RunningPod,
    neighbour: RunningPod,
    first: RunningPod,
    second: RunningPod,
    other: RunningPod,
}

fn vpcs_route_as_their_users_say(version: OvnVersion) {
    let options = LabOptions::on(version).families(Families::Dual);
    lab::run(options.with_api_server(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let pods = Box::pin(Pods::start(lab, &cluster)).await?;
        reach(&pods.sender, &pods.neighbour.addresses).await?;
        links_connect(lab, &pods).await?;
        routes_lead(lab, &pods).await?;
        policies_drop(lab, &pods).await
    });
}

// === impl Pods ===

impl Pods {
    async fn start(lab: &Lab, cluster: &Cluster<'_>) -> Result<Self> {
        for vpc in ["a", "b"] {
            create::<Vpc>(lab, "Vpc", vpc, json!({})).await?;
        }
        for (name, vpc, cidr) in [
            ("one", "a", "10.40.1.0/24,fd40:1::/64"),
            ("two", "a", "10.40.2.0/24,fd40:2::/64"),
            ("three", "b", "10.50.1.0/24,fd50:1::/64"),
        ] {
            let spec = json!({"vpc": vpc, "cidrBlock": cidr});
            create::<Subnet>(lab, "Subnet", name, spec).await?;
        }
        let run = async |name: &str, subnet: &str, addresses: Option<[&str; 2]>, node: &str| {
            let mut built = pod(name).annotation(SWITCH, subnet);
            if let Some(addresses) = addresses {
                built = built.annotation(ADDRESS, &addresses.join(","));
            }
            cluster.run_pod(built, node).await
        };
        let pods = Self {
            sender: run("sender", "one", Some(SENDER), "n1").await?,
            neighbour: run("neighbour", "two", None, "n2").await?,
            first: run("first", "one", Some(FIRST), "n2").await?,
            second: run("second", "one", Some(SECOND), "n2").await?,
            other: run("other", "three", None, "n2").await?,
        };
        give(&pods.first, BEHIND_FIRST)?;
        give(&pods.second, BEHIND_SECOND)?;
        Ok(pods)
    }
}

/// Adds addresses to the pod's interface.
fn give(pod: &RunningPod, [v4, v6]: [&str; 2]) -> Result<()> {
    for (address, options) in [
        (format!("{v4}/32"), None),
        (format!("{v6}/128"), Some("nodad")),
    ] {
        let add = ["address", "add", &address, "dev", "eth0"];
        let arguments = add.into_iter().chain(options);
        let add = pod.netns().command("ip").args(arguments);
        add.read()?;
    }
    Ok(())
}

fn parsed(addresses: [&str; 2]) -> Result<[IpAddr; 2]> {
    let [v4, v6] = addresses;
    Ok([v4.parse()?, v6.parse()?])
}

async fn reach(from: &RunningPod, to: &DualStack<IpAddr>) -> Result<()> {
    for address in to.values() {
        wait_for_ping(from.netns(), *address, PATIENCE).await?;
    }
    Ok(())
}

async fn reach_behind(from: &RunningPod, to: [&str; 2]) -> Result<()> {
    for address in parsed(to)? {
        wait_for_ping(from.netns(), address, PATIENCE).await?;
    }
    Ok(())
}

/// Waits until no answer comes any more.
async fn lose(from: &RunningPod, to: IpAddr) -> Result<()> {
    wait_until("nothing is answered", PATIENCE, async || {
        let received = ping(from.netns(), to)?.received;
        ensure!(received == 0, "{received} answers of {to}");
        Ok(())
    })
    .await
}

async fn lose_all(from: &RunningPod, to: impl IntoIterator<Item = IpAddr>) -> Result<()> {
    for address in to {
        lose(from, address).await?;
    }
    Ok(())
}

fn all<K: kube::Resource<DynamicType = ()>>(lab: &Lab) -> Result<Api<K>> {
    Ok(Api::all(lab.api_server()?.client()?))
}

async fn create<K>(lab: &Lab, kind: &str, name: &str, spec: Value) -> Result<()>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + DeserializeOwned,
{
    let object = json!({
        "apiVersion": "kubeovn.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    let object: K = serde_json::from_value(object)?;
    all(lab)?.create(&PostParams::default(), &object).await?;
    Ok(())
}

async fn edit(lab: &Lab, vpc: &str, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    let params = PatchParams::default();
    all::<Vpc>(lab)?.patch(vpc, &params, &patch).await?;
    Ok(())
}

fn route(policy: &str, cidr: &str, nexthop: &str) -> Value {
    json!({"policy": policy, "cidr": cidr, "nextHopIP": nexthop})
}

/// Nothing passes between two VPCs before they are linked, and after.
async fn links_connect(lab: &Lab, pods: &Pods) -> Result<()> {
    let others = pods.other.addresses;
    lose_all(&pods.sender, others.values().copied()).await?;
    let linked = |remote: &str, host: u8, [v4, v6]: [&str; 2]| {
        let address = format!("169.254.0.{host}/30,fd00:ff::{host}/64");
        let peer = 3 - host;
        json!({
            "vpcPeerings": [{"remoteVpc": remote, "localConnectIP": address}],
            "staticRoutes": [
                route("policyDst", v4, &format!("169.254.0.{peer}")),
                route("policyDst", v6, &format!("fd00:ff::{peer}")),
            ],
        })
    };
    edit(lab, "a", linked("b", 1, ["10.50.1.0/24", "fd50:1::/64"])).await?;
    edit(lab, "b", linked("a", 2, ["10.40.0.0/16", "fd40::/16"])).await?;
    reach(&pods.sender, &pods.other.addresses).await?;
    reach(&pods.other, &pods.neighbour.addresses).await?;
    edit(lab, "b", json!({"vpcPeerings": null, "staticRoutes": null})).await?;
    lose_all(&pods.sender, others.values().copied()).await?;
    edit(lab, "a", json!({"vpcPeerings": null, "staticRoutes": null})).await
}

/// A route by destination is for all, one by source for the sender alone, and what stays inside the
/// VPC does.
async fn routes_lead(lab: &Lab, pods: &Pods) -> Result<()> {
    let behind_second = parsed(BEHIND_SECOND)?;
    lose(&pods.sender, parsed(BEHIND_FIRST)?[0]).await?;
    lose(&pods.sender, behind_second[0]).await?;
    let routes = [
        route("policyDst", "192.0.2.0/24", FIRST[0]),
        route("policyDst", "2001:db8:1::/64", FIRST[1]),
        route("policySrc", SENDER[0], SECOND[0]),
        route("policySrc", SENDER[1], SECOND[1]),
    ];
    edit(lab, "a", json!({"staticRoutes": routes})).await?;
    reach_behind(&pods.sender, BEHIND_SECOND).await?;
    reach_behind(&pods.sender, BEHIND_FIRST).await?;
    reach_behind(&pods.neighbour, BEHIND_FIRST).await?;
    lose_all(&pods.neighbour, behind_second).await?;
    reach(&pods.sender, &pods.neighbour.addresses).await?;
    edit(lab, "a", json!({"staticRoutes": null})).await?;
    lose_all(&pods.sender, behind_second).await?;
    lose_all(&pods.sender, parsed(BEHIND_FIRST)?).await?;
    reach(&pods.sender, &pods.neighbour.addresses).await
}

async fn policies_drop(lab: &Lab, pods: &Pods) -> Result<()> {
    let v4 = pods.neighbour.address(IpFamily::V4)?;
    let matches = format!("ip4.src == {} && ip4.dst == {v4}", SENDER[0]);
    let policy = json!({"priority": 100, "match": matches, "action": "drop"});
    edit(lab, "a", json!({"policyRoutes": [policy]})).await?;
    lose(&pods.sender, v4).await?;
    reach(&pods.first, &pods.neighbour.addresses).await?;
    edit(lab, "a", json!({"policyRoutes": null})).await?;
    reach(&pods.sender, &pods.neighbour.addresses).await
}
