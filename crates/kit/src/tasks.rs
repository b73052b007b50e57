//! Tasks with names: [`spawn`] for one, [`Tasks`] for those that make up a program.

use std::{
    any::Any,
    error::Error,
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use tokio::task::{JoinError, JoinHandle};
use tracing::Instrument as _;

use crate::shutdown::Shutdown;

/// Starts a task whose log lines carry its name. The only place that starts tasks.
///
/// A panic is logged where it happens and is still seen by whoever awaits the handle.
#[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let span = tracing::info_span!("task", name);
    tokio::spawn(log_panic(future).instrument(span))
}

async fn log_panic<F: Future>(future: F) -> F::Output {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(output) => output,
        Err(panic) => {
            tracing::error!(panic = panic_text(panic.as_ref()), "Task panicked");
            resume_unwind(panic)
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("of unknown type")
}

type BoxError = Box<dyn Error + Send + Sync>;
type Joined = (&'static str, Result<Result<(), BoxError>, JoinError>);

/// The tasks of a program, which live and end together: when one fails, panics or ends before its
/// time, the shutdown token is cancelled and the others end too.
#[derive(Debug)]
pub struct Tasks {
    shutdown: Shutdown,
    running: FuturesUnordered<BoxFuture<'static, Joined>>,
}

/// Why a program ended other than by the wish of the outside.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The task returned an error.
    #[error("task `{name}` failed")]
    Failed {
        name: &'static str,
        source: BoxError,
    },
    /// The task panicked; the panic was logged.
    #[error("task `{name}` panicked")]
    Panicked {
        name: &'static str,
        source: JoinError,
    },
    /// The task returned although nobody asked it to.
    #[error("task `{name}` ended before its time")]
    Ended { name: &'static str },
    /// Tasks were asked to end and did not.
    #[error("{count} tasks did not end within {grace:?}")]
    Stuck { count: usize, grace: Duration },
}

// === impl Tasks ===

impl Tasks {
    /// No tasks yet. The tasks are given clones of the token and end when it is cancelled.
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            running: FuturesUnordered::new(),
        }
    }

    /// Starts a task that runs until shutdown or failure.
    pub fn spawn<F, E>(&mut self, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let handle = spawn(name, future.map(|result| result.map_err(Into::into)));
        self.running
            .push(handle.map(move |joined| (name, joined)).boxed());
    }

    /// Waits for shutdown, or for the first task that ends, and then at most `grace` for the others.
    ///
    /// # Errors
    /// That tasks are left, since then nothing else can be relied on; else the first failure,
    /// which is usually the cause of any others.
    pub async fn join(mut self, grace: Duration) -> Result<(), TaskError> {
        let first = tokio::select! {
            Some(joined) = self.running.next() => verdict(joined, self.shutdown.is_cancelled()),
            () = self.shutdown.cancelled() => Ok(()),
        };
        self.shutdown.cancel();
        let drained = tokio::time::timeout(grace, drain(&mut self.running)).await;
        let Ok(drained) = drained else {
            if let Err(cause) = first {
                tracing::error!(cause = %crate::error::Chain(&cause), "Tasks do not end");
            }
            let count = self.running.len();
            return Err(TaskError::Stuck { count, grace });
        };
        first.and(drained)
    }
}

/// Joins all, and keeps the first failure.
async fn drain(
    running: &mut FuturesUnordered<BoxFuture<'static, Joined>>,
) -> Result<(), TaskError> {
    let mut first = Ok(());
    while let Some(joined) = running.next().await {
        let ended = verdict(joined, true);
        first = first.and(ended);
    }
    first
}

/// What the end of a task means; `is_asked` tells whether it was to end.
fn verdict((name, joined): Joined, is_asked: bool) -> Result<(), TaskError> {
    match joined {
        Ok(Ok(())) if is_asked => Ok(()),
        Ok(Ok(())) => Err(TaskError::Ended { name }),
        Ok(Err(source)) => Err(TaskError::Failed { name, source }),
        Err(source) => Err(TaskError::Panicked { name, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io};

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    async fn until(shutdown: Shutdown) -> Result<(), Infallible> {
        shutdown.cancelled().await;
        Ok(())
    }

    fn program() -> (Tasks, Shutdown) {
        let shutdown = Shutdown::new();
        let mut tasks = Tasks::new(shutdown.clone());
        tasks.spawn("patient", until(shutdown.clone()));
        (tasks, shutdown)
    }

    #[tokio::test]
    async fn a_panic_surfaces_to_whoever_awaits_the_task() {
        let handle = spawn("fragile", async { panic!("broken") });
        assert!(handle.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn the_message_of_a_panic_is_readable() {
        let handle = spawn("fragile", async { panic!("broken {}", 1) });
        let panic = handle.await.unwrap_err().into_panic();
        assert_eq!(panic_text(panic.as_ref()), "broken 1");
    }

    #[tokio::test]
    async fn shutdown_ends_all_tasks_without_an_error() {
        let (tasks, shutdown) = program();
        shutdown.cancel();
        assert!(tasks.join(GRACE).await.is_ok());
    }

    #[tokio::test]
    async fn the_failure_of_one_task_ends_the_others_and_is_returned() {
        let (mut tasks, shutdown) = program();
        tasks.spawn("server", async { Err(io::Error::other("address in use")) });
        let error = tasks.join(GRACE).await.unwrap_err();
        assert!(shutdown.is_cancelled());
        assert_eq!(
            crate::error::Chain(&error).to_string(),
            "task `server` failed: address in use"
        );
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_is_an_error() {
        let (mut tasks, _shutdown) = program();
        tasks.spawn("short", async { Ok::<_, Infallible>(()) });
        let error = tasks.join(GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "task `short` ended before its time");
    }

    #[tokio::test]
    async fn a_panic_of_one_task_ends_the_others() {
        let (mut tasks, _shutdown) = program();
        tasks.spawn::<_, Infallible>("fragile", async { panic!("broken") });
        let error = tasks.join(GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "task `fragile` panicked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_shutdown_is_left_behind_after_the_grace() {
        let (mut tasks, shutdown) = program();
        tasks.spawn("deaf", std::future::pending::<Result<(), Infallible>>());
        shutdown.cancel();
        let error = tasks.join(GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "1 tasks did not end within 5s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_does_not_hide_that_a_task_is_left() {
        let (mut tasks, _shutdown) = program();
        tasks.spawn("deaf", std::future::pending::<Result<(), Infallible>>());
        tasks.spawn("server", async { Err(io::Error::other("address in use")) });
        let error = tasks.join(GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "1 tasks did not end within 5s");
    }
}
