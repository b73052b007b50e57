//! A program of OVN or Open vSwitch: its arguments, and the only place where one is started.

use std::{ffi::OsString, fmt, io, path::Path, process::Stdio};

use tokio::process::{Child, Command};

use crate::watchdog::Control;

/// Log lines go to standard error only, as `LEVEL|module|text` ([`crate::lines`]).
const LOGGING: [&str; 4] = [
    "-vconsole:info",
    "-vsyslog:off",
    "-vfile:off",
    "-vPATTERN:console:%p|%c|%m",
];

/// A program by its name in `PATH`, with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    name: &'static str,
    /// How logs and readiness call it.
    title: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    /// Where a server is asked whether it still works.
    control: Option<Control>,
}

/// A program that should do one thing and end did not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("cannot start {name}; it is part of Debian's packages of OVN and Open vSwitch")]
    Start {
        name: &'static str,
        source: io::Error,
    },
    #[error("{name} failed: {said}")]
    Failed { name: &'static str, said: String },
}

// === impl Program ===

impl Program {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            title: name,
            arguments: Vec::new(),
            environment: Vec::new(),
            control: None,
        }
    }

    /// Calls it otherwise than by its name.
    pub(crate) const fn titled(mut self, title: &'static str) -> Self {
        self.title = title;
        self
    }

    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn args<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Appends `<option>=<path>`.
    pub(crate) fn path_option(self, option: &str, path: &Path) -> Self {
        let mut argument = OsString::from(option);
        argument.push("=");
        argument.push(path);
        self.arg(argument)
    }

    /// Sets a variable of its environment to a folder.
    pub(crate) fn directory(mut self, variable: &'static str, path: &Path) -> Self {
        self.environment.push((variable, path.into()));
        self
    }

    /// Says where its control socket is; a server that does not answer there is replaced.
    pub(crate) fn control(mut self, control: Control) -> Self {
        self.control = Some(control);
        self
    }

    /// Returns when the process `pid` of it hangs.
    pub(crate) async fn hangs(&self, pid: Option<u32>) {
        match (&self.control, pid) {
            (Some(control), Some(pid)) => control.hangs(self.name, pid).await,
            (Some(_), None) | (None, _) => std::future::pending().await,
        }
    }

    pub(crate) const fn title(&self) -> &'static str {
        self.title
    }

    /// Starts it as a server that logs to pipes, and that is told to end when our thread does.
    ///
    /// # Errors
    /// When there is no `setpriv`; a program that is missing ends at once.
    pub(crate) fn start(&self) -> io::Result<Child> {
        let mut command = command("setpriv");
        command
            .args(["--pdeathsig", "TERM", self.name])
            .args(LOGGING)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn()
    }

    /// Runs it to its end and returns what it printed, without surrounding white space.
    ///
    /// # Errors
    /// It cannot be started, or failed: then with what it said.
    pub(crate) async fn finish(&self) -> Result<String, ProgramError> {
        let mut command = command(self.name);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned());
        let name = self.name;
        let output = command
            .output()
            .await
            .map_err(|source| ProgramError::Start { name, source })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(ProgramError::Failed {
            name,
            said: text(&output.stderr),
        })
    }
}

impl fmt::Display for Program {
    /// Prints the words as one would type them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let words = self.arguments.iter().map(|word| word.to_string_lossy());
        words.into_iter().try_for_each(|word| write!(f, " {word}"))
    }
}

/// A command that reads nothing and ends with whoever awaits it.
#[expect(
    clippy::disallowed_methods,
    reason = "starting and supervising programs is what this program is for"
)]
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}
