//! The project's own commands: test, codegen, tidy, bench.

mod codegen;
mod console;
mod process;
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
    /// Write the files that are generated and checked in.
    Codegen(codegen::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let workspace = Workspace::here();
    let done = match args.command {
        Task::Codegen(args) => codegen::run(&workspace, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
