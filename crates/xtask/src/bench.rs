//! `cargo xtask bench`: measurements, one JSON line each.

use anyhow::Result;
use clap::ValueEnum;

use crate::{process, shim, workspace::Workspace};

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    name: Bench,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Bench {
    /// 10,000 ports written and loaded, next to the Python IDL.
    Ovsdb,
    /// ADD and DEL as kubelet calls them, 1, 10 and 50 at a time; and what daemon and plugin take.
    Cni,
}

/// Prepares what the measurement needs and runs it.
///
/// # Errors
/// When the host lacks what it needs, or the measurement fails.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    match args.name {
        Bench::Ovsdb => ovsdb(workspace),
        Bench::Cni => cni(workspace),
    }
}

fn ovsdb(workspace: &Workspace) -> Result<()> {
    assets::prepare_ovn()?;
    let mut bench = process::cargo(workspace, &["bench", "--locked", "--bench", "ovsdb"]);
    bench.args(["--package", "ovsdb", "--features", "client"]);
    process::run(bench)
}

/// With the programs as they are shipped, and what they log where nobody asks for more.
fn cni(workspace: &Workspace) -> Result<()> {
    assets::prepare_all()?;
    let plugin = shim::build(workspace)?;
    let mut build = process::cargo(workspace, &["build", "--locked", "--release"]);
    build.args(["-p", "controller", "-p", "daemon"]);
    process::run(build)?;
    let mut bench = process::cargo(workspace, &["bench", "--locked", "--bench", "cni"]);
    bench
        .args(["--package", "e2e", "--features", "root-tests"])
        .env("CNI_SHIM_PROGRAM", plugin)
        .env("RUST_LOG", "info");
    process::run(bench)
}
