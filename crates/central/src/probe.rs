//! Whether a running child does its work: it is asked by its control socket, again and again.

use std::{path::PathBuf, time::Duration};

use kit::{error::Chain, readiness::Condition};
use tokio::time::{MissedTickBehavior, interval};

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

// === impl Probe ===

impl Probe {
    /// Keeps `condition` as the child's answers say.
    pub(crate) async fn follow(self, mut running: Running, condition: Condition) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                changed = running.changed() => if changed.is_err() { return },
            }
            let pid = *running.borrow_and_update();
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
