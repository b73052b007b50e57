//! The cluster heals by itself, whatever is killed, while packets flow and pods come and go.

mod churn;
mod fault;
mod traffic;

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use testkit::{tell, wait_until};
use tokio::time::Instant;

pub(crate) use self::fault::Fault;
use self::traffic::{Losses, Traffic};
use super::pods::{check_addresses, items, pods};
use crate::cluster_demo::{leftovers::leftovers, program::demo};

/// A whole node has to start in it, on a busy host.
const PATIENCE: Duration = Duration::from_mins(3);
const GONE: Duration = Duration::from_secs(30);
/// What one fault did.
struct Row {
    fault: String,
    losses: Losses,
    healed: Duration,
    restarts: u64,
}

/// Lets the faults happen one after the other, each while pods come and go, and prints what was
/// lost. What one of them breaks is no reason not to try the others.
///
/// # Errors
/// What did not heal, or was left.
pub(crate) async fn endure(cluster: &Cluster, faults: &[Fault]) -> Result<()> {
    churn::delete(cluster)?;
    let before = kinds(cluster)?;
    churn::deploy(cluster).await?;
    let scratch = tempfile::tempdir()?;
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for fault in faults {
        match suffer(cluster, *fault, scratch.path()).await {
            Ok(row) => rows.push(row),
            Err(error) => broken.push(format!("{fault}: {error:#}")),
        }
    }
    print(&rows)?;
    ensure!(broken.is_empty(), "{}", broken.join("\n"));

    churn::delete(cluster)?;
    wait_until("nothing is left of the pods", GONE, async || {
        let after = kinds(cluster)?;
        let differs = |(kind, count): &(&String, &usize)| before.get(*kind) != Some(*count);
        let new: Vec<_> = after.iter().filter(differs).collect();
        ensure!(new.is_empty(), "{new:?}");
        Ok(())
    })
    .await?;
    let run = demo(&["--no-install"])?;
    ensure!(run.success, "{:?}\n{}", run.red(), run.stderr);
    Ok(())
}

async fn suffer(cluster: &Cluster, fault: Fault, scratch: &Path) -> Result<Row> {
    let restarts = restarts(cluster)?;
    let traffic = Traffic::start(cluster, fault.nodes(), scratch).await?;
    churn::roll(cluster).await?;
    let begun = Instant::now();
    let struck = fault.strike(cluster, &traffic).await;
    let healed = match struck {
        Ok(()) => heal(cluster).await,
        Err(error) => Err(error),
    };
    let row = Row {
        fault: fault.to_string(),
        healed: begun.elapsed(),
        losses: traffic.finish().await?,
        // pods that were started anew may be gone with their count
        restarts: self::restarts(cluster)?.saturating_sub(restarts),
    };
    healed.with_context(|| row.line())?;
    let was_calm = fault.restarts_containers() || row.restarts == 0;
    ensure!(was_calm, "containers were started anew: {}", row.line());
    Ok(row)
}

/// Waits until all is as it should be, without a hand laid on.
async fn heal(cluster: &Cluster) -> Result<()> {
    churn::rolled_out(cluster).await?;
    wait_until("all is healed", PATIENCE, async || {
        for node in items(cluster, "nodes")? {
            let conditions = node["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            let is_ready = conditions.any(|one| one["type"] == "Ready" && one["status"] == "True");
            ensure!(is_ready, "{} is not Ready", node["metadata"]["name"]);
        }
        let pods = pods(cluster)?;
        pods.iter().try_for_each(|pod| pod.check(cluster))?;
        let from = pods
            .iter()
            .filter(|pod| ["near", "far"].contains(&pod.app.as_str()));
        for pod in from {
            churn::check_reached(cluster, pod)?;
        }
        Ok(())
    })
    .await?;
    check_addresses(cluster)
}

/// How often containers were started anew.
fn restarts(cluster: &Cluster) -> Result<u64> {
    Ok(pods(cluster)?.iter().map(|pod| pod.restarts).sum())
}

/// What attaching pods makes, how many of a kind and place: names of links end with their sandbox.
fn kinds(cluster: &Cluster) -> Result<BTreeMap<String, usize>> {
    let mut kinds = BTreeMap::new();
    for left in leftovers(cluster)? {
        let (place, _name) = left.split_once(": ").context("a place")?;
        let is_named_by_sandbox = place.starts_with("link") || place.starts_with("port");
        let kind = if is_named_by_sandbox { place } else { &left };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    Ok(kinds)
}

fn print(rows: &[Row]) -> Result<()> {
    tell(format_args!(
        "\n{:<24} |   sent |   lost | outage ms | within | healed s | restarts",
        "fault"
    ))?;
    rows.iter().map(Row::line).try_for_each(tell)
}

// === impl Row ===

impl Row {
    fn line(&self) -> String {
        let Losses { across, within } = self.losses;
        let healed = self.healed.as_secs_f64();
        format!(
            "{:<24} | {across} | {:>6} | {healed:>8.1} | {:>8}",
            self.fault, within.lost, self.restarts
        )
    }
}
