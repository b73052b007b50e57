//! The pinger: connectivity probes and their metrics.
//!
//! So far it serves health, reflection and the metrics of its own process, and probes nothing.

mod args;

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use kit::{
    admin, grpc::Server, metrics::Registry, readiness::Readiness, shutdown, tasks::Tasks, telemetry,
};

use crate::args::{Args, NOT_YET};

/// How long the servers may take to end.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init(&args.log)?;
    tracing::warn!(missing = NOT_YET, "Probes are not implemented");
    let shutdown = shutdown::on_signal().context("cannot handle signals")?;
    let registry = Registry::new()?;
    let readiness = Readiness::new();
    let admin = args.admin.admin_address;

    let mut tasks = Tasks::new(shutdown.clone());
    tasks.spawn(
        "admin",
        admin::serve(admin, readiness.clone(), registry, shutdown.clone()),
    );
    tasks.spawn(
        "grpc",
        Server::new(readiness).serve(args.grpc_address, shutdown),
    );
    Ok(tasks.join(GRACE).await?)
}
