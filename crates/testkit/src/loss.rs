//! How many packets get lost while something happens: a ping of a hundred requests a second.

use std::{
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{command::Invocation, process::Process, wait_until};

/// Between two requests.
pub const INTERVAL: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(10);
/// Sequence numbers start anew after so many.
const WRAP: u64 = 1 << 16;
/// The last request may not have had the time to be answered.
const UNDERWAY: u64 = 1;

/// A ping that goes on until it is finished.
#[derive(Debug)]
pub struct Pinging {
    process: Process,
    log: PathBuf,
}

/// What became of the requests of one ping, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// Requests.
    pub sent: u64,
    /// Requests without an answer.
    pub lost: u64,
    /// The longest time without an answer.
    pub outage: Duration,
}

// === impl Pinging ===

impl Pinging {
    /// Pings from the network namespace at a path, logs to `<directory>/<name>.log`, and returns
    /// after the first answer.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn start(from: &Path, to: IpAddr, name: &str, directory: &Path) -> Result<Self> {
        let interval = INTERVAL.as_secs_f64().to_string();
        let process = Invocation::new("stdbuf")
            .args(["-oL", "ping", "-n", "-i", &interval, &to.to_string()])
            .in_netns(from)
            .spawn(name, directory)?;
        let pinging = Self {
            log: process.log().to_owned(),
            process,
        };
        let what = format!("{to} answers the ping {name}");
        wait_until(&what, PATIENCE, async || {
            let text = pinging.text()?;
            ensure!(answers(&text).next().is_some(), "{text}");
            Ok(())
        })
        .await?;
        Ok(pinging)
    }

    /// How many requests were answered so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn answered(&self) -> Result<usize> {
        Ok(answers(&self.text()?).count())
    }

    /// Ends it and counts.
    ///
    /// # Errors
    /// The ping does not say what it did.
    pub async fn finish(mut self) -> Result<Loss> {
        let id = i32::try_from(self.process.id()).context("no process id")?;
        kill(Pid::from_raw(id), Signal::SIGINT).context("the ping has ended")?;
        wait_until("the ping ends", PATIENCE, async || {
            ensure!(self.process.has_ended()?, "it runs");
            Ok(())
        })
        .await?;
        let text = self.text()?;
        Loss::parse(&text).with_context(|| format!("no summary in {}", self.log.display()))
    }

    fn text(&self) -> Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("no log {}", self.log.display()))
    }
}

/// The sequence numbers that were answered, in the order of the answers.
fn answers(text: &str) -> impl Iterator<Item = u64> {
    let lines = text.lines().filter(|line| line.contains("bytes from"));
    lines.filter_map(|line| {
        let number = line.split("icmp_seq=").nth(1)?;
        number.split(' ').next()?.parse().ok()
    })
}

// === impl Loss ===

impl Loss {
    /// Both together, whose outage is the longer one.
    pub fn and(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            lost: self.lost + other.lost,
            outage: self.outage.max(other.outage),
        }
    }

    /// From what `ping` wrote.
    fn parse(text: &str) -> Option<Self> {
        let summary = text
            .lines()
            .find(|line| line.contains("packets transmitted"))?;
        let sent: u64 = summary.split(' ').next()?.parse().ok()?;
        let (mut last, mut lost, mut longest) = (0, 0, 0);
        for answer in answers(text) {
            let step = (answer + WRAP - last % WRAP) % WRAP;
            // an answer out of order was counted as lost
            if step == 0 || step > WRAP / 2 {
                lost -= u64::from(step != 0).min(lost);
                continue;
            }
            lost += step - 1;
            longest = longest.max(step - 1);
            last += step;
        }
        let tail = sent.saturating_sub(last);
        if tail > UNDERWAY {
            lost += tail;
            longest = longest.max(tail);
        }
        Some(Self {
            sent,
            lost,
            outage: INTERVAL * u32::try_from(longest).unwrap_or(u32::MAX),
        })
    }
}

impl fmt::Display for Loss {
    /// `sent | lost | outage ms`, as cells of a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outage = self.outage.as_millis();
        write!(f, "{:>6} | {:>6} | {outage:>9}", self.sent, self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(answered: impl IntoIterator<Item = u64>, sent: u64) -> Loss {
        let lines = answered
            .into_iter()
            .map(|number| format!("64 bytes from fd00::1: icmp_seq={number} ttl=64 time=1 ms\n"));
        let summary = format!("{sent} packets transmitted, 2 received, 0% packet loss, time 9ms\n");
        Loss::parse(&lines.chain([summary]).collect::<String>()).unwrap()
    }

    fn loss(sent: u64, lost: u64, outage: u64) -> Loss {
        Loss {
            sent,
            lost,
            outage: Duration::from_millis(outage),
        }
    }

    #[test]
    fn a_request_that_is_underway_at_the_end_is_not_lost() {
        assert_eq!(parse([1, 2, 3], 4), loss(4, 0, 0));
        assert_eq!(parse([1, 2, 3], 5), loss(5, 2, 20));
    }

    #[test]
    fn the_longest_gap_is_the_outage() {
        assert_eq!(parse([1, 3, 10, 11], 11), loss(11, 7, 60));
    }

    #[test]
    fn answers_out_of_order_are_answers() {
        assert_eq!(parse([1, 3, 2, 4], 4), loss(4, 0, 10));
    }

    #[test]
    fn a_duplicate_is_not_counted_twice() {
        assert_eq!(parse([1, 2, 2, 3], 3), loss(3, 0, 0));
    }

    #[test]
    fn sequence_numbers_that_start_anew_are_no_gap() {
        let numbers = (1..=WRAP + 2).filter(|number| *number != WRAP);
        let answered = numbers.map(|number| number % WRAP);
        assert_eq!(parse(answered, WRAP + 2), loss(WRAP + 2, 1, 10));
    }
}
