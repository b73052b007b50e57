//! The table at the end.

use super::{level::Level, tally::Tally};

/// How one level went.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) level: Level,
    pub(crate) tally: Tally,
    pub(crate) seconds: f64,
    pub(crate) passed: bool,
}

/// How all levels went.
#[derive(Debug, Default)]
pub(crate) struct Report {
    entries: Vec<Entry>,
}

impl Report {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) fn failed_levels(&self) -> Vec<String> {
        let failed = self.entries.iter().filter(|entry| !entry.passed);
        failed.map(|entry| entry.level.to_string()).collect()
    }

    /// Failing tests by name, a line for each level, and the sum as the last line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut total = Tally::default();
        let mut lines = vec![String::new()];
        for Entry { level, tally, .. } in &self.entries {
            lines.extend(
                tally
                    .failures
                    .iter()
                    .map(|test| format!("failed in {level}: {test}")),
            );
            total += tally;
        }
        lines.push(row("level", ["passed", "failed", "ignored", "seconds"], ""));
        lines.extend(self.entries.iter().map(Entry::row));
        // a level can fail without a failing test, as when its code does not compile
        let broken = self
            .entries
            .iter()
            .filter(|entry| entry.is_broken())
            .count();
        let failed = total.failed + u64::try_from(broken).unwrap_or(u64::MAX);
        lines.push(format!("{} passed, {failed} failed", total.passed));
        lines
    }
}

impl Entry {
    /// Failed, and not because of a test.
    fn is_broken(&self) -> bool {
        !self.passed && self.tally.failed == 0
    }

    fn row(&self) -> String {
        let Tally {
            passed,
            failed,
            ignored,
            ..
        } = &self.tally;
        let counts = if self.level.counts_tests() {
            [passed, failed, ignored].map(u64::to_string)
        } else {
            ["-", "-", "-"].map(str::to_owned)
        };
        let [passed, failed, ignored] = counts;
        let seconds = format!("{:.0}", self.seconds);
        let verdict = if self.passed { "ok" } else { "FAILED" };
        row(
            &self.level.to_string(),
            [&passed, &failed, &ignored, &seconds],
            verdict,
        )
    }
}

fn row(level: &str, columns: [&str; 4], verdict: &str) -> String {
    let [passed, failed, ignored, seconds] = columns;
    format!("{level:<8}{passed:>9}{failed:>9}{ignored:>9}{seconds:>9}  {verdict}")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(level: Level, passed: u64, failed: u64, ok: bool) -> Entry {
        let tally = Tally {
            passed,
            failed,
            ..Tally::default()
        };
        Entry {
            level,
            tally,
            seconds: 1.4,
            passed: ok,
        }
    }

    fn report(entries: Vec<Entry>) -> Report {
        Report { entries }
    }

    #[test]
    fn the_last_line_is_the_sum_over_all_levels() {
        let report = report(vec![
            entry(Level::Format, 0, 0, true),
            entry(Level::Unit, 20, 0, true),
            entry(Level::Root, 3, 1, false),
        ]);
        assert_eq!(report.lines().pop().unwrap(), "23 passed, 1 failed");
        assert_eq!(report.failed_levels(), ["root"]);
    }

    #[test]
    fn a_level_that_fails_without_a_failing_test_still_counts() {
        let report = report(vec![
            entry(Level::Clippy, 0, 0, false),
            entry(Level::Unit, 5, 0, true),
        ]);
        assert_eq!(report.lines().pop().unwrap(), "5 passed, 1 failed");
    }

    #[test]
    fn each_level_has_a_line_and_checks_have_no_counts() {
        let lines = report(vec![
            entry(Level::Tidy, 0, 0, true),
            entry(Level::Unit, 5, 0, true),
        ])
        .lines();
        assert!(lines.contains(&"tidy            -        -        -        1  ok".to_owned()));
        assert!(lines.contains(&"unit            5        0        0        1  ok".to_owned()));
    }
}
