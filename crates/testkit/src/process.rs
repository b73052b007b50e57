//! A running program as a guard: killed and reaped when dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
};

use anyhow::{Context, Result};

/// A child process and its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

// === impl Process ===

impl Process {
    pub(crate) fn new(name: &str, child: Child, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// Its name in the lab.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id; the program itself, not a wrapper.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be signalled or waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .with_context(|| format!("cannot kill {}", self.name))?;
        self.child
            .wait()
            .with_context(|| format!("cannot reap {}", self.name))?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// The last `lines` lines of a log, without what OVS says at its level INFO; or why there is none.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = match fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return format!("{}: {error}", log.display()),
    };
    let told: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("|INFO|"))
        .collect();
    told.iter()
        .skip(told.len().saturating_sub(lines))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}
