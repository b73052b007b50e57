//! What became of tests, read from the output of Rust's test harness.

use std::ops::AddAssign;

/// Numbers of tests, and the names of those that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    pub(crate) failures: Vec<String>,
}

impl Tally {
    /// Takes in one line of the harness's output; most lines say nothing that counts.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.ignored += count(counts, "ignored");
        } else if let Some(test) = line.strip_prefix("test ") {
            let failed = test.strip_suffix(" ... FAILED");
            self.failures.extend(failed.map(str::to_owned));
        }
    }
}

/// The number before a word, as in `ok. 3 passed; 1 failed;`.
fn count(counts: &str, what: &str) -> u64 {
    counts
        .split([';', '.'])
        .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
        .unwrap_or(0)
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.failures.extend(other.failures.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn results_of_several_binaries_add_up() {
        let tally = read(
            "running 3 tests\n\
             test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.01s\n\
             test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.20s\n",
        );
        assert_eq!((tally.passed, tally.failed, tally.ignored), (13, 2, 1));
    }

    #[test]
    fn failing_tests_are_remembered_by_name() {
        let tally = read("test plan::a_pod_gets_a_port ... ok\ntest plan::b ... FAILED\n");
        assert_eq!(tally.failures, ["plan::b"]);
    }

    #[test]
    fn other_lines_change_nothing() {
        assert_eq!(
            read("error: test failed, to rerun pass `-p x`\ntest result:\n"),
            Tally::default()
        );
    }
}
