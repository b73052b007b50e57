//! `cargo xtask bench`: measurements, one JSON line each.

use std::process::Command;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::{process, shim, workspace::Workspace};

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    name: Bench,
    /// With so many pods instead of 2,000 and 10,000: a short trial of `control`.
    #[arg(long, value_name = "COUNT")]
    pods: Option<u32>,
    /// With so many subnets instead of 1, 100 and 1,000: for `failover`.
    #[arg(long, value_name = "COUNT")]
    subnets: Option<u32>,
    /// With so many outages instead of 20: for `failover`.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// 10,000 ports written and loaded, next to the Python IDL.
    Ovsdb,
    /// ADD and DEL as kubelet calls them, 1, 10 and 50 at a time; and what daemon and plugin take.
    Cni,
    /// 2,000 and 10,000 pods and one controller: how many a second, and at which cost.
    Control,
    /// A gateway node cut off, with 1, 100 and 1,000 subnets: how long new flows are lost.
    Failover,
}

/// Prepares what the measurement needs and runs it.
///
/// # Errors
/// When the host lacks what it needs, or the measurement fails.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let is_trial = args.pods.is_some();
    ensure!(
        !is_trial || args.name == Bench::Control,
        "--pods is for `control`"
    );
    let is_short = args.subnets.is_some() || args.runs.is_some();
    ensure!(
        !is_short || args.name == Bench::Failover,
        "--subnets and --runs are for `failover`"
    );
    match args.name {
        Bench::Ovsdb => ovsdb(workspace),
        Bench::Cni => cni(workspace),
        Bench::Control => control(workspace, args.pods),
        Bench::Failover => failover(workspace, args),
    }
}

fn ovsdb(workspace: &Workspace) -> Result<()> {
    assets::prepare_ovn()?;
    let mut bench = process::cargo(workspace, &["bench", "--locked", "--bench", "ovsdb"]);
    bench.args(["--package", "ovsdb", "--features", "client"]);
    process::run(bench)
}

fn cni(workspace: &Workspace) -> Result<()> {
    process::run(with_all(workspace, "cni")?)
}

fn failover(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut bench = with_all(workspace, "failover")?;
    let numbers = [
        ("FAILOVER_SUBNETS", args.subnets),
        ("FAILOVER_RUNS", args.runs),
    ];
    for (variable, number) in numbers {
        if let Some(number) = number {
            bench.env(variable, number.to_string());
        }
    }
    process::run(bench)
}

/// A measurement with the programs as they are shipped, and what they log where nobody asks for
/// more.
fn with_all(workspace: &Workspace, name: &str) -> Result<Command> {
    assets::prepare_all()?;
    let plugin = shim::build(workspace)?;
    let mut build = process::cargo(workspace, &["build", "--locked", "--release"]);
    build.args(["-p", "controller", "-p", "daemon"]);
    process::run(build)?;
    let mut bench = process::cargo(workspace, &["bench", "--locked", "--bench", name]);
    bench
        .args(["--package", "e2e", "--features", "root-tests"])
        .env("CNI_SHIM_PROGRAM", plugin)
        .env("RUST_LOG", "info");
    Ok(bench)
}

/// With the controller as it is shipped, and what it logs where nobody asks for more.
fn control(workspace: &Workspace, pods: Option<u32>) -> Result<()> {
    assets::prepare_all()?;
    let mut build = process::cargo(workspace, &["build", "--locked", "--release"]);
    build.args(["-p", "controller"]);
    process::run(build)?;
    let mut bench = process::cargo(workspace, &["bench", "--locked", "--bench", "control"]);
    bench
        .args(["--package", "e2e", "--features", "root-tests"])
        .env("RUST_LOG", "info");
    if let Some(pods) = pods {
        bench.env("CONTROL_PODS", pods.to_string());
    }
    process::run(bench)
}
