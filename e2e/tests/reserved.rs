//! VIPs and IP pools, with the real API server and controller.
#![cfg(test)]

use std::{fmt::Debug, time::Duration};

use anyhow::{Context, Result, ensure};
use api::{Condition, Ip, IpPool, IpPoolSpec, Vip, VipSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Resource, ResourceExt,
    api::{Api, DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use testkit::{
    Cluster, Lab, LabOptions, OvnVersion, RunningPod, lab,
    objects::pod,
    traffic::{ping, wait_for_ping},
    wait_for_event, wait_until,
};

const PATIENCE: Duration = Duration::from_mins(1);
const ALLOCATED: &str = "ovn.kubernetes.io/allocated";
const IP_ADDRESS: &str = "ovn.kubernetes.io/ip_address";
const AAPS: &str = "ovn.kubernetes.io/aaps";
const PORT_SECURITY: &str = "ovn.kubernetes.io/port_security";
const IP_POOL: &str = "ovn.kubernetes.io/ip_pool";

#[test]
fn a_vip_reserves_its_address_over_a_restart_and_ends_when_it_is_deleted() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let mut cluster = Cluster::start_without_daemons(lab).await?;
        let (vips, ips) = (all::<Vip>(lab)?, all::<Ip>(lab)?);
        create(&vips, &vip("any", "")).await?;
        create(&vips, &vip("fixed", "10.16.0.77")).await?;
        assert_eq!(reserved(&vips, "any").await?, "10.16.0.2");
        assert_eq!(reserved(&vips, "fixed").await?, "10.16.0.77");
        create(&vips, &vip("taken", "10.16.0.77")).await?;
        let words = ["10.16.0.77", "vip-fixed", "choose another"];
        wait_until("the second one is told who has it", PATIENCE, async || {
            let status = vips.get("taken").await?.status;
            ensure_told(
                &status.context("it has no status")?.conditions,
                "False",
                &words,
            )
        })
        .await?;

        cluster.controller()?.kill()?;
        cluster.start_controller()?;
        assert_eq!(address(lab, &pod("a").on("n1").build()).await?, "10.16.0.3");

        vips.delete("fixed", &DeleteParams::default()).await?;
        assert_eq!(reserved(&vips, "taken").await?, "10.16.0.77");
        for name in ["any", "taken"] {
            vips.delete(name, &DeleteParams::default()).await?;
        }
        wait_until("no record of a VIP is left", PATIENCE, async || {
            for name in ["vip-any", "vip-fixed", "vip-taken"] {
                ensure!(ips.get_opt(name).await?.is_none(), "{name} is there");
            }
            Ok(())
        })
        .await
    });
}

#[test]
fn pods_with_port_security_may_use_the_vip_that_they_name_and_no_other_address() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start(lab).await?;
        let vips = all::<Vip>(lab)?;
        let mut shared = vip("shared", "10.16.0.77");
        shared.spec.namespace = "default".to_owned();
        create(&vips, &shared).await?;
        assert_eq!(reserved(&vips, "shared").await?, "10.16.0.77");
        let secured = |name: &str| pod(name).annotation(PORT_SECURITY, "true");
        let named = |name: &str| secured(name).annotation(AAPS, "shared");
        let client = cluster.run_pod(pod("client"), "n2").await?;
        let first = cluster.run_pod(named("first"), "n1").await?;
        let second = cluster.run_pod(named("second"), "n2").await?;
        let stranger = cluster.run_pod(secured("stranger"), "n1").await?;
        let wrong = cluster.run_pod(secured("wrong").annotation(AAPS, "none"), "n1");
        let _wrong = wrong.await?;
        wait_for_event(lab, "VipNotUsable", &["`none`", "create it"]).await?;

        let address = "10.16.0.77".parse()?;
        for holder in [&first, &second] {
            take(&client, holder, "add")?;
            wait_for_ping(client.netns(), address, PATIENCE).await?;
            take(&client, holder, "del")?;
        }
        take(&client, &stranger, "add")?;
        assert_eq!(ping(client.netns(), address)?.received, 0);
        let name_it = json!({"metadata": {"annotations": {AAPS: "shared"}}});
        let pods: Api<Pod> = Api::namespaced(lab.api_server()?.client()?, "default");
        let name_it = Patch::Merge(name_it);
        pods.patch("stranger", &PatchParams::default(), &name_it)
            .await?;
        wait_for_ping(client.netns(), address, PATIENCE).await
    });
}

#[test]
fn an_ip_pool_serves_those_who_name_it_and_counts_its_addresses() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let pools = all::<IpPool>(lab)?;
        for ips in ["nonsense", "10.16.0.300", "10.16.0.1..fd00::1"] {
            let error = create(&pools, &ip_pool("bad", ips)).await.unwrap_err();
            let error = format!("{error:#}");
            ensure!(error.contains("ips") && error.contains(ips), "{error}");
        }
        create(&pools, &ip_pool("red", "10.16.0.2..10.16.0.4")).await?;
        create(&pools, &ip_pool("blue", "10.16.0.4")).await?;
        wait_until("the pool is told who has it", PATIENCE, async || {
            let status = pools.get("red").await?.status;
            let words = ["10.16.0.2..10.16.0.4", "`blue`"];
            ensure_told(
                &status.context("it has no status")?.conditions,
                "False",
                &words,
            )
        })
        .await?;
        pools.delete("blue", &DeleteParams::default()).await?;

        assert_eq!(
            address(lab, &pod("other").on("n1").build()).await?,
            "10.16.0.5"
        );
        let member = pod("member").on("n1").annotation(IP_POOL, "red").build();
        assert_eq!(address(lab, &member).await?, "10.16.0.2");
        wait_until("the pool counts", PATIENCE, async || {
            let status = pools.get("red").await?.status;
            let status = status.context("it has no status")?;
            let counts = (status.v4_using.to_string(), status.v4_available.to_string());
            ensure!(counts == ("1".to_owned(), "2".to_owned()), "{status:?}");
            ensure!(status.v4_using_range == "10.16.0.2", "{status:?}");
            ensure!(
                status.v4_available_range == "10.16.0.3..10.16.0.4",
                "{status:?}"
            );
            ensure_told(&status.conditions, "True", &[])
        })
        .await?;
        pools.delete("red", &DeleteParams::default()).await?;
        wait_until("the pool is gone", PATIENCE, async || {
            ensure!(pools.get_opt("red").await?.is_none(), "it is there");
            Ok(())
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

/// Gives the pod the VIP's address, or takes it away; nobody remembers who had it before.
fn take(client: &RunningPod, holder: &RunningPod, verb: &str) -> Result<()> {
    let change = format!("address {verb} 10.16.0.77/32 dev eth0");
    holder.netns().ip([change])?;
    client.netns().ip(["neighbour flush dev eth0".to_owned()])
}

fn vip(name: &str, address: &str) -> Vip {
    let spec = VipSpec {
        subnet: "ovn-default".to_owned(),
        v4_ip: address.to_owned(),
        ..VipSpec::default()
    };
    Vip::new(name, spec)
}

fn ip_pool(name: &str, ips: &str) -> IpPool {
    let spec = IpPoolSpec {
        subnet: "ovn-default".to_owned(),
        ips: vec![ips.to_owned()],
        ..IpPoolSpec::default()
    };
    IpPool::new(name, spec)
}

fn all<K>(lab: &Lab) -> Result<Api<K>>
where
    K: Resource<DynamicType = ()>,
{
    Ok(Api::all(lab.api_server()?.client()?))
}

async fn create<K>(objects: &Api<K>, object: &K) -> Result<()>
where
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    objects.create(&PostParams::default(), object).await?;
    Ok(())
}

async fn reserved(vips: &Api<Vip>, name: &str) -> Result<String> {
    wait_until("the VIP has an address", PATIENCE, async || {
        let status = vips.get(name).await?.status.context("it has no status")?;
        ensure_told(&status.conditions, "True", &[])?;
        Ok(status.v4_ip)
    })
    .await
}

/// Creates the pod and waits until it is told its address.
async fn address(lab: &Lab, object: &Pod) -> Result<String> {
    lab.api_server()?.create_pod(object).await?;
    let pods: Api<Pod> = Api::namespaced(lab.api_server()?.client()?, "default");
    wait_until("the pod has an address", PATIENCE, async || {
        let pod = pods.get(&object.name_any()).await?;
        let annotations = pod.annotations();
        ensure!(annotations.contains_key(ALLOCATED), "{annotations:?}");
        let address = annotations.get(IP_ADDRESS);
        address.cloned().context("it has none")
    })
    .await
}

fn ensure_told(conditions: &[Condition], status: &str, words: &[&str]) -> Result<()> {
    let told = conditions.iter().any(|it| {
        let has = |word: &&str| it.message.contains(word);
        it.type_ == "Ready" && it.status == status && words.iter().all(has)
    });
    ensure!(told, "there are {conditions:?}");
    Ok(())
}
