//! A cluster without a network: what the host lends, and that it gets it back.
//!
//! ```text
//! cargo test -p e2e --features cluster-tests --test cluster_host
//! ```
#![cfg(test)]

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Families, Footprint, Options, image::BUSYBOX, trial, up};
use serde_json::{Value, json};
use testkit::wait_until;

const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn a_pod_on_the_hosts_network_runs_on_every_node_and_can_be_entered() {
    trial::run(2, Families::Dual, async |cluster| {
        cluster.apply(&host_pods().to_string())?;
        for node in cluster.nodes() {
            let pod = running_pod(cluster, node.name()).await?;
            let hostname = cluster.kubectl()?.args(["exec", &pod, "--", "hostname"]);
            assert_eq!(hostname.read()?, node.name());
            assert_eq!(cluster.kubectl()?.args(["logs", &pod]).read()?, "started");
        }
        Ok(())
    });
}

#[test]
fn a_node_is_ready_when_a_cni_configuration_is_placed_on_it() {
    trial::run(1, Families::V4, async |cluster| {
        assert_eq!(ready(cluster, "n1")?, "False");
        let conflist = json!({
            "cniVersion": "1.0.0",
            "name": "test",
            "plugins": [{ "type": "test" }],
        });
        let write = cluster.node("n1")?.command("tee")?;
        let write = write.arg("/etc/cni/net.d/01-test.conflist");
        write.input(conflist.to_string()).read()?;
        wait_until("the node is Ready", PATIENCE, async || {
            let ready = ready(cluster, "n1")?;
            ensure!(ready == "True", "it is {ready}");
            Ok(())
        })
        .await
    });
}

#[test]
fn nodes_reach_the_outside_host_in_both_families() {
    trial::run(1, Families::Dual, async |cluster| {
        for address in ["192.0.2.1", "2001:db8::1"] {
            let ping = cluster.node("n1")?.command("ping")?;
            ping.args(["-n", "-c", "1", "-W", "2", address]).read()?;
        }
        Ok(())
    });
}

#[test]
fn a_second_up_leaves_the_cluster_as_it_is() {
    trial::run(1, Families::V6, async |cluster| {
        let mut options = Options {
            directory: cluster.directory().clone(),
            nodes: 1,
            families: Families::V6,
        };
        assert_eq!(up(&options, |_step| {}).await?, *cluster);
        assert_eq!(Cluster::open(cluster.directory())?, *cluster);
        options.nodes = 2;
        let refused = up(&options, |_step| {}).await.unwrap_err().to_string();
        assert!(refused.contains("cargo xtask cluster down"), "{refused}");
        Ok(())
    });
}

#[test]
fn a_cluster_that_ended_with_its_host_is_made_anew() {
    trial::run(1, Families::V4, async |cluster| {
        cluster.kill().await?;
        let ended = cluster.check().unwrap_err();
        assert!(format!("{ended:#}").contains("has ended"), "{ended:#}");
        let options = Options {
            directory: cluster.directory().clone(),
            nodes: 1,
            families: Families::Dual,
        };
        let anew = up(&options, |_step| {}).await?;
        assert_eq!(anew.families(), Families::Dual);
        anew.check()
    });
}

#[test]
fn an_archive_that_is_no_image_is_refused_with_its_name_and_a_remedy() {
    trial::run(1, Families::V4, async |cluster| {
        let archive = cluster.directory().path().join("broken.tar");
        fs::write(&archive, "no archive")?;
        let refused = cluster.import_image(&archive).unwrap_err();
        let refused = format!("{refused:#}");
        assert!(refused.contains("broken.tar"), "{refused}");
        assert!(refused.contains("build it anew"), "{refused}");
        Ok(())
    });
}

#[test]
fn down_leaves_nothing_on_the_host() {
    let before = Footprint::observe().unwrap();
    trial::run(2, Families::Dual, async |cluster| {
        cluster.apply(&host_pods().to_string())?;
        for node in cluster.nodes() {
            running_pod(cluster, node.name()).await?;
        }
        Ok(())
    });
    assert_eq!(Footprint::observe().unwrap(), before);
}

/// The status of the node's condition `Ready`.
fn ready(cluster: &Cluster, node: &str) -> Result<String> {
    let path = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    cluster.kubectl()?.args(["get", "node", node, path]).read()
}

/// Waits for the pod of [`host_pods`] on a node and returns its name.
async fn running_pod(cluster: &Cluster, node: &str) -> Result<String> {
    let query = cluster.kubectl()?.args(["get", "pods", "-o", "json"]);
    let query = query.arg(format!(
        "--field-selector=spec.nodeName={node},status.phase=Running"
    ));
    wait_until(&format!("a pod runs on {node}"), PATIENCE, async || {
        let found: Value = serde_json::from_str(&query.read()?)?;
        let name = found["items"][0]["metadata"]["name"].as_str();
        name.map(str::to_owned).context("there is none")
    })
    .await
}

/// A pod on every node, ready for it or not.
fn host_pods() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": "host", "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": { "app": "host" } },
            "template": {
                "metadata": { "labels": { "app": "host" } },
                "spec": {
                    "hostNetwork": true,
                    "terminationGracePeriodSeconds": 0,
                    "tolerations": [{ "operator": "Exists" }],
                    "containers": [{
                        "name": "main",
                        "image": BUSYBOX,
                        "args": ["-c", "echo started; sleep 10000"],
                    }],
                },
            },
        },
    })
}
