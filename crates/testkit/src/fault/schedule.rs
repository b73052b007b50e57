//! Faults in an order that follows from a seed.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use anyhow::{Context, Result, bail};
use fastrand::Rng;

use crate::fault::Fault;

/// A fault that happens so often in a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What happens.
    pub fault: Fault,
    /// How often.
    pub times: usize,
    /// How long each lasts, in milliseconds.
    pub lasting_ms: RangeInclusive<u64>,
}

/// One fault of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How long nothing is broken before.
    pub pause: Duration,
    /// What is broken.
    pub fault: Fault,
    /// How long.
    pub lasting: Duration,
}

/// Faults, one after the other. Printed as a line for each, and read again from that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Step>);

// === impl Schedule ===

impl Schedule {
    /// All that was chosen, in an order and with pauses that follow from the seed. Pauses and
    /// faults fill the span, unless the faults alone last longer.
    pub fn from_seed(seed: u64, choices: &[Choice], span: Duration) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut faults: Vec<(&Fault, u64)> = Vec::new();
        for choice in choices {
            for _ in 0..choice.times {
                faults.push((&choice.fault, random.u64(choice.lasting_ms.clone())));
            }
        }
        random.shuffle(&mut faults);
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let broken = faults.iter().map(|(_, lasting)| lasting).sum();
        let pauses = pauses(&mut random, span.saturating_sub(broken), faults.len());
        let steps = faults.iter().zip(pauses);
        Self(
            steps
                .map(|((fault, lasting), pause)| Step {
                    pause: Duration::from_millis(pause),
                    fault: (*fault).clone(),
                    lasting: Duration::from_millis(*lasting),
                })
                .collect(),
        )
    }

    /// The faults in their order.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// Cuts a span into pieces at random; what comes after the last fault is a piece, too.
fn pauses(random: &mut Rng, span: u64, count: usize) -> Vec<u64> {
    let mut cuts: Vec<u64> = (0..count).map(|_| random.u64(0..=span)).collect();
    cuts.sort_unstable();
    let before = std::iter::once(0).chain(cuts.iter().copied());
    cuts.iter()
        .zip(before)
        .map(|(cut, last)| cut - last)
        .collect()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl FromStr for Schedule {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(str::parse).collect::<Result<_>>().map(Self)
    }
}

// === impl Step ===

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pause, lasting) = (self.pause.as_millis(), self.lasting.as_millis());
        write!(f, "after {pause} ms: {} for {lasting} ms", self.fault)
    }
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let parts = line
            .trim()
            .strip_prefix("after ")
            .and_then(|rest| rest.strip_suffix(" ms"))
            .and_then(|rest| rest.split_once(" ms: "))
            .and_then(|(pause, rest)| Some((pause, rest.rsplit_once(" for ")?)));
        let Some((pause, (fault, lasting))) = parts else {
            bail!("`{line}` is no step: after <n> ms: <fault> for <n> ms");
        };
        let milliseconds = |text: &str| -> Result<Duration> {
            let number = text.parse().with_context(|| format!("in `{line}`"))?;
            Ok(Duration::from_millis(number))
        };
        Ok(Self {
            pause: milliseconds(pause)?,
            fault: fault.parse()?,
            lasting: milliseconds(lasting)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    const SPAN: Duration = Duration::from_mins(10);
    const EVERY_KIND: [&str; 12] = [
        "kill controller",
        "kill daemon@n1",
        "kill ovn-controller@n2",
        "kill vswitchd@n1",
        "stop northd",
        "stop ovsdb@n1",
        "slow api-server",
        "cut n1 tunnel",
        "part n1 central mgmt",
        "fill sb",
        "corrupt nb",
        "move nb",
    ];

    fn choices() -> Vec<Choice> {
        let faults = EVERY_KIND.into_iter().zip(1..);
        let choices = faults.map(|(line, times)| Choice {
            fault: line.parse().unwrap(),
            times,
            lasting_ms: 0..=3000,
        });
        choices.collect()
    }

    proptest! {
        #[test]
        fn a_seed_gives_the_same_schedule_each_time(seed in any::<u64>()) {
            let schedule = Schedule::from_seed(seed, &choices(), SPAN);
            assert_eq!(schedule, Schedule::from_seed(seed, &choices(), SPAN));
        }

        #[test]
        fn a_printed_schedule_reads_as_the_same(seed in any::<u64>()) {
            let schedule = Schedule::from_seed(seed, &choices(), SPAN);
            assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
        }

        #[test]
        fn a_schedule_holds_what_was_chosen_and_fits_its_span(seed in any::<u64>()) {
            let schedule = Schedule::from_seed(seed, &choices(), SPAN);
            let steps = schedule.steps().iter();
            let length: Duration = steps.clone().map(|step| step.pause + step.lasting).sum();
            assert!(length <= SPAN, "it takes {length:?}");
            for choice in choices() {
                let times = steps.clone().filter(|step| step.fault == choice.fault).count();
                assert_eq!(times, choice.times);
            }
        }
    }

    #[test]
    fn another_seed_gives_another_schedule() {
        let [one, other] = [1, 2].map(|seed| Schedule::from_seed(seed, &choices(), SPAN));
        assert_ne!(one, other);
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for line in ["kill", "kill nobody", "cut n1 wifi", "stop x@n1", "hug nb"] {
            assert!(line.parse::<Fault>().is_err(), "{line}");
        }
    }
}
