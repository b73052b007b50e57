//! Installing the chart and the workload.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use cluster::{Cluster, Import};
use model::IpFamily;
use serde_json::{Value, json};

use super::{
    facts::Facts,
    workload::{self, SYSTEM},
};
use crate::{console, images, workspace::Workspace};

/// What the chart is installed as.
const RELEASE: &str = "kube-ovn";
const CHART: &str = "deploy/kube-ovn";
/// The pods of the chart.
const OURS: &str = "--selector=component=network";
/// Helm waits for CRDs to be established.
const PATIENCE: Duration = Duration::from_mins(3);

/// Builds the images that are out of date, gives the nodes what they lack, and installs the chart.
///
/// # Errors
/// One sentence with cause and remedy.
pub(crate) fn install(workspace: &Workspace, cluster: &Cluster) -> Result<()> {
    let archives = images::build(workspace, &images::Args::default())?;
    let is_changed = import(cluster, &archives)?;
    let was_installed = is_installed(cluster)?;
    console::say("Installing the chart");
    let chart = workspace.path(CHART);
    cluster
        .helm()?
        .args(["upgrade", "--install", RELEASE])
        .arg(chart)
        .args(["--namespace", SYSTEM, "--values", "-"])
        .input(values(cluster).to_string())
        .deadline(PATIENCE)
        .read()
        .context("the chart cannot be installed")?;
    if is_changed && was_installed {
        console::say("Starting the chart's pods anew, from the new images");
        let delete = ["delete", "pods", "-n", SYSTEM, OURS, "--wait=false"];
        cluster.kubectl()?.args(delete).read()?;
    }
    Ok(())
}

/// Whether a node got an image that it did not have.
fn import(cluster: &Cluster, archives: &[PathBuf]) -> Result<bool> {
    let mut is_changed = false;
    for archive in archives {
        if cluster.import_image(archive)? == Import::Done {
            let name = archive.file_stem().unwrap_or_default();
            console::say(&format!("The nodes have the image {}", name.display()));
            is_changed = true;
        }
    }
    Ok(is_changed)
}

fn is_installed(cluster: &Cluster) -> Result<bool> {
    let status = ["status", RELEASE, "--namespace", SYSTEM];
    Ok(cluster.helm()?.args(status).finish()?.success)
}

/// What is special about nodes in namespaces of one host: tunnels have a NIC of their own, and the
/// kernel's datapath would be shared by all nodes.
fn values(cluster: &Cluster) -> Value {
    let of_families = |v4: &str, v6: &str| {
        let networks = cluster.api_addresses().map(|family, _| match family {
            IpFamily::V4 => v4.to_owned(),
            IpFamily::V6 => v6.to_owned(),
        });
        networks.to_string()
    };
    json!({
        "podCidr": of_families(cluster::PODS_V4, cluster::PODS_V6),
        "serviceCidr": of_families(cluster::SERVICES_V4, cluster::SERVICES_V6),
        "joinCidr": of_families("100.64.0.0/16", "fd00:100:64::/112"),
        "tunnelInterface": "eth1",
        "datapathType": "netdev",
    })
}

/// Creates the workload, without waiting for it.
///
/// # Errors
/// What the API server says.
pub(crate) fn deploy(cluster: &Cluster) -> Result<()> {
    let [first, second, ..] = cluster.nodes() else {
        anyhow::bail!(
            "the demo needs two nodes: run `cargo xtask demo --down` and `cargo xtask demo` again"
        );
    };
    let families: Vec<IpFamily> = families(cluster);
    let objects = workload::objects(first.name(), second.name(), &families);
    cluster.apply(&objects.to_string())
}

/// Makes the pods that kubelet probes, and waits until they have addresses.
///
/// # Errors
/// What the API server says.
pub(crate) fn deploy_probed(cluster: &Cluster, facts: &Facts) -> Result<()> {
    let families = families(cluster);
    let first = families.first().copied();
    let pods = families.into_iter().map(|family| {
        let is_asked_unasked = Some(family) == first;
        let host = facts.near.addresses.get(family).copied();
        let host = host.filter(|_| !is_asked_unasked);
        workload::probed(family, &facts.client.node, host)
    });
    let pods: Vec<Value> = pods.collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": pods });
    cluster.apply(&list.to_string())?;
    // that they never have is for their rows to say
    let wait = ["wait", "--for=jsonpath={.status.podIP}", "--timeout=30s"];
    let wait = cluster
        .kubectl()?
        .args(wait)
        .args(["-n", workload::NAMESPACE]);
    wait.args(probed_names(cluster)).finish().map(drop)
}

/// Deletes the pods that kubelet probes; none is fine.
///
/// # Errors
/// They do not go.
pub(crate) fn delete_probed(cluster: &Cluster) -> Result<()> {
    let delete = ["delete", "-n", workload::NAMESPACE, "--ignore-not-found"];
    let delete = cluster.kubectl()?.args(delete).args(probed_names(cluster));
    delete.read().map(drop)
}

fn probed_names(cluster: &Cluster) -> Vec<String> {
    let names = families(cluster).into_iter();
    names
        .map(|family| format!("pod/{}", workload::probed_name(family)))
        .collect()
}

fn families(cluster: &Cluster) -> Vec<IpFamily> {
    let addresses = cluster.api_addresses();
    addresses.iter().map(|(family, _)| family).collect()
}
