//! Pods on a real cluster: kubelet and containerd call our plugin, and what it made goes with the
//! pods.
//!
//! ```text
//! cargo build -p controller -p daemon -p cni-shim
//! cargo test -p e2e --features cluster-tests --test cluster_pod
//! ```
#![cfg(test)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use cluster::{Builder, Cluster, Families, Node, trial};
use serde_json::Value;
use testkit::{bin::bin, wait_until};

const IMAGE: &str = "docker.io/kubeovn-rs/e2e:v0.1.0";
const STACK: &str = include_str!("cluster_pod/stack.yaml");
const DOCKERFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster_pod/Dockerfile");
const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/crds");
const PATIENCE: Duration = Duration::from_mins(2);
const GONE: Duration = Duration::from_secs(30);

#[test]
fn pods_are_attached_by_the_plugin_and_leave_nothing_when_deleted() {
    let scratch = tempfile::tempdir().unwrap();
    let archive = build_image(scratch.path()).unwrap();
    trial::run(2, Families::Dual, async |cluster| {
        install(cluster, &archive)?;
        rolled_out(cluster, "web").await?;
        for address in addresses(cluster)? {
            assert!(address.starts_with("10.16."), "{address}");
        }
        assert_ne!(leftovers(cluster)?, Vec::<String>::new());

        let delete = ["delete", "daemonset", "web", "--wait", "--timeout=30s"];
        cluster.kubectl()?.args(delete).read()?;
        let scale = [
            "scale",
            "deployment/coredns",
            "-n=kube-system",
            "--replicas=0",
        ];
        cluster.kubectl()?.args(scale).read()?;
        wait_until("nothing is left of the pods", GONE, async || {
            let left = leftovers(cluster)?;
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .await
    });
}

/// The image of the test, with the programs as cargo built them.
fn build_image(scratch: &Path) -> Result<PathBuf> {
    let context = scratch.join("context");
    fs::create_dir(&context)?;
    for program in ["controller", "daemon", "cni-shim"] {
        fs::copy(bin(program)?, context.join(program))?;
    }
    let archive = scratch.join("image.tar");
    Builder::prepare()?.build(IMAGE, Path::new(DOCKERFILE), &context, &archive)?;
    Ok(archive)
}

fn install(cluster: &Cluster, archive: &Path) -> Result<()> {
    cluster.import_image(archive)?;
    let crds = ["apply", "--server-side", "-f", CRDS];
    cluster.kubectl()?.args(crds).read()?;
    let central = cluster.node("n1")?.addresses();
    let central = central.values().next().context("a node has an address")?;
    let stack = STACK
        .replace("$IMAGE", IMAGE)
        .replace("$CENTRAL", &central.to_string());
    cluster.apply(&stack)
}

/// Waits until every pod of a DaemonSet answers kubelet's probe.
async fn rolled_out(cluster: &Cluster, name: &str) -> Result<()> {
    let query = cluster
        .kubectl()?
        .args(["get", "daemonset", name, "-o=json"]);
    wait_until(&format!("{name} is ready"), PATIENCE, async || {
        let found: Value = serde_json::from_str(&query.read()?)?;
        let ready = found["status"]["numberReady"].as_u64();
        ensure!(ready == Some(2), "{ready:?} of 2 are");
        Ok(())
    })
    .await
}

fn addresses(cluster: &Cluster) -> Result<Vec<String>> {
    let path = "-o=jsonpath={.items[*].status.podIP}";
    let found = cluster.kubectl()?.args(["get", "pods", "-l=app=web", path]);
    Ok(words(&found.read()?))
}

/// What attaching pods makes, in Kubernetes, OVN, Open vSwitch and the kernel.
fn leftovers(cluster: &Cluster) -> Result<Vec<String>> {
    let mut found = ips(cluster)?;
    let central = ["exec", "-n=kube-system", "central", "--", "ovn-nbctl"];
    let ports = cluster.kubectl()?.args(central);
    let ports = ports.args(["--bare", "--columns=name", "list", "Logical_Switch_Port"]);
    let ports = words(&ports.read()?);
    found.extend(ports.into_iter().filter(|name| is_of_pod(name)));
    for node in cluster.nodes() {
        let links = node.command("ip")?.args(["-brief", "link"]).read()?;
        let links = links.lines().filter(|line| line.contains("_h@"));
        found.extend(links.map(str::to_owned));
        let ports = cluster.kubectl()?.args(["exec", "-n=kube-system"]);
        let ports = ports.arg(vswitch(cluster, node)?).arg("--");
        let ports = ports.args(["ovs-vsctl", "list-ports", "br-int"]).read()?;
        found.extend(
            words(&ports)
                .into_iter()
                .filter(|port| port.ends_with("_h")),
        );
    }
    Ok(found)
}

/// The pod that switches on a node.
fn vswitch(cluster: &Cluster, node: &Node) -> Result<String> {
    let query = ["get", "pods", "-n=kube-system", "-l=app=vswitch", "-o=name"];
    let query = cluster.kubectl()?.args(query);
    query
        .arg(format!("--field-selector=spec.nodeName={}", node.name()))
        .read()
}

fn ips(cluster: &Cluster) -> Result<Vec<String>> {
    let path = "-o=jsonpath={.items[*].metadata.name}";
    let found = cluster.kubectl()?.args(["get", "ips", path]).read()?;
    Ok(words(&found)
        .into_iter()
        .filter(|name| is_of_pod(name))
        .collect())
}

/// By the name of a port or an `IP`: `<pod>.<namespace>`.
fn is_of_pod(name: &str) -> bool {
    name.starts_with("web-") || name.starts_with("coredns-")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
