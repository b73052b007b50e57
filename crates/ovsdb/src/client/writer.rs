//! Group commit: everything queued while one transaction is in flight goes into the next.
//!
//! Measured on a raft cluster, pipelining gains nothing and batches of 50 to 100 rows gain an
//! order of magnitude.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeSeq};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant},
};
use tracing::debug;

use super::{
    connection::Connection,
    error::Error,
    message,
    replica::Publisher,
    transaction::{Outcome, Rejection, Step, Transaction},
};
use crate::operation::Operation;

/// The number of operations after which a group takes no more members.
const GROUP_SIZE: usize = 100;

/// A transaction that someone waits for.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) transaction: Transaction,
    /// The epoch of the replica when it was asked for.
    pub(super) epoch: u64,
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl Job {
    fn end(self, outcome: Outcome) {
        if self.reply.send(outcome).is_err() {
            debug!("Nobody waits for the outcome");
        }
    }
}

/// Transactions that wait, and the group in flight.
#[derive(Debug)]
pub(super) struct Writer {
    database: String,
    deadline: Duration,
    incoming: mpsc::UnboundedReceiver<Job>,
    waiting: VecDeque<Job>,
    /// Members of a group that failed, to be run one by one before anything else.
    suspects: VecDeque<Job>,
    flight: Option<Flight>,
}

#[derive(Debug)]
struct Flight {
    id: u64,
    deadline: Instant,
    group: Vec<Job>,
}

impl Writer {
    pub(super) fn new(
        database: String,
        deadline: Duration,
        incoming: mpsc::UnboundedReceiver<Job>,
    ) -> Self {
        Self {
            database,
            deadline,
            incoming,
            waiting: VecDeque::new(),
            suspects: VecDeque::new(),
            flight: None,
        }
    }

    /// Takes in what is asked for; `false` when nobody can ask any more. Can be dropped while it
    /// waits without losing anything.
    pub(super) async fn receive(&mut self) -> bool {
        let Some(job) = self.incoming.recv().await else {
            return false;
        };
        self.waiting.push_back(job);
        while let Ok(job) = self.incoming.try_recv() {
            self.waiting.push_back(job);
        }
        true
    }

    /// When the answer to the group in flight is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flight.as_ref().map(|flight| flight.deadline)
    }

    /// Sends the next group, if none is in flight.
    pub(super) fn pump(&mut self, connection: &mut Connection, epoch: u64) -> Result<(), Error> {
        if self.flight.is_some() {
            return Ok(());
        }
        let group = self.next_group(epoch);
        if group.is_empty() {
            return Ok(());
        }
        let id = connection.send(
            "transact",
            Params {
                database: &self.database,
                group: &group,
            },
        )?;
        self.flight = Some(Flight {
            id,
            deadline: Instant::now() + self.deadline,
            group,
        });
        Ok(())
    }

    fn next_group(&mut self, epoch: u64) -> Vec<Job> {
        while let Some(job) = self.suspects.pop_front() {
            if let Some(job) = current(job, epoch) {
                return vec![job];
            }
        }
        let mut group: Vec<Job> = Vec::new();
        let mut size = 0;
        while size < GROUP_SIZE {
            let fits = |job: &mut Job| size == 0 || size + job.transaction.len() <= GROUP_SIZE;
            let Some(job) = self.waiting.pop_front_if(fits) else {
                break;
            };
            if let Some(job) = current(job, epoch) {
                size += job.transaction.len();
                group.push(job);
            }
        }
        group
    }

    /// Ends the group in flight with the server's answer.
    pub(super) fn settle(
        &mut self,
        id: u64,
        result: &Result<Bytes, Bytes>,
        publisher: &Publisher,
    ) -> Result<(), Error> {
        let Some(flight) = self.flight.take_if(|flight| flight.id == id) else {
            return Err(Error::UnknownReply { id });
        };
        let group = flight.group;
        let verdicts = match judge(&group, result) {
            Ok(verdicts) => verdicts,
            Err(error) => {
                lose(group);
                return Err(error);
            }
        };
        if verdicts.is_empty() && group.len() > 1 {
            self.suspects.extend(group);
            return Ok(());
        }
        for (job, verdict) in group.into_iter().zip(verdicts) {
            let outcome = verdict.outcome(&job.transaction, publisher);
            job.end(outcome);
        }
        Ok(())
    }

    /// Ends the group in flight because the connection has ended.
    pub(super) fn lose(&mut self) {
        if let Some(flight) = self.flight.take() {
            lose(flight.group);
        }
    }
}

fn lose(group: Vec<Job>) {
    for job in group {
        job.end(Outcome::Lost);
    }
}

/// The job, unless nobody waits for it or it was made from a replica that is no more.
fn current(job: Job, epoch: u64) -> Option<Job> {
    if job.reply.is_closed() {
        return None;
    }
    if job.epoch != 0 && job.epoch != epoch {
        job.end(Outcome::Stale);
        return None;
    }
    Some(job)
}

enum Verdict {
    Ended(Outcome),
    /// A row with a chosen identity is there already.
    Duplicate(Rejection),
}

impl Verdict {
    fn outcome(self, transaction: &Transaction, publisher: &Publisher) -> Outcome {
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

/// One verdict for each member, or none if the group failed and has several.
fn judge(group: &[Job], result: &Result<Bytes, Bytes>) -> Result<Vec<Verdict>, Error> {
    let answers: Vec<Option<Answer>> = match result {
        Ok(result) => message::read(result, "the answers to a transaction")?,
        Err(error) => return refused(group, error),
    };
    let failed = answers.iter().enumerate().find_map(|(position, answer)| {
        let answer = answer.as_ref()?;
        Some((
            position,
            answer.error.as_ref()?,
            answer.details.as_deref().unwrap_or_default(),
        ))
    });
    match (failed, group) {
        (Some((position, error, details)), [job]) => Ok(vec![failure(
            job.transaction.steps(),
            position,
            error,
            details,
        )]),
        (Some(_), _) => Ok(Vec::new()),
        (None, _) => counts(group, &answers),
    }
}

/// The server did not even look at the operations.
fn refused(group: &[Job], error: &Bytes) -> Result<Vec<Verdict>, Error> {
    let error = String::from_utf8_lossy(error).into_owned();
    if group.len() > 1 {
        return Ok(Vec::new());
    }
    Err(Error::Refused {
        method: "transact",
        error,
    })
}

fn failure(steps: &[Step], position: usize, error: &str, details: &str) -> Verdict {
    let step = steps.get(position);
    let rejection = Rejection {
        operation: step.map(|_| position),
        error: error.to_owned(),
        details: details.to_owned(),
    };
    match (error, step.map(|step| &step.operation)) {
        ("timed out", Some(Operation::Wait { .. })) => Verdict::Ended(Outcome::Stale),
        ("duplicate uuid", Some(Operation::Insert { uuid: Some(_), .. })) => {
            Verdict::Duplicate(rejection)
        }
        ("cluster error", None) => Verdict::Ended(Outcome::Lost),
        _ => Verdict::Ended(Outcome::Rejected(rejection)),
    }
}

fn counts(group: &[Job], answers: &[Option<Answer>]) -> Result<Vec<Verdict>, Error> {
    let mut rest = answers;
    let mut verdicts = Vec::with_capacity(group.len());
    for job in group {
        let steps = job.transaction.steps();
        let Some((answers, others)) = rest.split_at_checked(steps.len()) else {
            return Err(Error::ShortReply);
        };
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

/// `[database, operation, ...]`
struct Params<'a> {
    database: &'a str,
    group: &'a [Job],
}

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        seq.serialize_element(self.database)?;
        for operation in self
            .group
            .iter()
            .flat_map(|job| job.transaction.operations())
        {
            seq.serialize_element(operation)?;
        }
        seq.end()
    }
}
