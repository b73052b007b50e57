//! Children: started in an order, started again when they die, stopped in the opposite order.

use std::time::Duration;

use futures::future::BoxFuture;
use kit::{
    backoff::Backoff,
    error::Chain,
    metrics::{IntCounter, IntCounterVec, MetricError, Opts, Registry},
    shutdown::Shutdown,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process,
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{lines, program::Program};

/// How long a child may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// A child that has run for so long has started well.
const STEADY: Duration = Duration::from_secs(30);
/// The waits before it is started again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The process id of a child while it runs.
pub(crate) type Running = watch::Receiver<Option<u32>>;

/// What is done before each start of a child. A failure is told and does not keep it from starting.
pub(crate) type Preparation = Box<dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// The children of a role, in the order of their start.
#[derive(Debug)]
pub(crate) struct Children {
    supervised: Vec<Supervised>,
    deaths: IntCounterVec,
    hangs: IntCounterVec,
}

#[derive(Debug)]
struct Supervised {
    program: watch::Sender<Program>,
    stop: Shutdown,
    ended: JoinHandle<()>,
}

/// What is needed to start one again.
struct Child {
    program: watch::Receiver<Program>,
    prepare: Preparation,
    process: watch::Sender<Option<u32>>,
    deaths: IntCounter,
    hangs: IntCounter,
}

// === impl Children ===

impl Children {
    /// None yet; how often one died is counted in `registry`.
    ///
    /// # Errors
    /// When something else counts under the same name.
    pub(crate) fn new(registry: &Registry) -> Result<Self, MetricError> {
        let deaths = Opts::new(
            "central_deaths_total",
            "How often a child died and was replaced",
        );
        let hangs = Opts::new(
            "central_hangs_total",
            "How often a child ran without doing anything and was killed",
        );
        Ok(Self {
            supervised: Vec::new(),
            deaths: registry.register(IntCounterVec::new(deaths, &["program"]))?,
            hangs: registry.register(IntCounterVec::new(hangs, &["program"]))?,
        })
    }

    /// Starts a program and keeps it running until [`Children::stop`].
    pub(crate) fn start(&mut self, program: Program) -> Running {
        self.start_prepared(program, Box::new(|| Box::pin(async { Ok(()) })))
    }

    /// The same, with something to do before every start.
    pub(crate) fn start_prepared(&mut self, program: Program, prepare: Preparation) -> Running {
        let stop = Shutdown::new();
        let (process, running) = watch::channel(None);
        let title = program.title();
        let deaths = self.deaths.with_label_values(&[title]);
        let (sender, program) = watch::channel(program);
        let child = Child {
            hangs: self.hangs.with_label_values(&[title]),
            program,
            prepare,
            process,
            deaths,
        };
        let ended = kit::spawn("child", child.supervise(stop.clone()));
        self.supervised.push(Supervised {
            program: sender,
            stop,
            ended,
        });
        running
    }

    /// Starts a program anew that has the same title and other arguments.
    pub(crate) fn change(&self, program: Program) {
        let mut supervised = self.supervised.iter();
        let same = supervised.find(|it| it.program.borrow().title() == program.title());
        if let Some(child) = same {
            child.program.send_replace(program);
        }
    }

    /// Stops the last first, and returns when none is left.
    pub(crate) async fn stop(&mut self) {
        for child in std::mem::take(&mut self.supervised).into_iter().rev() {
            child.stop.cancel();
            // a panic was logged where it happened
            drop(child.ended.await);
        }
    }
}

// === impl Child ===

impl Child {
    async fn supervise(mut self, stop: Shutdown) {
        let title = self.program.borrow().title();
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        loop {
            match stop.run_until_cancelled((self.prepare)()).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    let error = Chain(&*error).to_string();
                    tracing::error!(program = title, error, "Cannot prepare the start");
                }
            }
            let begun = Instant::now();
            let started = self.program.borrow_and_update().start();
            match started {
                Ok(process) => self.attend(process, &stop).await,
                Err(error) => tracing::error!(program = title, %error, "Cannot start"),
            }
            if begun.elapsed() >= STEADY {
                // traffic may wait for it
                backoff.reset();
            } else if !self.program.has_changed().unwrap_or(false) {
                stop.run_until_cancelled(backoff.wait()).await;
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Passes on what the process says until it ends, by itself or because it shall.
    async fn attend(&mut self, mut process: process::Child, stop: &Shutdown) {
        let program = self.program.borrow().clone();
        let title = program.title();
        let pid = process.id();
        tracing::info!(program = title, pid, "Started");
        self.process.send_replace(pid);
        if let Some(output) = process.stdout.take() {
            drop(kit::spawn("output", lines::forward(title, output)));
        }
        if let Some(output) = process.stderr.take() {
            drop(kit::spawn("output", lines::forward(title, output)));
        }
        tokio::select! {
            ended = process.wait() => {
                self.deaths.inc();
                let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::warn!(program = title, how, "Died");
            }
            () = program.hangs(pid) => {
                self.hangs.inc();
                tracing::error!(program = title, pid, "Hangs");
                destroy(title, &mut process).await;
            }
            () = stop.cancelled() => end(title, &mut process).await,
            Ok(()) = self.program.changed() => {
                self.program.mark_changed();
                tracing::info!(program = title, "Starts anew with other arguments");
                end(title, &mut process).await;
            }
        }
        self.process.send_replace(None);
    }
}

/// Asks the process to end, and kills it when it does not.
async fn end(title: &'static str, process: &mut process::Child) {
    let pid = process.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(Err(error)) = pid.map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM)) {
        tracing::warn!(program = title, %error, "Cannot be asked to end");
    }
    if timeout(PATIENCE, process.wait()).await.is_ok() {
        tracing::info!(program = title, "Ended");
        return;
    }
    destroy(title, process).await;
}

async fn destroy(title: &'static str, process: &mut process::Child) {
    match process.kill().await {
        Ok(()) => tracing::warn!(program = title, "Killed"),
        Err(error) => tracing::error!(program = title, %error, "Cannot be killed"),
    }
}
