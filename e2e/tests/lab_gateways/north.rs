//! A pod whose traffic leaves by another pod.

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{Lab, OvnVersion, RunningPod, objects::pod, tell::tell, wait_for_event};
use tokio::time::Instant;

use super::{edit, with_gateways};

#[test]
fn a_pod_leaves_by_the_pod_that_it_names_as_long_as_it_does_on_23_03() {
    named_and_forgotten(OvnVersion::V23_03);
}

#[test]
fn a_pod_leaves_by_the_pod_that_it_names_as_long_as_it_does_on_25_03() {
    named_and_forgotten(OvnVersion::V25_03);
}

fn named_and_forgotten(version: OvnVersion) {
    with_gateways(version, async |lab, cluster, way| {
        edit(lab, json!({"gatewayNode": "n3"})).await?;
        way.left_by(lab, Instant::now(), &["n3"]).await?;
        // its own traffic leaves by its node, which is distributed
        let gateway = cluster.run_pod(pod("gateway"), "n2").await?;
        forward(&gateway)?;
        name_gateway(lab, json!(gateway.addresses.to_string())).await?;
        let took = way.left_by(lab, Instant::now(), &["n2"]).await?;
        tell(format_args!("{took:?} to the gateway that a pod names"))?;

        name_gateway(lab, json!("the gateway")).await?;
        way.left_by(lab, Instant::now(), &["n3"]).await?;
        let words = [
            "north_gateway",
            "`the gateway`",
            "write the address of a pod",
        ];
        wait_for_event(lab, "ValidatePodNetworkFailed", &words).await?;
        name_gateway(lab, json!("192.0.2.77")).await?;
        let words = ["north_gateway", "`192.0.2.77`", "name a pod of one"];
        wait_for_event(lab, "NorthGatewayNotUsable", &words).await?;

        name_gateway(lab, json!(gateway.addresses.to_string())).await?;
        way.left_by(lab, Instant::now(), &["n2"]).await?;
        name_gateway(lab, Value::Null).await?;
        way.left_by(lab, Instant::now(), &["n3"]).await?;
        Ok(())
    });
}

/// The pod passes on what others send, with its own address.
fn forward(gateway: &RunningPod) -> Result<()> {
    let netns = gateway.netns();
    for setting in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
        netns.command("sysctl").args(["-w", setting]).read()?;
    }
    netns.nft(
        "add table inet gateway
         add chain inet gateway out { type nat hook postrouting priority 100; }
         add rule inet gateway out masquerade",
    )
}

/// What the pod that talks to the host outside names.
async fn name_gateway(lab: &Lab, gateway: Value) -> Result<()> {
    let pods: Api<Pod> = Api::default_namespaced(lab.api_server()?.client()?);
    let annotations = json!({"ovn.kubernetes.io/north_gateway": gateway});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    pods.patch("client", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}
