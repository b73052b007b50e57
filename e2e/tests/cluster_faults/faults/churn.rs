//! Pods that come and go.

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::{Cluster, image::BUSYBOX};
use serde_json::json;
use testkit::{command::Invocation, wait_until};

use crate::cluster_faults::pods::{Pod, pods_of};

const NAME: &str = "churn";
/// So many on two nodes.
const PODS: usize = 4;
const PATIENCE: Duration = Duration::from_mins(2);
/// One look; the API server may be away.
const LOOK: &str = "--timeout=20s";

/// Creates a Deployment, each of whose roll-outs makes all its pods anew before the old ones go.
///
/// # Errors
/// Its pods do not run in time.
pub(crate) async fn deploy(cluster: &Cluster) -> Result<()> {
    let manifest = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": NAME, "namespace": "default" },
        "spec": {
            "replicas": PODS,
            "selector": { "matchLabels": { "app": NAME } },
            "strategy": { "rollingUpdate": { "maxSurge": "100%", "maxUnavailable": 0 } },
            "template": {
                "metadata": { "labels": { "app": NAME } },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    // where their node is away for long, they wait for it
                    "tolerations": [{ "operator": "Exists" }],
                    "containers": [{
                        "name": "main",
                        "image": BUSYBOX,
                        "command": ["sleep", "100000"],
                    }],
                },
            },
        },
    });
    cluster.apply(&manifest.to_string())?;
    rolled_out(cluster).await
}

/// Makes its pods anew, and returns when their creation is underway.
///
/// # Errors
/// The API server makes none.
pub(crate) async fn roll(cluster: &Cluster) -> Result<()> {
    let restart = ["rollout", "restart", "deployment", NAME];
    cluster.kubectl()?.args(restart).read()?;
    wait_until("pods are being created", PATIENCE, async || {
        let pods = pods_of(cluster, NAME)?;
        ensure!(pods.len() > PODS, "there are {}", pods.len());
        Ok(())
    })
    .await
}

/// Waits until the new pods run and the old ones are gone.
///
/// # Errors
/// They do not, or are not.
pub(crate) async fn rolled_out(cluster: &Cluster) -> Result<()> {
    let status = cluster.kubectl()?.args(["rollout", "status", LOOK]);
    let status = status.args(["deployment", NAME]);
    wait_until("the pods are made anew", PATIENCE, async || {
        status.read()?;
        let pods = pods_of(cluster, NAME)?;
        ensure!(pods.len() == PODS, "there are {}", pods.len());
        Ok(())
    })
    .await
}

/// Fails when one of the pods does not answer `from`.
///
/// # Errors
/// Then with the pod.
pub(crate) fn check_reached(cluster: &Cluster, from: &Pod) -> Result<()> {
    let netns = from.netns(cluster)?;
    for pod in pods_of(cluster, NAME)? {
        for address in &pod.addresses {
            let ping = Invocation::new("ping").in_netns(&netns);
            let ping = ping.args(["-n", "-c1", "-W1", &address.to_string()]);
            let answers = ping.finish()?.success;
            ensure!(
                answers,
                "{} on {} does not answer at {address}",
                pod.name,
                pod.node
            );
        }
    }
    Ok(())
}

/// Deletes it, also what an interrupted run left, and waits until its pods are gone.
///
/// # Errors
/// They stay.
pub(crate) fn delete(cluster: &Cluster) -> Result<()> {
    let delete = ["delete", "deployment", NAME, "--ignore-not-found"];
    let delete = cluster.kubectl()?.args(delete);
    delete.args(["--cascade=foreground", LOOK]).read().map(drop)
}
