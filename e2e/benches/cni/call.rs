//! One call of the plugin, timed.

use std::{io::Write, process::Stdio};

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::command::Invocation;
use tokio::time::Instant;

use crate::usage::Process;

/// How a call ended.
pub(crate) struct Call {
    /// From the start of the program to its exit.
    pub(crate) milliseconds: f64,
    pub(crate) success: bool,
    /// What it printed; `null` for nothing.
    pub(crate) output: Value,
    /// The most memory that it was seen with, in MiB.
    pub(crate) peak_mib: f64,
}

/// Whether somebody looks at the program while it runs, which takes a processor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    Unseen,
    Watched,
}

/// Calls the plugin, as directly as a runtime does.
pub(crate) fn call(invocation: &Invocation, memory: Memory) -> Result<Call> {
    let (mut command, input) = invocation.bare();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().context("cannot start the plugin")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let mut peak_mib = 0.0_f64;
    if memory == Memory::Watched {
        let process = Process::new(child.id());
        while child.try_wait()?.is_none() {
            // one that has ended but is not reaped has none
            peak_mib = peak_mib.max(process.peak_mib().unwrap_or_default());
        }
    }
    let output = child.wait_with_output()?;
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Call {
        milliseconds,
        success: output.status.success(),
        output: serde_json::from_str(&text).unwrap_or(Value::Null),
        peak_mib,
    })
}
