//! The project's own commands: test, codegen, tidy, images, cluster, demo, bench, chaos.

mod bench;
mod chaos;
mod cluster;
mod codegen;
mod console;
mod demo;
mod host;
mod images;
mod process;
mod shim;
mod stopwatch;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check and test everything; what CI runs.
    Test(test::Args),
    /// Write the files that are generated and checked in.
    Codegen(codegen::Args),
    /// Check the project's own rules.
    Tidy,
    /// Build the CNI plugin as a static program.
    Shim,
    /// Build the images of deploy/images.
    Images(images::Args),
    /// A real Kubernetes cluster on this host.
    Cluster(cluster::Args),
    /// The product on such a cluster, and a table of who reaches whom.
    Demo(demo::Args),
    /// Measure, next to a peer.
    Bench(bench::Args),
    /// Kill and cut at random while objects come and go, and look what is left.
    Chaos(chaos::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let workspace = Workspace::here();
    let done = match args.command {
        Task::Test(args) => test::run(&workspace, &args),
        Task::Codegen(args) => codegen::run(&workspace, &args),
        Task::Tidy => tidy::run(&workspace),
        Task::Shim => {
            shim::build(&workspace).map(|plugin| console::say(&plugin.display().to_string()))
        }
        Task::Images(args) => images::run(&workspace, &args),
        Task::Cluster(args) => cluster::run(&workspace, args),
        Task::Demo(args) => demo::run(&workspace, &args),
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Chaos(args) => chaos::run(&workspace, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
