//! The one place where tests start a program.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::process::Process;

/// How long a program that should end may run, unless it is given longer.
const DEADLINE: Duration = Duration::from_mins(1);

/// A program with its arguments, environment, input and network namespace.
#[derive(Debug, Clone)]
pub struct Invocation {
    words: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    netns: Option<PathBuf>,
    input: Vec<u8>,
    deadline: Duration,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Whether the exit code was 0.
    pub success: bool,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

// === impl Invocation ===

impl Invocation {
    /// A program, by path or by name in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self::of(vec![program.into()])
    }

    /// A program with its first arguments; the first word is the program.
    pub const fn of(words: Vec<OsString>) -> Self {
        Self {
            words,
            environment: Vec::new(),
            netns: None,
            input: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// Appends one argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.words.push(argument.into());
        self
    }

    /// Appends arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.words.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs it in the network namespace at this path. Not by `ip netns exec`, which also remounts
    /// `/sys` and so hides the cgroups.
    pub fn in_netns(mut self, path: &Path) -> Self {
        self.netns = Some(path.to_owned());
        self
    }

    /// What it reads from stdin; nothing by default.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Gives it longer than a minute to end, or less; whole seconds.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it to its end, at most a minute or its own deadline.
    ///
    /// # Errors
    /// Only when it cannot be started or its output cannot be read; see [`Finished::success`].
    pub fn finish(&self) -> Result<Finished> {
        let seconds = self.deadline.as_secs().to_string();
        let bound = ["timeout", "--kill-after=1", &seconds];
        let output = self
            .collect(&bound)
            .with_context(|| format!("cannot run `{self}`"))?;
        Ok(Finished {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it to its end and returns its stdout without surrounding white space.
    ///
    /// # Errors
    /// It failed: then with what it wrote.
    pub fn read(&self) -> Result<String> {
        let finished = self.finish()?;
        if !finished.success {
            bail!("`{self}` failed: {}{}", finished.stdout, finished.stderr);
        }
        Ok(finished.stdout.trim().to_owned())
    }

    /// Starts it as a guarded process that logs to `<directory>/<name>.log`. It dies with the
    /// thread that calls this.
    ///
    /// # Errors
    /// The log cannot be written, or the program cannot be started.
    pub fn spawn(&self, name: &str, directory: &Path) -> Result<Process> {
        Process::start(name, self, directory)
    }

    /// Starts it with a log.
    pub(crate) fn child(&self, log: &File) -> Result<Child> {
        self.command(&["setpriv", "--pdeathsig", "KILL"])
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot start `{self}`"))
    }

    /// `nsenter --net=<netns> -- <words>`, or the words alone: for whoever runs it otherwise.
    pub fn command_line(&self) -> Vec<OsString> {
        let mut line = Vec::new();
        if let Some(netns) = &self.netns {
            let mut net = OsString::from("--net=");
            net.push(netns);
            line.extend(["nsenter".into(), net, "--".into()]);
        }
        line.extend(self.words.iter().cloned());
        line
    }

    /// The words alone, without a namespace and without anybody who would end it, and its input:
    /// for whoever times it, since each wrapper takes longer to start than a small program runs.
    #[expect(clippy::disallowed_methods, reason = "a lab is made of programs")]
    pub fn bare(&self) -> (Command, &[u8]) {
        let mut words = self.words.iter();
        let mut command = Command::new(words.next().cloned().unwrap_or_default());
        command
            .args(words)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        (command, &self.input)
    }

    /// `<bound> <command line>`.
    #[expect(clippy::disallowed_methods, reason = "a lab is made of programs")]
    fn command(&self, bound: &[&str]) -> Command {
        let bound = bound.iter().map(OsString::from);
        let mut words = bound.chain(self.command_line());
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Writes the input from a thread of its own, so that neither side can wait for the other.
    fn collect(&self, bound: &[&str]) -> Result<Output> {
        let mut child = self
            .command(bound)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        thread::scope(|scope| {
            let writer = scope.spawn(|| match stdin {
                Some(mut stdin) => stdin.write_all(&self.input),
                None => Ok(()),
            });
            let output = child.wait_with_output()?;
            // a program that ends without reading its input is no error
            drop(writer.join());
            Ok(output)
        })
    }
}

impl fmt::Display for Invocation {
    /// Prints the words as one would type them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self
            .words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        f.write_str(&words.join(" "))
    }
}

/// The words of a ctl script: a command a line, joined by `--` into one transaction. A word with
/// spaces stands in single quotes.
pub fn script(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let commands: Vec<Vec<String>> = lines.map(words).collect();
    commands.join(&"--".to_owned())
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, piece) in line.split('\'').enumerate() {
        if index % 2 == 0 {
            words.extend(piece.split_whitespace().map(str::to_owned));
        } else {
            words.push(piece.to_owned());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::script;

    #[test]
    fn a_script_is_one_transaction_with_a_command_per_line() {
        let words = script("ls-add s\n  lsp-set-addresses a '00:00:00:00:01:01 10.1.0.2'\n");
        let expected = [
            "ls-add",
            "s",
            "--",
            "lsp-set-addresses",
            "a",
            "00:00:00:00:01:01 10.1.0.2",
        ];
        assert_eq!(words, expected);
    }
}
