//! Running a row, and what came of it.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use cluster::Cluster;
use serde::Serialize;
use testkit::{
    command::{Finished, Invocation},
    wait_until,
};

use super::{
    check::{Check, Place, Way},
    workload::{NAMESPACE, name},
};

/// What was changed a moment ago may need so long to reach every node.
const PATIENCE: Duration = Duration::from_secs(6);

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) check: Check,
    pub(crate) outcome: Outcome,
}

/// How a row ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it must, at this try.
    Green { tries: u32 },
    /// Otherwise, to the end: what was seen.
    Red { seen: String },
}

/// A row as a line of JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    way: Way,
    family: &'static str,
    from: String,
    to: &'a str,
    command: &'a [String],
    ok: bool,
    seen: Option<&'a str>,
}

/// Runs a row until it is green, or for some seconds.
pub(crate) async fn run(cluster: &Cluster, check: Check) -> Result<Row> {
    let invocation = invocation(cluster, &check)?;
    let mut tries = 0;
    let tried = wait_until("it is green", PATIENCE, async || {
        tries += 1;
        judge(&invocation.finish()?, &check.expected)
    })
    .await;
    let outcome = match tried {
        Ok(()) => Outcome::Green { tries },
        Err(error) => Outcome::Red {
            seen: error.root_cause().to_string(),
        },
    };
    Ok(Row { check, outcome })
}

fn invocation(cluster: &Cluster, check: &Check) -> Result<Invocation> {
    match &check.place {
        Place::Pod(pod) => {
            let exec = cluster
                .kubectl()?
                .args(["exec", "-n", NAMESPACE, pod, "--"]);
            Ok(exec.args(&check.command))
        }
        Place::Node(node) => {
            let Some((program, arguments)) = check.command.split_first() else {
                bail!("a row without a command");
            };
            Ok(cluster.node(node)?.command(program)?.args(arguments))
        }
        Place::Kubelet { .. } => Ok(cluster.kubectl()?.args(&check.command)),
    }
}

/// Fails with what was seen instead.
fn judge(finished: &Finished, expected: &[String]) -> Result<()> {
    let seen = finished.stdout.trim();
    if finished.success && expected.iter().any(|expected| expected == seen) {
        return Ok(());
    }
    ensure!(!finished.success || !seen.is_empty(), "no answer");
    let said = if seen.is_empty() {
        reason(&finished.stderr)
    } else {
        seen
    };
    bail!("{said}")
}

/// What a failed command said, without what `timeout` and `kubectl exec` add to it.
fn reason(stderr: &str) -> &str {
    let lines = stderr.lines().map(str::trim);
    let mut lines = lines.filter(|line| {
        let is_added = *line == "Terminated" || line.starts_with("command terminated");
        !line.is_empty() && !is_added
    });
    lines.next_back().unwrap_or("no answer in time")
}

// === impl Row ===

impl Row {
    pub(crate) fn is_green(&self) -> bool {
        matches!(self.outcome, Outcome::Green { .. })
    }

    /// One line of JSON, for programs.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn to_json(&self) -> Result<String> {
        let line = Line {
            way: self.check.way,
            family: name(self.check.family),
            from: self.check.place.describe(),
            to: &self.check.target,
            command: &self.check.command,
            ok: self.is_green(),
            seen: match &self.outcome {
                Outcome::Green { .. } => None,
                Outcome::Red { seen } => Some(seen),
            },
        };
        Ok(serde_json::to_string(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(success: bool, stdout: &str, stderr: &str) -> Finished {
        Finished {
            success,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        }
    }

    fn judged(success: bool, stdout: &str, stderr: &str) -> String {
        let expected = ["near-1".to_owned(), "far-1".to_owned()];
        match judge(&finished(success, stdout, stderr), &expected) {
            Ok(()) => "green".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn any_of_the_expected_answers_is_green() {
        assert_eq!(judged(true, "far-1\n", ""), "green");
    }

    #[test]
    fn another_answer_is_red_and_shown() {
        assert_eq!(judged(true, "client-1\n", ""), "client-1");
        assert_eq!(judged(true, "", ""), "no answer");
    }

    #[test]
    fn a_failed_command_is_red_whatever_it_printed() {
        assert_eq!(judged(false, "near-1", ""), "near-1");
        let refused = "wget: can't connect to remote host: Connection refused\n\
                       command terminated with exit code 1\n";
        assert_eq!(
            judged(false, "", refused),
            "wget: can't connect to remote host: Connection refused"
        );
        let hung = "Terminated\ncommand terminated with exit code 143\n";
        assert_eq!(judged(false, "", hung), "no answer in time");
    }
}
