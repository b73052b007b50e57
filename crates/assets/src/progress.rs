//! Progress of long steps: a spinner on a terminal, two plain lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// Runs one long step under its title; `expect` says how long it usually takes.
pub(crate) fn step<T>(title: &str, expect: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let spinner = spinner(title, expect);
    if spinner.is_hidden() {
        line(&format!("{title} ({expect})"));
    }
    let result = work();
    let seconds = spinner.elapsed().as_secs();
    spinner.finish_and_clear();
    match &result {
        Ok(_) => line(&format!("{title}: done in {seconds} s")),
        Err(_) => line(&format!("{title}: failed after {seconds} s")),
    }
    result
}

fn spinner(title: &str, expect: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(format!("{title} ({expect})"));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// Writes one line to stderr; a closed stderr is nobody's problem.
pub(crate) fn line(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}
