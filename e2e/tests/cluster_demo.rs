//! The product as users get it, by `cargo xtask demo`: images, chart, two nodes of both families.
//!
//! The tests share one cluster, which the first one brings up and the last one takes down.
//!
//! ```text
//! cargo build -p xtask
//! cargo test -p e2e --features cluster-tests --test cluster_demo -- --test-threads=1
//! ```
#![cfg(test)]

mod cluster_demo {
    pub(crate) mod leftovers;
    pub(crate) mod program;
}

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Footprint, image::BUSYBOX};
use serde_json::{Value, json};
use testkit::wait_until;

use crate::cluster_demo::{
    leftovers::leftovers,
    program::{demo, directory, run, shared},
};

const PATIENCE: Duration = Duration::from_mins(2);
const GONE: Duration = Duration::from_secs(30);

#[test]
fn every_row_of_the_demo_is_green_in_both_families() {
    let run = demo(&[]).unwrap();
    assert!(run.success, "{}", run.stderr);
    assert_eq!(run.red(), BTreeSet::new());
    for family in ["IPv4", "IPv6"] {
        let rows = run.rows.iter().filter(|row| row.family == family);
        assert_eq!(rows.count(), 15, "{family}");
    }
}

#[test]
fn a_broken_route_turns_the_ways_out_red_and_no_others() {
    let ways = [
        "outside",
        "outside-from-other",
        "outside-by-gateway",
        "outside-by-both",
    ];
    assert_breaks("route", &ways);
}

#[test]
fn a_broken_load_balancer_turns_the_cluster_ip_red_and_no_others() {
    assert_breaks("lb", &["cluster-ip"]);
}

#[test]
fn a_broken_dns_turns_names_red_and_no_others() {
    assert_breaks("dns", &["name"]);
}

#[test]
fn kubelet_and_containerd_call_the_plugin_and_deleted_pods_leave_nothing() {
    run(async |cluster| {
        let before = leftovers(cluster)?;
        cluster.apply(&web().to_string())?;
        rolled_out(cluster).await?;
        for node in cluster.nodes() {
            let attached = attached_sandboxes(cluster, node.name())?;
            let known =
                node.command("ctr")?
                    .args(["--namespace=k8s.io", "containers", "list", "--quiet"]);
            let known = known.read()?;
            let is_known = |id: &String| known.lines().any(|known| known == id);
            ensure!(
                !attached.is_empty(),
                "no pod is attached on {}",
                node.name()
            );
            ensure!(attached.iter().all(is_known), "{attached:?}\n{known}");
        }
        assert_ne!(leftovers(cluster)?, before);

        let delete = ["delete", "daemonset", "web", "--wait", "--timeout=30s"];
        cluster.kubectl()?.args(delete).read()?;
        wait_until("nothing is left of the pods", GONE, async || {
            let left = leftovers(cluster)?;
            let new: Vec<_> = left.difference(&before).collect();
            ensure!(new.is_empty(), "{new:?}");
            Ok(())
        })
        .await
    });
}

/// The last by its name, though it could be any: the next would bring the cluster up again.
#[test]
fn taking_the_demo_down_leaves_nothing_on_the_host() {
    let _cluster = shared().unwrap();
    let run = demo(&["--down"]).unwrap();
    assert!(run.success, "{}", run.stderr);
    let left = Footprint::observe().unwrap();
    assert!(left.is_without_cluster(), "{left:?}");
    assert!(!directory().path().exists());
}

#[track_caller]
fn assert_breaks(what: &str, ways: &[&str]) {
    let run = demo(&["--break", what]).unwrap();
    let families = ["IPv4", "IPv6"];
    let rows = |way: &&str| families.map(|family| (family.to_owned(), (*way).to_owned()));
    let expected: BTreeSet<_> = ways.iter().flat_map(rows).collect();
    assert_eq!(run.red(), expected, "{}", run.stderr);
    assert!(!run.success);
    assert!(run.stderr.contains("are red"), "{}", run.stderr);
}

/// A pod on every node.
fn web() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "main",
                        "image": BUSYBOX,
                        "command": ["sleep", "10000"],
                    }],
                },
            },
        },
    })
}

async fn rolled_out(cluster: &Cluster) -> Result<()> {
    let query = cluster
        .kubectl()?
        .args(["get", "daemonset", "web", "-o=json"]);
    wait_until("web is ready", PATIENCE, async || {
        let found: Value = serde_json::from_str(&query.read()?)?;
        let ready = found["status"]["numberReady"].as_u64();
        ensure!(ready == Some(2), "{ready:?} of 2 are");
        Ok(())
    })
    .await
}

/// The sandboxes of the pods of [`web`] that have an interface of Open vSwitch on a node: these
/// ids are containerd's, so that it was containerd who called.
fn attached_sandboxes(cluster: &Cluster, node: &str) -> Result<Vec<String>> {
    let pod = cluster_demo::leftovers::switch(cluster, node)?;
    let find = cluster.kubectl()?.args(["exec", "-n=kube-system", &pod]);
    let columns = ["--bare", "--columns=external_ids", "list", "Interface"];
    let found = find.args(["--", "ovs-vsctl"]).args(columns).read()?;
    let of_web = found.lines().filter(|line| line.contains("iface-id=web-"));
    of_web
        .map(|line| {
            let mut pairs = line.split_whitespace();
            let id = pairs.find_map(|pair| pair.strip_prefix("container_id="));
            id.map(str::to_owned)
                .with_context(|| format!("no sandbox in {line}"))
        })
        .collect()
}
