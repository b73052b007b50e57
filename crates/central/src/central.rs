//! OVN's central part: both databases, then northd.
//!
//! ```text
//! prepare files -> start NB, SB -> both lead -> start northd -> until shutdown -> stop in reverse
//!                        \-- readiness --> labels of our pod --> Services ovn-nb, ovn-sb
//! ```

use std::fs;

use anyhow::{Context as _, Result};
use kit::readiness::Missing;
use kube::Client;

use crate::{
    Process,
    args::CentralArgs,
    children::Children,
    database::{Database, NORTHBOUND, SOUTHBOUND},
    generation::{self, Generations},
    labels::Labels,
    probe::Probe,
    program::Program,
};

/// How readiness and labels call northd.
pub(crate) const NORTHD: &str = "northd";

/// Runs the central part until shutdown.
///
/// # Errors
/// When a database cannot be made; what dies later is started again.
pub(crate) async fn run(args: CentralArgs, process: Process) -> Result<()> {
    let mut children = Children::new(&process.registry)?;
    let pod = match &args.pod_name {
        Some(name) => Some(Pod::new(&args.pod_namespace, name).await?),
        None => None,
    };
    let done = start(&args, pod.as_ref(), &process, &mut children).await;
    let keep_labels = pod.map(|pod| pod.labels.follow(process.readiness.watch()));
    if done.is_ok() {
        let forever = async {
            match keep_labels {
                Some(labels) => labels.await,
                None => std::future::pending().await,
            }
        };
        process.shutdown.run_until_cancelled(forever).await;
    }
    children.stop().await;
    done
}

/// What there is to do with the API server where we are a pod.
struct Pod {
    labels: Labels,
    generations: Generations,
}

impl Pod {
    /// Reaches the API server as a pod does.
    async fn new(namespace: &str, name: &str) -> Result<Self> {
        let client = Client::try_default()
            .await
            .context("no API server; without a pod leave --pod-name out")?;
        Ok(Self {
            labels: Labels::new(client.clone(), namespace, name),
            generations: Generations::new(client, namespace, name),
        })
    }
}

async fn start(
    args: &CentralArgs,
    pod: Option<&Pod>,
    process: &Process,
    children: &mut Children,
) -> Result<()> {
    for directory in [&args.database_directory, &args.run_directory] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the folder {}", directory.display()))?;
    }
    let databases = [NORTHBOUND, SOUTHBOUND].map(|kind| Database::new(kind, args));
    let northd_works = process.readiness.condition(NORTHD);
    let mut readiness = process.readiness.watch();
    let prepared = process
        .shutdown
        .run_until_cancelled(prepare(pod, &databases));
    match prepared.await {
        Some(prepared) => prepared?,
        None => return Ok(()),
    }
    for database in &databases {
        children.start(database.server());
        let leads = process.readiness.condition(database.name());
        drop(kit::spawn(database.name(), database.clone().follow(leads)));
    }
    // it would wait a second before it tries again
    let both_lead = readiness.wait_for(lead_all);
    if process
        .shutdown
        .run_until_cancelled(both_lead)
        .await
        .is_none()
    {
        return Ok(());
    }
    for database in &databases {
        database
            .convert()
            .await
            .with_context(|| format!("cannot convert the database {}", database.name()))?;
    }
    let [northbound, southbound] = &databases;
    let running = children.start(northd(args, northbound, southbound));
    let probe = Probe {
        program: "ovn-northd",
        directory: args.run_directory.clone(),
        command: "status",
        wanted: "Status: active",
    };
    drop(kit::spawn(NORTHD, probe.follow(running, northd_works)));
    Ok(())
}

/// Without an API server the files count as they are.
async fn prepare(pod: Option<&Pod>, databases: &[Database]) -> Result<()> {
    match pod {
        Some(pod) => pod.generations.settle(databases).await,
        None => generation::prepare(databases).await,
    }
}

/// Whether nothing is missing but northd.
fn lead_all(missing: &Missing) -> bool {
    missing.keys().all(|name| *name == NORTHD)
}

fn northd(args: &CentralArgs, northbound: &Database, southbound: &Database) -> Program {
    Program::new("ovn-northd")
        .titled(NORTHD)
        .directory("OVN_RUNDIR", &args.run_directory)
        .arg(format!("--ovnnb-db={}", northbound.remote()))
        .arg(format!("--ovnsb-db={}", southbound.remote()))
        .path_option("--pidfile", &args.run_directory.join("ovn-northd.pid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn northd_is_started_when_only_northd_is_missing() {
        let missing = |names: &[&'static str]| -> Missing {
            names.iter().map(|name| (*name, String::new())).collect()
        };
        assert!(lead_all(&missing(&[NORTHD])));
        assert!(!lead_all(&missing(&[NORTHD, "sb"])));
    }
}
