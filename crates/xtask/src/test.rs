//! `cargo xtask test`: every level, the same on a laptop and in CI.

mod level;
mod report;
pub(crate) mod steps;
mod tally;

use anyhow::{Result, bail};

use self::{
    level::Level,
    report::{Entry, Report},
    tally::Tally,
};
use crate::{console, stopwatch::Stopwatch, workspace::Workspace};

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run the slow levels too: `alone`, `repeat` and `slow`.
    #[arg(long)]
    slow: bool,
    /// Run only this level; may be given several times.
    #[arg(long = "level", value_name = "LEVEL")]
    levels: Vec<Level>,
}

/// Runs the levels one after the other, whether or not one fails, and prints a table at the end.
///
/// # Errors
/// When a level failed, naming it.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut report = Report::default();
    for level in args.selected() {
        report.push(run_level(workspace, level));
    }
    for line in report.lines() {
        console::say(&line);
    }
    match report.failed_levels().as_slice() {
        [] => Ok(()),
        failed => bail!("failed: {}", failed.join(", ")),
    }
}

fn run_level(workspace: &Workspace, level: Level) -> Entry {
    console::say(&format!("\n== {level}: {} ==", level.describe()));
    let watch = Stopwatch::start();
    let mut tally = Tally::default();
    let result = steps::run(workspace, level, &mut tally);
    let seconds = watch.seconds();
    match &result {
        Ok(()) => console::say(&format!("== {level}: passed in {seconds:.0} s ==")),
        Err(error) => console::complain(&format!("== {level}: FAILED: {error:#} ==")),
    }
    Entry {
        level,
        tally,
        seconds,
        passed: result.is_ok(),
    }
}

impl Args {
    /// The levels to run, in order.
    fn selected(&self) -> Vec<Level> {
        let is_selected = |level: &Level| {
            if self.levels.is_empty() {
                self.slow || !level.is_slow()
            } else {
                self.levels.contains(level)
            }
        };
        Level::ALL.into_iter().filter(is_selected).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(slow: bool, levels: &[Level]) -> Vec<Level> {
        Args {
            slow,
            levels: levels.to_vec(),
        }
        .selected()
    }

    #[test]
    fn all_levels_run_but_the_slow_ones_which_have_to_be_asked_for() {
        let slow = [Level::Alone, Level::Repeat, Level::Slow];
        let (quick, all) = (selected(false, &[]), selected(true, &[]));
        assert_eq!(all, Level::ALL);
        assert_eq!([quick, slow.to_vec()].concat(), all);
    }

    #[test]
    fn named_levels_run_alone_and_in_the_order_of_the_table() {
        assert_eq!(
            selected(false, &[Level::Root, Level::Unit]),
            [Level::Unit, Level::Root]
        );
        assert_eq!(selected(false, &[Level::Slow]), [Level::Slow]);
    }
}
