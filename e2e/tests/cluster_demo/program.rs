//! `cargo xtask demo` as a program, on a directory of the tests.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Directory};
use serde::Deserialize;
use testkit::{bin::bin, command::Invocation};

/// The first run on a fresh host builds programs, images and Kubernetes.
const PATIENCE: Duration = Duration::from_mins(40);

/// How a run of the demo ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) success: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) stderr: String,
}

/// A line of `demo --json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) way: String,
    pub(crate) family: String,
    ok: bool,
}

/// Where the cluster of the tests lies: not where the user's does.
pub(crate) fn directory() -> Directory {
    Directory::new("/var/lib/kube-ovn-rs/e2e")
}

/// The demo with further arguments; it brings the cluster up where it is not.
///
/// # Errors
/// It cannot be started.
pub(crate) fn demo(arguments: &[&str]) -> Result<Run> {
    let mut program = Invocation::new(bin("xtask")?)
        .arg("demo")
        .arg("--directory");
    program = program.arg(directory().path()).args(arguments);
    if !arguments.contains(&"--down") {
        discard_broken()?;
        program = program.arg("--json");
    }
    let finished = program.deadline(PATIENCE).finish()?;
    let lines = finished.stdout.lines().filter(|line| line.starts_with('{'));
    let rows = lines.map(|line| serde_json::from_str(line).context("a row is no JSON"));
    Ok(Run {
        success: finished.success,
        rows: rows.collect::<Result<_>>()?,
        stderr: finished.stderr,
    })
}

/// The cluster with the product on it.
///
/// # Errors
/// It cannot be brought up.
pub(crate) fn shared() -> Result<Cluster> {
    discard_broken()?;
    if let Ok(cluster) = Cluster::open(&directory()) {
        return Ok(cluster);
    }
    let run = demo(&[])?;
    ensure!(run.success, "{}", run.stderr);
    Cluster::open(&directory())
}

/// Runs a test on [`shared`].
///
/// # Panics
/// When it fails.
#[track_caller]
pub(crate) fn run(test: impl AsyncFnOnce(&Cluster) -> Result<()>) {
    let cluster = shared().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    if let Err(error) = runtime.block_on(test(&cluster)) {
        panic!("{error:#}");
    }
}

/// Takes down what an interrupted run left behind, if it does not run any more.
fn discard_broken() -> Result<()> {
    let Ok(cluster) = Cluster::open(&directory()) else {
        return Ok(());
    };
    if cluster.check().is_ok() {
        return Ok(());
    }
    demo(&["--down"]).map(drop)
}

// === impl Run ===

impl Run {
    /// Family and way of the red rows.
    pub(crate) fn red(&self) -> BTreeSet<(String, String)> {
        let red = self.rows.iter().filter(|row| !row.ok);
        red.map(|row| (row.family.clone(), row.way.clone()))
            .collect()
    }
}
