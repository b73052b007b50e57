//! The one place where this crate starts a program: apt, mmdebstrap and Go.

use std::{
    io, iter,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};

/// How many lines of a failed program's output the error repeats.
const TAIL: usize = 20;

/// A command that reads nothing and never asks.
#[expect(
    clippy::disallowed_methods,
    reason = "making assets is running apt, mmdebstrap and Go"
)]
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8");
    command
}

/// Runs it to its end and returns stdout.
///
/// # Errors
/// The program cannot start (`hint` says how to get it), or fails: then its last lines.
pub(crate) fn run(command: &mut Command, hint: &str) -> Result<String> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(
                "{} is not installed: {hint}",
                command.get_program().display()
            )
        }
        Err(error) => return Err(error).context(describe(command)),
    };
    if !output.status.success() {
        bail!(
            "{} failed ({}):\n{}",
            describe(command),
            output.status,
            tail(&output)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn describe(command: &Command) -> String {
    let words = iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn tail(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(TAIL))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}
