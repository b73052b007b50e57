//! A cluster for one test.

use std::{
    env,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use anyhow::{Context, Result};
use testkit::{Families, inspection};

use crate::{Cluster, Directory, Options, down, up};

/// Clusters have names that are one on a host, so trials take turns.
const TURN: &str = "kube-ovn-rs-trial.lock";

/// Brings a cluster up in a directory of its own, runs a test on it, and takes it down whether
/// the test succeeds or not. When it fails, the ends of all logs are printed.
///
/// # Panics
/// When the cluster cannot be brought up or taken down, and when the test fails.
#[expect(clippy::panic, reason = "a failed trial is a failed test")]
pub fn run(nodes: u8, families: Families, test: impl AsyncFnOnce(&Cluster) -> Result<()>) {
    if let Err(error) = try_run(nodes, families, test) {
        panic!("{error:#}");
    }
}

fn try_run(
    nodes: u8,
    families: Families,
    test: impl AsyncFnOnce(&Cluster) -> Result<()>,
) -> Result<()> {
    let turn = File::create(env::temp_dir().join(TURN)).context("no temporary directory")?;
    turn.lock().context("cannot wait for another trial")?;
    let scratch = tempfile::tempdir().context("no temporary directory")?;
    let options = Options {
        directory: Directory::new(scratch.path().join("cluster")),
        nodes,
        families,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot build a runtime")?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let cluster = up(&options, |_step| {}).await?;
            test(&cluster).await
        })
    }));
    if !matches!(outcome, Ok(Ok(()))) {
        report(options.directory.path());
    }
    // where `up` was refused, what is there is somebody else's
    if options.directory.record()?.is_some() {
        runtime.block_on(down(&options.directory))?;
    }
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

fn report(directory: &Path) {
    inspection::report(directory);
    inspection::report(&directory.join("nodes"));
}
