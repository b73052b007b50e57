//! The client: one connection at a time, a replica fed by it, and transactions sent through it.
//!
//! ```text
//!  Client ---transactions---> Driver ---JSON-RPC---> ovsdb-server (one of several remotes)
//!  Replica <---change sets---'   (connection, session, writer)
//! ```
//!
//! The driver is a future that the caller runs; nothing here starts a task.

mod answer;
mod apply;
mod changes;
mod codec;
mod connection;
mod database;
mod driver;
mod error;
mod message;
mod monitor;
mod options;
mod remote;
mod replica;
mod server;
mod session;
mod tls;
mod transaction;
mod update;
mod writer;

use tokio::sync::{mpsc, oneshot};

pub use self::{
    changes::{Change, ChangeSet},
    database::{Database, Rows, Version},
    driver::Driver,
    options::{Backoff, Columns, Options},
    remote::{Remote, RemoteError},
    replica::{Changes, Replica, Snapshot},
    tls::Tls,
    transaction::{Outcome, Rejection, Transaction},
};
use self::{replica::Publisher, writer::Job};

/// A handle to one database: reads go to its [`Replica`], writes through [`Client::transact`].
#[derive(Clone, Debug)]
pub struct Client {
    jobs: mpsc::UnboundedSender<Job>,
    replica: Replica,
}

impl Client {
    /// A client and the future that works for it. The future ends when the last clone of the
    /// client is dropped; without it running, nothing connects.
    pub fn new(options: Options) -> (Self, Driver) {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (publisher, replica) = Publisher::new();
        (
            Self { jobs, replica },
            Driver::new(options, queue, publisher),
        )
    }

    /// Our copy of the database.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Runs a transaction, together with others that wait at the same time.
    ///
    /// What is asked for while there is no connection waits for one. If the database had been read
    /// before, the transaction then ends [`Outcome::Stale`], as it was made from a replica that is
    /// no more. A caller that stops waiting does not stop the transaction.
    pub async fn transact(&self, transaction: Transaction) -> Outcome {
        if transaction.is_empty() {
            return Outcome::Unchanged;
        }
        let (reply, outcome) = oneshot::channel();
        let epoch = transaction
            .epoch()
            .unwrap_or_else(|| self.replica.version().epoch);
        if self
            .jobs
            .send(Job {
                transaction,
                epoch,
                reply,
            })
            .is_err()
        {
            return Outcome::Lost;
        }
        outcome.await.unwrap_or(Outcome::Lost)
    }
}
