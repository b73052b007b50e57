//! `cargo xtask chaos`: the chaos of the slow level, of any length and by any seed.

use anyhow::Result;

use crate::{test::steps, workspace::Workspace};

/// Arguments of `cargo xtask chaos`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long it goes on.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// What decides faults and operations; by chance when it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs it; seed and counts are printed.
///
/// # Errors
/// When the host lacks something, or what must hold after chaos does not.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let minutes = ("CHAOS_MINUTES", args.minutes.to_string());
    let seed = args.seed.map(|seed| ("CHAOS_SEED", seed.to_string()));
    let variables: Vec<(&str, String)> = [Some(minutes), seed].into_iter().flatten().collect();
    steps::run_slow_test(workspace, "slow_chaos", &variables)
}
