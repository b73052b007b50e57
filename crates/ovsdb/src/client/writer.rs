//! Group commit: everything queued while one transaction is in flight goes into the next.
//!
//! Measured on a raft cluster, pipelining gains nothing and batches of 50 to 100 rows gain an
//! order of magnitude.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeSeq};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant},
};
use tracing::debug;

use super::{
    answer,
    connection::Connection,
    error::Error,
    replica::Publisher,
    transaction::{Outcome, Transaction},
};

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

    /// Forgets transactions that nobody waits for any more.
    pub(super) fn prune(&mut self) {
        self.waiting.retain(|job| !job.reply.is_closed());
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
        let params = Params {
            database: &self.database,
            group: &group,
        };
        let id = connection.send("transact", params)?;
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
        let transactions: Vec<_> = group.iter().map(|job| &job.transaction).collect();
        match answer::judge(&transactions, result) {
            Ok(Some(verdicts)) => {
                for (job, verdict) in group.into_iter().zip(verdicts) {
                    let outcome = verdict.outcome(&job.transaction, publisher);
                    job.end(outcome);
                }
                Ok(())
            }
            Ok(None) => {
                self.suspects.extend(group);
                Ok(())
            }
            Err(error) => {
                lose(group);
                Err(error)
            }
        }
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

/// `[database, operation, ...]`
struct Params<'a> {
    database: &'a str,
    group: &'a [Job],
}

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        seq.serialize_element(self.database)?;
        let transactions = self.group.iter().map(|job| &job.transaction);
        for operation in transactions.flat_map(Transaction::operations) {
            seq.serialize_element(operation)?;
        }
        seq.end()
    }
}
