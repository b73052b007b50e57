//! Programs that are gone, hang, or are slow.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::{
    fault::{Part, Site},
    process::Process,
};

/// Of a slow program's time it runs one part in five.
const STOPPED: Duration = Duration::from_millis(200);
const RUNNING: Duration = Duration::from_millis(50);

/// Kills it.
pub(super) fn kill(site: Site<'_>, part: &Part) -> Result<()> {
    site.with(part, Process::kill)
}

/// Starts it again.
pub(super) fn start(site: Site<'_>, part: &Part) -> Result<()> {
    site.with(part, Process::start_again)
}

/// Stops it.
pub(super) fn stop(site: Site<'_>, part: &Part) -> Result<()> {
    site.with(part, |process| process.signal(Signal::SIGSTOP))
}

/// Lets it go on.
pub(super) fn cont(site: Site<'_>, part: &Part) -> Result<()> {
    site.with(part, |process| process.signal(Signal::SIGCONT))
}

/// A program that is stopped and continued by a thread, until the end.
#[derive(Debug)]
pub(super) struct Rhythm {
    end: Sender<()>,
    thread: JoinHandle<Result<()>>,
}

/// Waits for the end, but no longer than this.
fn is_over(ended: &Receiver<()>, longest: Duration) -> bool {
    !matches!(ended.recv_timeout(longest), Err(RecvTimeoutError::Timeout))
}

// === impl Rhythm ===

impl Rhythm {
    pub(super) fn start(site: Site<'_>, part: &Part) -> Result<Self> {
        let id = site.with(part, |process| Ok(process.id()))?;
        let id = Pid::from_raw(id.try_into()?);
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("rhythm".to_owned());
        let thread = thread.spawn(move || {
            while !is_over(&ended, RUNNING) {
                signal::kill(id, Signal::SIGSTOP)?;
                is_over(&ended, STOPPED);
                signal::kill(id, Signal::SIGCONT)?;
            }
            Ok(())
        });
        Ok(Self {
            end,
            thread: thread.context("cannot start a thread")?,
        })
    }

    pub(super) fn end(self) -> Result<()> {
        drop(self.end);
        let ended = self.thread.join();
        ended.map_err(|_panic| anyhow!("the rhythm panicked"))?
    }
}
