//! Waiting until everything runs: progress while it does not, and a sentence about what does not
//! when the time is over.

mod state;

use std::time::Duration;

use anyhow::{Result, anyhow};
use cluster::Cluster;
use serde_json::Value;
use testkit::wait_until;

use self::state::{Blocked, State};
use crate::console;

/// Images are there; what takes time is the first start of everything, on a busy host.
const PATIENCE: Duration = Duration::from_mins(6);
/// So many of those that are not ready are explained.
const EXPLAINED: usize = 3;

/// Waits until every node and every pod of the cluster is Ready, and says on the way what is.
///
/// # Errors
/// What is not ready in time: the pod, its container, and the end of its log.
pub(crate) async fn wait(cluster: &Cluster, stopwatch: impl Fn() -> f64) -> Result<()> {
    let mut said = String::new();
    let ready = wait_until("everything is ready", PATIENCE, async || {
        if let Err(ended) = cluster.check() {
            return Ok(Err(ended));
        }
        let state = observe(cluster)?;
        let summary = state.summary();
        if summary != said {
            console::say(&format!("{:>5.0} s  {summary}", stopwatch()));
            said = summary;
        }
        if state.is_ready() {
            return Ok(Ok(()));
        }
        Err(anyhow!("{}", state.summary()))
    })
    .await;
    match ready {
        Ok(outcome) => outcome,
        Err(_timeout) => Err(explain(cluster)),
    }
}

fn observe(cluster: &Cluster) -> Result<State> {
    let query = cluster
        .kubectl()?
        .args(["get", "nodes,pods", "-A", "-o", "json"]);
    let list: Value = serde_json::from_str(&query.read()?)?;
    Ok(State::parse(&list))
}

/// Why it is not ready, asked anew.
fn explain(cluster: &Cluster) -> anyhow::Error {
    let state = match observe(cluster) {
        Ok(state) => state,
        Err(error) => return error,
    };
    let blocked = state.blocked.iter().take(EXPLAINED);
    let reasons: Vec<String> = blocked.map(|blocked| reason(cluster, blocked)).collect();
    anyhow!(
        "after {} minutes {}\n{}\nlook with `cargo xtask cluster kubectl describe`, or start anew \
         after `cargo xtask demo --down`",
        PATIENCE.as_secs() / 60,
        state.summary(),
        reasons.join("\n")
    )
}

/// The state of a pod, and the last that it or the cluster said about it.
fn reason(cluster: &Cluster, blocked: &Blocked) -> String {
    let said = log(cluster, blocked)
        .or_else(|| event(cluster, blocked))
        .map_or_else(String::new, |said| format!(": {said}"));
    format!("  {blocked}{said}")
}

/// The last line of the container, or of the one before it.
fn log(cluster: &Cluster, blocked: &Blocked) -> Option<String> {
    let logs = |previous: &str| {
        let logs = cluster.kubectl().ok()?.args(["logs", "--tail=1", previous]);
        let logs = logs.args(["-n", &blocked.namespace, &blocked.pod, "-c"]);
        let line = logs.arg(blocked.container.as_ref()?).read().ok()?;
        Some(line).filter(|line| !line.is_empty())
    };
    logs("--previous=false").or_else(|| logs("--previous=true"))
}

/// The last warning about the pod.
fn event(cluster: &Cluster, blocked: &Blocked) -> Option<String> {
    let events = cluster.kubectl().ok()?.args(["get", "events"]);
    let events = events.args(["-n", &blocked.namespace, "--sort-by=.lastTimestamp"]);
    let pod = &blocked.pod;
    let selector = format!("--field-selector=type=Warning,involvedObject.name={pod}");
    let path = "-o=jsonpath={.items[-1:].message}";
    let said = events.args([&selector, path]).read().ok()?;
    Some(said).filter(|said| !said.is_empty())
}
