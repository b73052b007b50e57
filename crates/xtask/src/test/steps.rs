//! What each level does.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use cargo_metadata::{MetadataCommand, Package, Target};

use super::{level::Level, tally::Tally};
use crate::{
    codegen, console, host,
    process::{self, cargo, run as run_command, stream, succeeds},
    shim, tidy,
    workspace::Workspace,
};

/// How often the root level is repeated.
const REPETITIONS: u32 = 3;

/// How often three members start on empty disks in the slow level.
const STARTS: (&str, &str) = ("LAB_STARTS", "20");

/// The feature that a test program with tests that need root requires (`required-features`).
const ROOT_TESTS: &str = "root-tests";

/// The same for tests that take minutes.
const SLOW_TESTS: &str = "slow-tests";

/// The same for tests that need a cluster.
const CLUSTER_TESTS: &str = "cluster-tests";

/// The package whose tests share the host's namespaces and run one at a time.
const LAB: &str = "e2e";

/// The programs that the lab starts.
const PROGRAMS: [&str; 5] = ["central", "controller", "daemon", "nat-gateway", "pinger"];

/// The variable by which the lab's tests take the static shim in place of the debug build.
const SHIM: &str = "CNI_SHIM_PROGRAM";

/// Runs one level and counts its tests.
///
/// # Errors
/// When something of the level failed.
pub(crate) fn run(workspace: &Workspace, level: Level, tally: &mut Tally) -> Result<()> {
    match level {
        Level::Format => format(workspace),
        Level::Tidy => tidy::run(workspace),
        Level::Codegen => codegen::check(workspace),
        Level::Clippy => clippy(workspace),
        Level::Docs => docs(workspace),
        Level::Unit => test(
            cargo(
                workspace,
                &["test", "--workspace", "--locked", "--no-fail-fast"],
            ),
            tally,
        ),
        Level::Root => root(workspace, tally),
        Level::Cluster => cluster(workspace, tally),
        Level::Alone => check_alone(workspace),
        Level::Repeat => repeat(workspace, tally),
        Level::Slow => slow(workspace, tally),
    }
}

fn format(workspace: &Workspace) -> Result<()> {
    component(workspace, "fmt", "rustfmt")?;
    run_command(cargo(workspace, &["fmt", "--all", "--", "--check"]))
        .context("run `cargo fmt --all`")
}

fn clippy(workspace: &Workspace) -> Result<()> {
    component(workspace, "clippy", "clippy")?;
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
    ];
    let mut command = cargo(workspace, &arguments);
    command.args(["--", "-D", "warnings"]);
    run_command(command)
}

/// Installs a component of the toolchain that is not there.
fn component(workspace: &Workspace, subcommand: &str, component: &str) -> Result<()> {
    if succeeds(cargo(workspace, &[subcommand, "--version"])) {
        return Ok(());
    }
    let mut rustup = process::command(workspace, "rustup");
    rustup.args(["component", "add", component]);
    run_command(rustup)
}

fn docs(workspace: &Workspace) -> Result<()> {
    let mut command = cargo(workspace, &["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    run_command(command)
}

fn root(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    host::require_root("the root level")?;
    assets::prepare_all()?;
    let shim = build_programs(workspace)?;
    run_root_tests(workspace, &shim, tally)
}

/// The tests take down what they bring up.
fn cluster(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    host::require_root("the cluster level")?;
    prepare_demo()?;
    let shim = build_programs(workspace)?;
    let packages: Vec<Package> = members(workspace)?;
    let lab = packages.into_iter().filter(|package| package.name == LAB);
    let lab: Vec<Package> = lab.collect();
    let mut command = feature_command(workspace, &lab, CLUSTER_TESTS);
    command.env("RUST_TEST_THREADS", "1").env(SHIM, shim);
    test(command, tally)
}

/// What the product on a cluster is made of.
fn prepare_demo() -> Result<()> {
    assets::prepare_cluster()?;
    assets::prepare_images()?;
    assets::prepare_go_tool(assets::versions::HELM).map(drop)
}

fn repeat(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    host::require_root("the repeat level")?;
    assets::prepare_all()?;
    let shim = build_programs(workspace)?;
    for repetition in 1..=REPETITIONS {
        console::say(&format!("-- repeat: {repetition} of {REPETITIONS} --"));
        run_root_tests(workspace, &shim, tally)?;
    }
    Ok(())
}

fn slow(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    host::require_root("the slow level")?;
    assets::prepare_all()?;
    prepare_demo()?;
    let shim = build_programs(workspace)?;
    let lab = members(workspace)?.into_iter();
    let lab: Vec<Package> = lab.filter(|package| package.name == LAB).collect();
    let mut command = feature_command(workspace, &lab, SLOW_TESTS);
    command.env("RUST_TEST_THREADS", "1").env(SHIM, shim);
    command.env(STARTS.0, STARTS.1);
    test(command, tally)
}

/// Prepares the lab and runs one of its slow tests, with variables of the environment.
///
/// # Errors
/// When something is missing, or the test fails.
pub(crate) fn run_slow_test(
    workspace: &Workspace,
    name: &str,
    variables: &[(&str, String)],
) -> Result<()> {
    host::require_root("the slow level")?;
    assets::prepare_all()?;
    let shim = build_programs(workspace)?;
    let feature = format!("{LAB}/{SLOW_TESTS}");
    let arguments = ["test", "--locked", "--package", LAB, "--test", name];
    let mut command = cargo(workspace, &arguments);
    command.args(["--features", &feature]).env(SHIM, shim);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    run_command(command)
}

/// Each package by itself: built together, one package's features hide what another forgot.
fn check_alone(workspace: &Workspace) -> Result<()> {
    for package in members(workspace)? {
        let name = package.name.as_str();
        console::say(&format!("-- {name} alone --"));
        let arguments = ["check", "--locked", "--all-targets", "--package", name];
        run_command(cargo(workspace, &arguments))?;
    }
    Ok(())
}

/// Builds what the lab starts, and returns where the static shim is.
fn build_programs(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = cargo(workspace, &["build", "--locked"]);
    command.args(PROGRAMS.iter().flat_map(|program| ["--package", program]));
    run_command(command)?;
    shim::build(workspace)
}

/// Two runs of cargo: the lab's tests fill the host with nodes, so they take turns.
fn run_root_tests(workspace: &Workspace, shim: &Path, tally: &mut Tally) -> Result<()> {
    let (lab, libraries): (Vec<Package>, Vec<Package>) = members(workspace)?
        .into_iter()
        .filter(|package| tests_with(package, ROOT_TESTS).next().is_some())
        .partition(|package| package.name == LAB);
    let libraries = test(feature_command(workspace, &libraries, ROOT_TESTS), tally);
    let mut command = feature_command(workspace, &lab, ROOT_TESTS);
    command.env("RUST_TEST_THREADS", "1").env(SHIM, shim);
    let lab = test(command, tally);
    libraries.and(lab)
}

/// Only the tests that need a feature: those that need none have run in the unit level.
fn feature_command(workspace: &Workspace, packages: &[Package], feature: &str) -> Command {
    let mut command = cargo(workspace, &["test", "--locked", "--no-fail-fast"]);
    for package in packages {
        let name = package.name.as_str();
        command.args([
            "--package",
            name,
            "--features",
            &format!("{name}/{feature}"),
        ]);
        command.args(tests_with(package, feature).flat_map(|target| ["--test", &target.name]));
    }
    command
}

/// The test programs of a package that need a feature.
fn tests_with<'a>(package: &'a Package, feature: &'a str) -> impl Iterator<Item = &'a Target> {
    package.targets.iter().filter(move |target| {
        let mut features = target.required_features.iter();
        target.is_test() && features.any(|required| required == feature)
    })
}

/// The packages of the workspace.
fn members(workspace: &Workspace) -> Result<Vec<Package>> {
    let mut command = MetadataCommand::new();
    let metadata = command.current_dir(workspace.root()).no_deps().exec()?;
    Ok(metadata.packages)
}

/// Runs tests, shows what they print, and counts them.
fn test(command: Command, tally: &mut Tally) -> Result<()> {
    stream(command, |line| {
        console::say(line);
        tally.read(line);
    })
}
