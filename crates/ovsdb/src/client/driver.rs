//! The driver: keeps a session, with one remote after the other.

use std::{convert::Infallible, fmt, pin::pin};

use tokio::{
    sync::mpsc,
    time::{Duration, Instant},
};
use tracing::{debug, info, warn};

use super::{
    connection::Received,
    error::Error,
    options::Options,
    remote::Remote,
    replica::Publisher,
    session::{Memory, Session},
    writer::{Job, Writer},
};

/// Does a client's work while [`Driver::run`] is polled.
#[must_use = "nothing connects unless it runs"]
pub struct Driver {
    options: Options,
    writer: Writer,
    publisher: Publisher,
    memory: Memory,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The last clone of the client is gone.
struct Abandoned;

impl Driver {
    pub(super) fn new(
        options: Options,
        jobs: mpsc::UnboundedReceiver<Job>,
        publisher: Publisher,
    ) -> Self {
        let writer = Writer::new(options.database.clone(), options.deadline, jobs);
        Self {
            options,
            writer,
            publisher,
            memory: Memory::default(),
        }
    }

    /// Works until the last clone of the client is dropped.
    pub async fn run(mut self) {
        let Err(Abandoned) = self.follow().await;
        debug!(database = %self.options.database, "Client dropped");
    }

    /// Visits the remotes in turn, with a wait after each round.
    async fn follow(&mut self) -> Result<Infallible, Abandoned> {
        let mut failures = 0;
        loop {
            let wait = self.options.backoff.wait(failures);
            let longest = self.round().await?;
            // a session shorter than the wait is no success: it must not make us hurry
            failures = if longest > wait { 0 } else { failures + 1 };
            self.writer.prune();
            let until = Instant::now() + wait;
            attend(&mut self.writer, tokio::time::sleep_until(until)).await?;
        }
    }

    /// Visits each remote once, and returns how long the longest session was.
    async fn round(&mut self) -> Result<Duration, Abandoned> {
        let mut longest = Duration::ZERO;
        for remote in self.options.remotes.clone() {
            longest = longest.max(self.visit(&remote).await?);
        }
        Ok(longest)
    }

    /// Stays with a remote as long as it is of use, and returns how long that was.
    async fn visit(&mut self, remote: &Remote) -> Result<Duration, Abandoned> {
        let session = Session::open(remote, &self.options, &mut self.memory, &self.publisher);
        let session = match attend(&mut self.writer, Box::pin(session)).await? {
            Ok(session) => session,
            Err(error) => {
                self.note(remote, &error);
                return Ok(Duration::ZERO);
            }
        };
        info!(%remote, database = self.options.database, "Connected");
        let start = Instant::now();
        let end = self.serve(session).await;
        self.publisher.disconnect();
        self.writer.lose();
        self.note(remote, &end?);
        Ok(start.elapsed())
    }

    /// Follows the database and sends transactions until the session ends; why it did.
    async fn serve(&mut self, mut session: Session) -> Result<Error, Abandoned> {
        let epoch = self.publisher.read().version().epoch;
        loop {
            if let Err(error) = self.writer.pump(&mut session.connection, epoch) {
                return Ok(error);
            }
            let deadline = self.writer.deadline();
            let handled = tokio::select! {
                received = session.connection.receive() => {
                    received.and_then(|received| self.handle(&mut session, received))
                }
                more = self.writer.receive() => if more { Ok(()) } else { return Err(Abandoned) },
                () = reached(deadline) => Err(Error::Deadline { method: "transact" }),
            };
            if let Err(error) = handled {
                return Ok(error);
            }
        }
    }

    fn handle(&mut self, session: &mut Session, received: Received) -> Result<(), Error> {
        match received {
            Received::Reply { id, result } => self.writer.settle(id, &result, &self.publisher),
            Received::Notification(news) => {
                session.notice(&news, &self.options, &mut self.memory, &self.publisher)
            }
        }
    }

    fn note(&mut self, remote: &Remote, end: &Error) {
        if end.is_desync() {
            self.memory.forget();
        }
        let database = &self.options.database;
        let error: &dyn std::error::Error = end;
        if matches!(end, Error::NotLeader) {
            debug!(%remote, database, error, "Passed over");
        } else {
            warn!(%remote, database, error, "No connection");
        }
    }
}

/// Does some work while transactions may be asked for.
async fn attend<T>(writer: &mut Writer, work: impl Future<Output = T>) -> Result<T, Abandoned> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            more = writer.receive() => if !more {
                return Err(Abandoned);
            },
        }
    }
}

/// Returns at a point in time, or never.
async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
