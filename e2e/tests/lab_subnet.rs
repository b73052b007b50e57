//! What subnets mean for packets, and what becomes of pods that run when a subnet is edited.
#![cfg(test)]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, PostParams};
use model::IpFamily;
use serde_json::json;
use testkit::{
    Cluster, Families, Lab, LabOptions, OvnVersion, RunningPod, lab,
    objects::{PodBuilder, pod},
    subnets::{self, create, edit},
    traffic::{SMALL, tcp, wait_for_ping},
    wait_for_event, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(20);
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";

fn with_cluster(
    families: Families,
    test: impl AsyncFnOnce(&Lab, Cluster<'_>) -> Result<()> + Send + 'static,
) {
    let options = LabOptions::on(OvnVersion::V25_03).families(families);
    lab::run(options.with_api_server(), async move |lab| {
        let cluster = Cluster::start(lab).await?;
        test(lab, cluster).await
    });
}

/// The networks of the router's port on the subnet.
fn routed(lab: &Lab, name: &str) -> Result<String> {
    let port = format!("name=ovn-cluster-{name}");
    let find = [
        "--bare",
        "--columns=networks",
        "find",
        "Logical_Router_Port",
        &port,
    ];
    Ok(lab.nbctl(find)?.trim().to_owned())
}

async fn wait_for_networks(lab: &Lab, name: &str, networks: &str) -> Result<()> {
    wait_until("the router's port has the networks", PATIENCE, async || {
        let found = routed(lab, name)?;
        ensure!(found == networks, "it has {found}");
        Ok(())
    })
    .await
}

/// Used and free addresses of a family, as the status counts them.
async fn wait_for_counts(lab: &Lab, name: &str, v4: (f64, f64), v6: (f64, f64)) -> Result<()> {
    wait_until("the counters are right", PATIENCE, async || {
        let status = subnets::all(lab)?.get(name).await?.status;
        let status = status.context("it has a status")?;
        let found = [
            (status.v4_using, status.v4_available),
            (status.v6_using, status.v6_available),
        ];
        ensure!(found == [v4, v6], "they are {found:?}");
        Ok(())
    })
    .await
}

fn pod_on(subnet: &str, name: &str) -> PodBuilder {
    pod(name).annotation(LOGICAL_SWITCH, subnet)
}

/// Each address of `to` answers where `from` has one of that family.
async fn reaches(from: &RunningPod, to: &RunningPod) -> Result<()> {
    for (family, address) in to.addresses.iter() {
        if from.addresses.get(family).is_some() {
            wait_for_ping(from.netns(), *address, PATIENCE).await?;
            tcp(from.netns(), to.netns(), *address, SMALL)?;
        }
    }
    Ok(())
}

async fn reach_each_other(pods: &[&RunningPod]) -> Result<()> {
    for from in pods {
        for to in pods {
            if from.netns().name() != to.netns().name() {
                reaches(from, to).await?;
            }
        }
    }
    Ok(())
}

/// The pod asks for MAC addresses anew.
fn forget_neighbours(pod: &RunningPod) -> Result<()> {
    let flush = pod.netns().command("ip");
    flush.args(["neigh", "flush", "all"]).read().map(drop)
}

#[test]
fn pods_have_the_mtu_of_their_subnet_and_those_that_run_keep_theirs() {
    with_cluster(Families::V4, async |lab, cluster| {
        let has = |pod: &RunningPod, mtu: &str| -> Result<()> {
            let show = pod
                .netns()
                .command("ip")
                .args(["-o", "link", "show", "eth0"]);
            let link = show.read()?;
            ensure!(link.contains(&format!(" mtu {mtu} ")), "it is {link}");
            Ok(())
        };
        create(lab, "s", json!({"cidrBlock": "10.30.0.0/24", "mtu": 1300})).await?;
        let small = cluster.run_pod(pod_on("s", "small"), "n1").await?;
        let usual = cluster.run_pod(pod("usual"), "n2").await?;
        has(&small, "1300")?;
        has(&usual, "1400")?;
        reach_each_other(&[&small, &usual]).await?;

        edit(lab, "s", json!({"mtu": 1200})).await?;
        let mut number = 0;
        wait_until("a new pod has the new one", PATIENCE, async || {
            number += 1;
            let new = cluster.run_pod(pod_on("s", &format!("new-{number}")), "n1");
            has(&new.await?, "1200")
        })
        .await?;
        has(&small, "1300")
    });
}

#[test]
fn r23_a_physical_gateway_that_never_answers_keeps_no_pod_from_starting() {
    with_cluster(Families::V4, async |lab, cluster| {
        let spec = json!({
            "cidrBlock": "198.51.100.0/24", "vlan": "v10", "logicalGateway": false,
            "disableGatewayCheck": false,
        });
        create(lab, "u", spec).await?;
        let built = pod_on("u", "early").on("n1").build();
        let object = lab.api_server()?.create_pod(&built).await?;
        wait_for_event(lab, "AcquireAddressFailed", &["`v10`", "no such Vlan"]).await?;
        wait_for_event(
            lab,
            "ValidateLogicalSwitchFailed",
            &["spec.vlan", "create it"],
        )
        .await?;

        let vlan = api::VlanSpec {
            id: 10,
            provider: "net1".to_owned(),
            ..api::VlanSpec::default()
        };
        let vlans: Api<api::Vlan> = Api::all(lab.api_server()?.client()?);
        let vlan = api::Vlan::new("v10", vlan);
        vlans.create(&PostParams::default(), &vlan).await?;
        let sandbox = cluster.sandbox(&object, "n1")?;
        let addresses = sandbox.add()?;
        let early = RunningPod {
            object,
            sandbox,
            addresses,
        };
        let late = cluster.run_pod(pod_on("u", "late"), "n2").await?;
        reach_each_other(&[&early, &late]).await?;
        assert_eq!(routed(lab, "u")?, "", "no router is its gateway");
        for node in lab.nodes() {
            let routes = node.netns().command("ip").args(["route"]).read()?;
            assert!(!routes.contains("198.51.100.0/24"), "{routes}");
        }
        Ok(())
    });
}

#[test]
fn a_live_subnet_becomes_dual_stack_and_running_pods_keep_their_addresses() {
    with_cluster(Families::Dual, async |lab, cluster| {
        create(lab, "s", json!({"cidrBlock": "10.30.0.0/24"})).await?;
        let old = cluster.run_pod(pod_on("s", "old"), "n1").await?;
        let outside = cluster.run_pod(pod("outside"), "n2").await?;
        reach_each_other(&[&old, &outside]).await?;

        edit(lab, "s", json!({"cidrBlock": "10.30.0.0/24,fd00:30::/112"})).await?;
        wait_for_networks(lab, "s", "10.30.0.1/24 fd00:30::1/112").await?;
        let new = cluster.run_pod(pod_on("s", "new"), "n2").await?;
        assert!(new.address(IpFamily::V6)?.is_ipv6());
        reach_each_other(&[&old, &new, &outside]).await?;
        assert_eq!(old.sandbox.add()?, old.addresses, "it keeps what it has");
        wait_for_counts(lab, "s", (2.0, 251.0), (1.0, 65532.0)).await?;
        let spec = subnets::all(lab)?.get("s").await?.spec;
        assert_eq!(spec.protocol, "Dual");
        assert_eq!(spec.gateway, "10.30.0.1,fd00:30::1");
        Ok(())
    });
}

#[test]
fn r08_excludes_and_cidr_of_a_live_subnet_evict_nobody_and_bind_new_pods() {
    with_cluster(Families::V4, async |lab, cluster| {
        create(lab, "s", json!({"cidrBlock": "10.30.0.0/28"})).await?;
        let first = cluster.run_pod(pod_on("s", "first"), "n1").await?;
        let second = cluster.run_pod(pod_on("s", "second"), "n2").await?;
        wait_for_counts(lab, "s", (2.0, 11.0), (0.0, 0.0)).await?;

        edit(lab, "s", json!({"excludeIps": ["10.30.0.2..10.30.0.9"]})).await?;
        wait_for_counts(lab, "s", (2.0, 5.0), (0.0, 0.0)).await?;
        let third = cluster.run_pod(pod_on("s", "third"), "n1").await?;
        assert_eq!(third.first_address()?.to_string(), "10.30.0.10");

        edit(lab, "s", json!({"cidrBlock": "10.30.0.0/23"})).await?;
        wait_for_networks(lab, "s", "10.30.0.1/23").await?;
        wait_for_counts(lab, "s", (3.0, 500.0), (0.0, 0.0)).await?;
        let wish = pod_on("s", "far").annotation("ovn.kubernetes.io/ip_address", "10.30.1.7");
        let far = cluster.run_pod(wish, "n2").await?;
        assert_eq!(far.first_address()?.to_string(), "10.30.1.7");
        reach_each_other(&[&first, &second, &third, &far]).await
    });
}

#[test]
fn pods_that_run_reach_other_subnets_though_the_gateway_became_another() {
    with_cluster(Families::V4, async |lab, cluster| {
        create(lab, "s", json!({"cidrBlock": "10.30.0.0/24"})).await?;
        let old = cluster.run_pod(pod_on("s", "old"), "n1").await?;
        let outside = cluster.run_pod(pod("outside"), "n2").await?;
        reach_each_other(&[&old, &outside]).await?;

        edit(lab, "s", json!({"gateway": "10.30.0.254"})).await?;
        wait_for_networks(lab, "s", "10.30.0.1/24 10.30.0.254/24").await?;
        let new = cluster.run_pod(pod_on("s", "new"), "n2").await?;
        let routes = new.netns().command("ip").args(["route"]).read()?;
        assert!(routes.contains("default via 10.30.0.254"), "{routes}");
        forget_neighbours(&old)?;
        reach_each_other(&[&old, &new, &outside]).await?;

        old.sandbox.del()?;
        lab.api_server()?.delete_pod(&old.object).await?;
        wait_for_networks(lab, "s", "10.30.0.254/24").await?;
        reach_each_other(&[&new, &outside]).await
    });
}
