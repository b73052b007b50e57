//! Running other programs; the only module that does.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

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

/// Feeds `input` to a filter such as rustfmt and returns what it prints.
///
/// # Errors
/// When the program cannot be started, or ends with a failure.
pub(crate) fn filter(mut command: Command, input: String) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("cannot start `{name}`"))?;
    let mut stdin = child.stdin.take().context("standard input is a pipe")?;
    let feeder = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let fed = feeder.join().is_ok_and(|written| written.is_ok());
    if !output.status.success() || !fed {
        bail!("`{name}` failed with {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
