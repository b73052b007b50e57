//! Programs that outlive the one that starts them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use testkit::{command::Invocation, process::tail};

use crate::cgroup;

/// Joins the group, tells its id, and becomes the program. One that is started again goes on with
/// its log.
const START: &str =
    r#"echo $$ > "$1"; echo $$ > "$2"; exec >> "$3" 2>&1 < /dev/null; shift 3; exec "$@""#;
/// Lines of its log that tell why a program has ended; the rest is in the file.
const TAIL: usize = 1;

/// A program that was started by this or another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detached {
    name: String,
    directory: PathBuf,
}

// === impl Detached ===

impl Detached {
    /// The program `name` that keeps its id and log in `directory`.
    pub(crate) fn new(name: &str, directory: &Path) -> Self {
        Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
        }
    }

    /// Starts it in a session of its own and in the group whose `cgroup.procs` is `group`.
    pub(crate) fn start(&self, program: &Invocation, group: &Path) -> Result<()> {
        Invocation::new("setsid")
            .args(["--fork", "sh", "-euc", START, "sh"])
            .arg(group)
            .arg(self.id_file())
            .arg(self.log())
            .args(program.command_line())
            .read()
            .with_context(|| format!("cannot start {}", self.name))?;
        Ok(())
    }

    /// Its process id, once it has told it.
    pub(crate) fn id(&self) -> Result<u32> {
        let text = fs::read_to_string(self.id_file())
            .with_context(|| format!("{} was not started", self.name))?;
        let id = text.trim().parse();
        id.with_context(|| format!("{} has no process id yet", self.name))
    }

    /// Fails, with the end of its log, when it has ended.
    pub(crate) fn check(&self) -> Result<()> {
        let id = self.id()?;
        ensure!(
            is_alive(id),
            "{} has ended (log {}): {}",
            self.name,
            self.log().display(),
            tail(&self.log(), TAIL)
        );
        Ok(())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn id_file(&self) -> PathBuf {
        self.directory.join(format!("{}.pid", self.name))
    }

    /// Where it logs.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.name))
    }
}

/// A zombie is not, and neither is a stranger that got the same id.
fn is_alive(id: u32) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
    let is_ours = read("cgroup").contains(cgroup::GROUP);
    let stat = read("stat");
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    is_ours && state.is_some_and(|state| !state.starts_with('Z'))
}
