//! What a server's answer says about each transaction of a group.

use bytes::Bytes;
use serde::Deserialize;

use super::{
    error::Error,
    message,
    replica::Publisher,
    transaction::{Outcome, Rejection, Step, Transaction},
};
use crate::operation::Operation;

/// What became of one transaction of a group.
pub(super) enum Verdict {
    /// It is known.
    Ended(Outcome),
    /// A row with a chosen identity is there already: whether by an earlier try, the replica says.
    Duplicate(Rejection),
}

impl Verdict {
    /// How the transaction ended, now that the replica shows what was committed.
    pub(super) fn outcome(self, transaction: &Transaction, publisher: &Publisher) -> Outcome {
        match self {
            Self::Ended(outcome) => outcome,
            // a retry of what had been committed: as it happened as a whole, all its rows are there
            Self::Duplicate(_) if transaction.is_inserted_in(&publisher.read()) => {
                Outcome::Committed
            }
            Self::Duplicate(rejection) => Outcome::Rejected(rejection),
        }
    }
}

/// The answer to one operation.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    count: Option<u64>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    details: Option<String>,
}

impl Answer {
    /// The answer of a server that did not even look at the operations.
    fn refusal(error: &Bytes) -> Self {
        let error = String::from_utf8_lossy(error).into_owned();
        Self {
            count: None,
            error: Some("refused".to_owned()),
            details: Some(error),
        }
    }

    fn is_error(&self) -> bool {
        self.error.is_some()
    }
}

/// One verdict for each member of a group; `None` if the group failed, so that its members must be
/// run one by one.
pub(super) fn judge(
    group: &[&Transaction],
    result: &Result<Bytes, Bytes>,
) -> Result<Option<Vec<Verdict>>, Error> {
    let answers: Vec<Option<Answer>> = match result {
        Ok(result) => message::read(result, "the answers to a transaction")?,
        Err(error) => vec![Some(Answer::refusal(error))],
    };
    let refused = result.is_err();
    let failed = answers
        .iter()
        .position(|answer| answer.as_ref().is_some_and(Answer::is_error));
    let Some(position) = failed else {
        return counts(group, &answers).map(Some);
    };
    let ([transaction], Some(Some(answer))) = (group, answers.get(position)) else {
        return Ok(None);
    };
    let step = transaction.steps().get(position).filter(|_| !refused);
    Ok(Some(vec![failure(
        step.map(|step| (position, step)),
        answer,
    )]))
}

/// The verdict on a transaction that failed, at a step or as a whole.
fn failure(step: Option<(usize, &Step)>, answer: &Answer) -> Verdict {
    let error = answer.error.clone().unwrap_or_default();
    let operation = step.map(|(_, step)| &step.operation);
    match (error.as_str(), operation) {
        ("timed out", Some(Operation::Wait { .. })) => return Verdict::Ended(Outcome::Stale),
        // the leader changed: the log entry may yet be committed
        ("cluster error", None) => return Verdict::Ended(Outcome::Lost),
        _ => {}
    }
    let is_duplicate = error == "duplicate uuid";
    let details = answer.details.clone().unwrap_or_default();
    let rejection = Rejection {
        operation: step.map(|(position, _)| position),
        error,
        details,
    };
    match operation {
        Some(Operation::Insert { uuid: Some(_), .. }) if is_duplicate => {
            Verdict::Duplicate(rejection)
        }
        _ => Verdict::Ended(Outcome::Rejected(rejection)),
    }
}

/// The verdicts on a group that was committed: each member must have matched what it expected.
fn counts(group: &[&Transaction], answers: &[Option<Answer>]) -> Result<Vec<Verdict>, Error> {
    let mut rest = answers;
    let mut verdicts = Vec::with_capacity(group.len());
    for transaction in group {
        let steps = transaction.steps();
        let (answers, others) = rest
            .split_at_checked(steps.len())
            .ok_or(Error::ShortReply)?;
        verdicts.push(Verdict::Ended(count(steps, answers)));
        rest = others;
    }
    Ok(verdicts)
}

fn count(steps: &[Step], answers: &[Option<Answer>]) -> Outcome {
    for (position, (step, answer)) in steps.iter().zip(answers).enumerate() {
        let Some(expected) = step.expected else {
            continue;
        };
        let actual = answer
            .as_ref()
            .and_then(|answer| answer.count)
            .unwrap_or_default();
        if actual != expected {
            return Outcome::Rejected(Rejection {
                operation: Some(position),
                error: Rejection::COUNT.to_owned(),
                details: format!("{} matched {actual} rows, not {expected}", step.operation),
            });
        }
    }
    Outcome::Committed
}
