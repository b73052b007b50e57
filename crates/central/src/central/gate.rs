//! When nodes may reach a database that was made anew.
//!
//! ovn-controller removes the flows of what the southbound database does not hold. So one that was
//! made in place of another is shown to nodes when northd has filled it, and until then they go on
//! with the flows that they have.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    children::Running,
    database::{Database, Shown},
};

/// How long it may take to be filled.
const LONGEST: Duration = Duration::from_secs(20);
/// It is filled when so long nothing was added.
const QUIET: Duration = Duration::from_millis(500);

/// The way of other hosts to a server.
#[derive(Debug)]
pub(super) struct Gate {
    begun: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The server was told when it started.
    Open,
    /// It had so many rows at that time.
    Shut { rows: usize, seen: Instant },
    /// The process that was told.
    Opened(Option<u32>),
}

// === impl Gate ===

impl Gate {
    /// Open unless the database may have been made in place of another.
    pub(super) fn new(database: &Database, generation: u64) -> Self {
        let begun = Instant::now();
        let state = if database.is_compiled() && generation > 1 {
            State::Shut {
                rows: 0,
                seen: begun,
            }
        } else {
            State::Open
        };
        Self { begun, state }
    }

    /// What the server is told when it starts.
    pub(super) const fn shown(&self) -> Shown {
        match self.state {
            State::Open => Shown::ToAll,
            State::Shut { .. } | State::Opened(_) => Shown::ToThisHost,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        !matches!(self.state, State::Shut { .. })
    }

    /// Opens it when it is time, and again after the server was started again.
    pub(super) async fn keep(&mut self, database: &Database, running: &Running) {
        let pid = *running.borrow();
        let shall_open = match self.state {
            State::Open => false,
            State::Opened(told) => told != pid,
            State::Shut { rows, seen } => self.is_time(database, rows, seen).await,
        };
        if !shall_open {
            return;
        }
        match database.listen().await {
            Ok(()) => {
                tracing::info!(database = database.name(), "Nodes may come");
                self.state = State::Opened(pid);
            }
            Err(error) => {
                tracing::warn!(database = database.name(), %error, "Nodes cannot come");
            }
        }
    }

    /// Whether it is filled, or was to be waited for too long.
    async fn is_time(&mut self, database: &Database, before: usize, seen: Instant) -> bool {
        if self.begun.elapsed() >= LONGEST {
            return true;
        }
        let Ok(rows) = database.compiled().await else {
            return false;
        };
        if rows == before {
            return rows > 0 && seen.elapsed() >= QUIET;
        }
        self.state = State::Shut {
            rows,
            seen: Instant::now(),
        };
        false
    }
}
