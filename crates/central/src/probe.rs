//! Whether a running child does its work: it is asked by its control socket, again and again.

use std::{path::PathBuf, time::Duration};

use kit::{error::Chain, readiness::Condition};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{children::Running, unixctl};

/// The time between two questions.
const INTERVAL: Duration = Duration::from_secs(1);

/// A question and the answer that means yes.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) program: &'static str,
    /// Where the program makes its control socket.
    pub(crate) directory: PathBuf,
    pub(crate) command: &'static str,
    /// How the answer of a program that works begins; `not connected` must not pass for `connected`.
    pub(crate) wanted: &'static str,
    /// What to tell it upon another answer.
    pub(crate) otherwise: Option<&'static str>,
}

/// When to look at a child: again and again, and at once when it is another process.
#[derive(Debug)]
pub(crate) struct Rounds {
    ticks: Interval,
    running: Running,
}

// === impl Probe ===

impl Probe {
    /// Keeps `condition` as the child's answers say.
    pub(crate) async fn follow(self, running: Running, condition: Condition) {
        let mut rounds = Rounds::new(running);
        while let Some(pid) = rounds.next().await {
            match self.look(pid).await {
                Ok(()) => condition.met(),
                Err(why) => condition.unmet(why),
            }
        }
    }

    async fn look(&self, pid: Option<u32>) -> Result<(), String> {
        let pid = pid.ok_or("it does not run")?;
        let socket = unixctl::socket(&self.directory, self.program, pid);
        let answer = unixctl::ask(&socket, self.command)
            .await
            .map_err(|error| Chain(&error).to_string())?;
        if answer.starts_with(self.wanted) {
            return Ok(());
        }
        if let Some(command) = self.otherwise {
            unixctl::ask(&socket, command)
                .await
                .map_err(|error| Chain(&error).to_string())?;
        }
        Err(answer)
    }
}

// === impl Rounds ===

impl Rounds {
    pub(crate) fn new(running: Running) -> Self {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, running }
    }

    /// The child's process id, if it runs, when it is time to look; `None` when its supervisor is gone.
    pub(crate) async fn next(&mut self) -> Option<Option<u32>> {
        tokio::select! {
            _ = self.ticks.tick() => {}
            changed = self.running.changed() => changed.ok()?,
        }
        Some(*self.running.borrow_and_update())
    }
}
