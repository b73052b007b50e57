//! A child that runs and does nothing any more is as good as dead, and nobody would notice.
//!
//! Each child is asked by its control socket. One that gives no answer may be busy: northd and
//! ovn-controller answer between two runs, and a run on a large cluster takes long. A busy program
//! uses the processor; one that is stopped or waits for ever does not.

use std::{fs, path::PathBuf, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::unixctl;

/// The time between two questions.
const INTERVAL: Duration = Duration::from_secs(5);
/// Neither an answer nor work for so long: it hangs.
const IDLE: Duration = Duration::from_secs(30);
/// No answer for so long, whatever it works at: it hangs.
const SILENT: Duration = Duration::from_mins(10);

/// Where a program makes its control socket.
#[derive(Debug, Clone)]
pub(crate) enum Control {
    /// In a folder, by its name and process id.
    In(PathBuf),
    /// At a path that it was given.
    At(PathBuf),
}

/// What was seen of a process.
#[derive(Debug)]
struct Signs {
    /// When it last answered.
    answered: Instant,
    /// When it last answered or worked.
    stirred: Instant,
    /// The processor time of its first thread, which is the one that answers.
    worked: Option<u64>,
}

// === impl Control ===

impl Control {
    /// The socket of the process `pid` of a program.
    pub(crate) fn socket(&self, program: &str, pid: u32) -> PathBuf {
        match self {
            Self::In(folder) => unixctl::socket(folder, program, pid),
            Self::At(path) => path.clone(),
        }
    }

    /// Returns when the process hangs; never when it does not.
    pub(crate) async fn hangs(&self, program: &str, pid: u32) {
        let socket = self.socket(program, pid);
        let mut signs = Signs::at(Instant::now());
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answers = unixctl::ask(&socket, "version").await.is_ok();
            let now = Instant::now();
            if answers {
                signs.answered = now;
            }
            if answers | signs.has_worked(processor_time(pid)) {
                signs.stirred = now;
            }
            if signs.hang(now) {
                return;
            }
        }
    }
}

// === impl Signs ===

impl Signs {
    fn at(now: Instant) -> Self {
        Self {
            answered: now,
            stirred: now,
            worked: None,
        }
    }

    /// Whether it used the processor since the last call.
    fn has_worked(&mut self, worked: Option<u64>) -> bool {
        let before = std::mem::replace(&mut self.worked, worked);
        before != worked
    }

    fn hang(&self, now: Instant) -> bool {
        now.duration_since(self.stirred) >= IDLE || now.duration_since(self.answered) >= SILENT
    }
}

/// User and system time of the first thread, in ticks (proc_pid_stat(5)).
fn processor_time(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat")).ok()?;
    // the name in parentheses may hold anything
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_neither_answers_nor_works_hangs() {
        let mut signs = Signs::at(Instant::now());
        assert!(signs.has_worked(Some(7)));
        assert!(!signs.has_worked(Some(7)));
        assert!(!signs.hang(Instant::now() + IDLE / 2));
        assert!(signs.hang(Instant::now() + IDLE));
    }

    #[test]
    fn who_works_may_be_silent_for_longer_but_not_for_ever() {
        let begun = Instant::now();
        let mut signs = Signs::at(begun);
        signs.stirred = begun + IDLE;
        assert!(!signs.hang(begun + IDLE));
        signs.stirred = begun + SILENT;
        assert!(signs.hang(begun + SILENT));
    }

    #[test]
    fn our_own_processor_time_is_known() {
        assert!(processor_time(std::process::id()).is_some());
        assert_eq!(processor_time(0), None);
    }
}
