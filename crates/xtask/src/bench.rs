//! `cargo xtask bench`: measurements side by side with a peer, one JSON line each.

use anyhow::Result;
use clap::ValueEnum;

use crate::{process, workspace::Workspace};

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
}

/// Prepares what the measurement needs and runs it.
///
/// # Errors
/// When the host lacks what it needs, or the measurement fails.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    assets::prepare_ovn()?;
    let arguments: &[&str] = match args.name {
        Bench::Ovsdb => &[
            "--package",
            "ovsdb",
            "--features",
            "client",
            "--bench",
            "ovsdb",
        ],
    };
    let mut command = process::cargo(workspace, &["bench", "--locked"]);
    command.args(arguments);
    process::run(command)
}
