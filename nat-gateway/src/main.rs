//! The agent of a VPC NAT gateway.
//!
//! So far it serves health, reflection and the metrics of its own process on unix sockets, and
//! translates no address. It never listens on the network: the gateway's network is a tenant's.

mod args;

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use kit::{
    admin, grpc::Server, listen::Listen, metrics::Registry, readiness::Readiness, shutdown,
    tasks::Tasks, telemetry,
};

use crate::args::{Args, NOT_YET};

/// How long the servers may take to end.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init(&args.log)?;
    tracing::warn!(missing = NOT_YET, "Address translation is not implemented");
    let shutdown = shutdown::on_signal().context("cannot handle signals")?;
    let registry = Registry::new()?;
    let readiness = Readiness::new();
    let rules = readiness.condition("rules");
    rules.unmet("not implemented");
    let grpc = Listen::Unix(args.bind_socket);
    let admin = Listen::Unix(args.admin_socket);

    let mut tasks = Tasks::new(shutdown.clone());
    tasks.spawn(
        "admin",
        admin::serve(admin, readiness.clone(), registry, shutdown.clone()),
    );
    tasks.spawn("grpc", Server::new(readiness).serve(grpc, shutdown));
    Ok(tasks.join(GRACE).await?)
}
