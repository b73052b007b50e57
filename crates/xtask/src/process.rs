//! Running other programs; the only module that does.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// A command in the root of the workspace.
#[expect(
    clippy::disallowed_methods,
    reason = "the project's commands are made of cargo, rustfmt and the like"
)]
pub(crate) fn command(workspace: &Workspace, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace.root());
    command
}

/// The cargo that runs this program, with these arguments.
pub(crate) fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = command(workspace, program);
    command.args(arguments);
    command
}

/// Runs a command whose output goes to the terminal.
///
/// # Errors
/// When it cannot be started, or ends with a failure.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let line = describe(&command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if status.success() {
        return Ok(());
    }
    bail!("`{line}` failed with {status}");
}

/// Whether a command succeeds; what it prints is dropped.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a command and hands out each line of its standard output as it comes.
///
/// # Errors
/// When it cannot be started, or ends with a failure.
pub(crate) fn stream(mut command: Command, mut on_line: impl FnMut(&str)) -> Result<()> {
    let line = describe(&command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdout = child.stdout.take().context("standard output is a pipe")?;
    let mut reader = BufReader::new(stdout);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        on_line(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']));
        bytes.clear();
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    bail!("`{line}` failed with {status}");
}

/// Feeds `input` to a filter such as rustfmt and returns what it prints.
///
/// # Errors
/// When the program cannot be started, or ends with a failure.
pub(crate) fn filter(mut command: Command, input: String) -> Result<String> {
    let line = describe(&command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let mut stdin = child.stdin.take().context("standard input is a pipe")?;
    let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let fed = feeder.join().is_ok_and(|written| written.is_ok());
    if !output.status.success() || !fed {
        bail!("`{line}` failed with {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The command as one would type it.
fn describe(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or_else(|| command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
