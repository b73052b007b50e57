//! Pods, as the API server tells of them.

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use serde_json::Value;

/// A pod that is not on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) app: String,
    pub(crate) node: String,
    /// On its own network; empty for a pod on the node's.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) restarts: u64,
    uid: String,
    is_ready: bool,
    containers: Vec<String>,
}

/// All pods of all namespaces.
///
/// # Errors
/// The API server cannot be asked.
pub(crate) fn pods(cluster: &Cluster) -> Result<Vec<Pod>> {
    let items = items(cluster, "pods")?;
    let stay = |item: &&Value| item["metadata"]["deletionTimestamp"].is_null();
    Ok(items.iter().filter(stay).map(Pod::parse).collect())
}

/// The pods with a value of the label `app`.
///
/// # Errors
/// The API server cannot be asked.
pub(crate) fn pods_of(cluster: &Cluster, app: &str) -> Result<Vec<Pod>> {
    let mut pods = pods(cluster)?;
    pods.retain(|pod| pod.app == app);
    Ok(pods)
}

/// The objects of a kind in all namespaces.
///
/// # Errors
/// The API server cannot be asked.
pub(crate) fn items(cluster: &Cluster, kind: &str) -> Result<Vec<Value>> {
    let list = cluster.kubectl()?.args(["get", kind, "-A", "-o=json"]);
    let mut list: Value = serde_json::from_str(&list.read()?)?;
    let items = list["items"].as_array_mut().context("a list has items")?;
    Ok(std::mem::take(items))
}

/// Fails when two pods have the same address, or one that its `IP` object does not have.
///
/// # Errors
/// Then with the pod.
pub(crate) fn check_addresses(cluster: &Cluster) -> Result<()> {
    let recorded: BTreeSet<(String, String)> = items(cluster, "ips")?
        .iter()
        .flat_map(|ip| {
            let owner = format!(
                "{}.{}",
                text(ip, "/spec/podName"),
                text(ip, "/spec/namespace")
            );
            ["/spec/v4IpAddress", "/spec/v6IpAddress"].map(|field| (text(ip, field), owner.clone()))
        })
        .filter(|(address, _)| !address.is_empty())
        .collect();
    let mut taken = BTreeSet::new();
    for (address, owner) in &recorded {
        ensure!(
            taken.insert(address),
            "{address} of {owner} is recorded twice"
        );
    }
    let mut seen = BTreeSet::new();
    for pod in pods(cluster)? {
        let owner = format!("{}.{}", pod.name, pod.namespace);
        for address in pod.addresses {
            ensure!(seen.insert(address), "{owner} has {address} of another pod");
            let record = (address.to_string(), owner.clone());
            ensure!(
                recorded.contains(&record),
                "no record of {address} of {owner}"
            );
        }
    }
    Ok(())
}

// === impl Pod ===

impl Pod {
    fn parse(item: &Value) -> Self {
        let list = |pointer: &str| {
            let list = item.pointer(pointer).and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let is_on_node = item.pointer("/spec/hostNetwork") == Some(&Value::Bool(true));
        let addresses = list("/status/podIPs");
        let addresses = addresses.iter().filter(|_| !is_on_node);
        let conditions = list("/status/conditions");
        let containers = list("/status/containerStatuses");
        let ids = containers
            .iter()
            .map(|container| text(container, "/containerID"));
        let restarts = containers.iter();
        let restarts = restarts.map(|container| container["restartCount"].as_u64());
        Self {
            name: text(item, "/metadata/name"),
            namespace: text(item, "/metadata/namespace"),
            app: text(item, "/metadata/labels/app"),
            uid: text(item, "/metadata/uid"),
            node: text(item, "/spec/nodeName"),
            addresses: addresses
                .filter_map(|address| text(address, "/ip").parse().ok())
                .collect(),
            restarts: restarts.flatten().sum(),
            is_ready: conditions
                .iter()
                .any(|one| one["type"] == "Ready" && one["status"] == "True"),
            containers: ids
                .map(|id| id.trim_start_matches("containerd://").to_owned())
                .collect(),
        }
    }

    /// Fails when it is not Ready, or only was before its node knew better.
    ///
    /// # Errors
    /// Then with its name and state.
    pub(crate) fn check(&self, cluster: &Cluster) -> Result<()> {
        ensure!(self.is_ready, "{} is not Ready", self.name);
        let node = cluster.node(&self.node)?;
        for container in &self.containers {
            let runs = node.runs_container(container)?;
            ensure!(runs, "container {container} of {} has ended", self.name);
        }
        Ok(())
    }

    /// Its network namespace.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn netns(&self, cluster: &Cluster) -> Result<PathBuf> {
        cluster.node(&self.node)?.pod_netns(&self.uid)
    }
}

fn text(value: &Value, pointer: &str) -> String {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
