//! Running programs as guards: killed and reaped when dropped.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::Child,
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parking_lot::Mutex;

use crate::command::Invocation;

/// A child process and its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: Invocation,
    child: Child,
    log: PathBuf,
}

/// Programs by the name of their log, each started and ended while others run.
#[derive(Debug, Default)]
pub struct Processes(Mutex<BTreeMap<String, Process>>);

// === impl Process ===

impl Process {
    pub(crate) fn start(name: &str, program: &Invocation, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).context("cannot create a log")?;
        Ok(Self {
            name: name.to_owned(),
            child: program.child(&file)?,
            program: program.clone(),
            log,
        })
    }

    /// Starts it again as it was started; one that still runs is killed first. It dies with the
    /// thread that calls this.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        self.kill()?;
        let log = OpenOptions::new().append(true).open(&self.log);
        self.child = self.program.child(&log.context("the log is gone")?)?;
        Ok(())
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

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.id().try_into()?);
        kill(id, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// It cannot be signalled or waited for.
    pub fn end(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.child
            .wait()
            .with_context(|| format!("cannot reap {}", self.name))?;
        Ok(())
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

// === impl Processes ===

impl Processes {
    /// Starts a program; one of that name that runs is killed.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self, name: &str, program: &Invocation, directory: &Path) -> Result<()> {
        drop(self.remove(name));
        let process = program.spawn(name, directory)?;
        self.0.lock().insert(name.to_owned(), process);
        Ok(())
    }

    /// Hands out a process; when that is dropped, it is killed.
    pub fn remove(&self, name: &str) -> Option<Process> {
        self.0.lock().remove(name)
    }

    /// Does something with a process.
    ///
    /// # Errors
    /// There is none of that name, or what `act` says.
    pub fn with<T>(&self, name: &str, act: impl FnOnce(&mut Process) -> Result<T>) -> Result<T> {
        let mut processes = self.0.lock();
        let process = processes.get_mut(name);
        act(process.with_context(|| format!("{name} was never started"))?)
    }

    pub(crate) fn start_ended(&self) -> Result<usize> {
        let mut ended = 0;
        for process in self.0.lock().values_mut() {
            if process.has_ended()? {
                process.start_again()?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Whether a process of that name was started.
    pub fn contains(&self, name: &str) -> bool {
        self.0.lock().contains_key(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Process> {
        self.0.get_mut().get_mut(name)
    }
}

/// The last `lines` lines of a log, without what OVS says at its level INFO; or why there is none.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = match std::fs::read(log) {
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
