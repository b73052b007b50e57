//! Children: started in an order, started again when they die, stopped in the opposite order.

use std::time::Duration;

use kit::{
    backoff::Backoff,
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

/// The children of a role, in the order of their start.
#[derive(Debug)]
pub(crate) struct Children {
    supervised: Vec<Supervised>,
    deaths: IntCounterVec,
}

#[derive(Debug)]
struct Supervised {
    stop: Shutdown,
    ended: JoinHandle<()>,
}

/// What is needed to start one again.
#[derive(Debug)]
struct Child {
    program: Program,
    process: watch::Sender<Option<u32>>,
    deaths: IntCounter,
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
        Ok(Self {
            supervised: Vec::new(),
            deaths: registry.register(IntCounterVec::new(deaths, &["program"]))?,
        })
    }

    /// Starts a program and keeps it running until [`Children::stop`].
    pub(crate) fn start(&mut self, program: Program) -> Running {
        let stop = Shutdown::new();
        let (process, running) = watch::channel(None);
        let child = Child {
            deaths: self.deaths.with_label_values(&[program.title()]),
            program,
            process,
        };
        let ended = kit::spawn("child", child.supervise(stop.clone()));
        self.supervised.push(Supervised { stop, ended });
        running
    }

    /// Stops the last first, and returns when none is left.
    pub(crate) async fn stop(self) {
        for child in self.supervised.into_iter().rev() {
            child.stop.cancel();
            // a panic was logged where it happened
            drop(child.ended.await);
        }
    }
}

// === impl Child ===

impl Child {
    async fn supervise(self, stop: Shutdown) {
        let title = self.program.title();
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        while !stop.is_cancelled() {
            let begun = Instant::now();
            match self.program.start() {
                Ok(process) => self.attend(process, &stop).await,
                Err(error) => tracing::error!(program = title, %error, "Cannot start"),
            }
            if begun.elapsed() >= STEADY {
                backoff.reset();
            }
            stop.run_until_cancelled(backoff.wait()).await;
        }
    }

    /// Passes on what the process says until it ends, by itself or because it shall.
    async fn attend(&self, mut process: process::Child, stop: &Shutdown) {
        let title = self.program.title();
        tracing::info!(program = title, pid = process.id(), "Started");
        self.process.send_replace(process.id());
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
            () = stop.cancelled() => end(title, &mut process).await,
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
    match process.kill().await {
        Ok(()) => tracing::warn!(program = title, "Did not end and was killed"),
        Err(error) => tracing::error!(program = title, %error, "Cannot be killed"),
    }
}
