//! Who is where: what the checks need to know of the running workload.

use std::net::IpAddr;

use anyhow::{Context, Result};
use cluster::Cluster;
use model::DualStack;
use serde_json::Value;

use super::workload::{CENTRAL, CLIENT, FAR, NAMESPACE, NEAR, SERVICE, SHARED};

/// A pod that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) addresses: DualStack<IpAddr>,
}

/// Pods, services and hosts of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) client: Pod,
    pub(crate) near: Pod,
    pub(crate) far: Pod,
    /// On the client's node; its traffic leaves by the other.
    pub(crate) central: Pod,
    /// On the client's node; its traffic leaves by both.
    pub(crate) shared: Pod,
    /// The virtual addresses of the servers.
    pub(crate) service: DualStack<IpAddr>,
    /// The virtual addresses of the cluster's DNS.
    pub(crate) dns: DualStack<IpAddr>,
    /// The node of the client.
    pub(crate) first: DualStack<IpAddr>,
    /// The other node.
    pub(crate) second: DualStack<IpAddr>,
    /// The host that is no part of Kubernetes.
    pub(crate) outside: DualStack<IpAddr>,
}

// === impl Facts ===

impl Facts {
    /// Asks the API server.
    ///
    /// # Errors
    /// A pod or service is not there, or has no address.
    pub(crate) fn observe(cluster: &Cluster) -> Result<Self> {
        let pods = get(cluster, &["pods", "-n", NAMESPACE])?;
        let pod = |app| Pod::find(&pods, app);
        let service = |name, namespace| {
            let found = get(cluster, &["service", name, "-n", namespace])?;
            addresses(&found, "/spec/clusterIPs", None).context("a service has addresses")
        };
        let client = pod(CLIENT)?;
        let far = pod(FAR)?;
        Ok(Self {
            near: pod(NEAR)?,
            central: pod(CENTRAL)?,
            shared: pod(SHARED)?,
            service: service(SERVICE, NAMESPACE)?,
            dns: service("kube-dns", "kube-system")?,
            first: cluster.node(&client.node)?.addresses(),
            second: cluster.node(&far.node)?.addresses(),
            outside: cluster.outside_addresses(),
            client,
            far,
        })
    }
}

// === impl Pod ===

impl Pod {
    /// The pod of an app that is not on its way out.
    fn find(list: &Value, app: &str) -> Result<Self> {
        let items = list.get("items").and_then(Value::as_array);
        let mut pods = items.into_iter().flatten().filter(|pod| {
            let is_of_app = text(pod, "/metadata/labels/app") == Some(app);
            is_of_app && pod.pointer("/metadata/deletionTimestamp").is_none()
        });
        pods.find_map(Self::parse)
            .with_context(|| format!("no pod `{app}` has a node and addresses"))
    }

    fn parse(pod: &Value) -> Option<Self> {
        Some(Self {
            name: text(pod, "/metadata/name")?.to_owned(),
            node: text(pod, "/spec/nodeName")?.to_owned(),
            addresses: addresses(pod, "/status/podIPs", Some("/ip"))?,
        })
    }
}

fn get(cluster: &Cluster, words: &[&str]) -> Result<Value> {
    let query = cluster
        .kubectl()?
        .arg("get")
        .args(words)
        .args(["-o", "json"]);
    Ok(serde_json::from_str(&query.read()?)?)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// The addresses of a list, whose elements have them at `within`, or are them.
fn addresses(value: &Value, pointer: &str, within: Option<&str>) -> Option<DualStack<IpAddr>> {
    let list = value.pointer(pointer)?.as_array()?;
    let elements = list.iter().map(|element| {
        let element = within.map_or(Some(element), |within| element.pointer(within))?;
        element.as_str()?.parse().ok()
    });
    DualStack::from_values(elements.collect::<Option<Vec<IpAddr>>>()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, deleted: bool) -> Value {
        let mut pod = json!({
            "metadata": { "name": name, "labels": { "app": "near" } },
            "spec": { "nodeName": "n1" },
            "status": { "podIPs": [{ "ip": "10.16.0.7" }, { "ip": "fd00:10:16::7" }] },
        });
        if deleted {
            pod["metadata"]["deletionTimestamp"] = json!("2025-01-01T00:00:00Z");
        }
        pod
    }

    #[test]
    fn a_pod_on_its_way_out_is_not_the_one() {
        let list = json!({ "items": [pod("old", true), pod("new", false)] });
        let found = Pod::find(&list, "near").unwrap();
        assert_eq!(found.name, "new");
        assert_eq!(found.addresses.to_string(), "10.16.0.7,fd00:10:16::7");
        assert!(Pod::find(&list, "far").is_err());
    }

    #[test]
    fn a_service_has_its_addresses_in_any_order() {
        let service = json!({ "spec": { "clusterIPs": ["fd00:96::5", "10.96.0.5"] } });
        let found = addresses(&service, "/spec/clusterIPs", None).unwrap();
        assert_eq!(found.to_string(), "10.96.0.5,fd00:96::5");
    }
}
