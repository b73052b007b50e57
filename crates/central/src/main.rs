//! The program of the OVN image: starts OVN's central part, or the Open vSwitch of a node, and
//! keeps it running.
//!
//! ```text
//! central   ovsdb-server NB, ovsdb-server SB, ovn-northd      Deployment ovn-central
//! vswitch   ovsdb-server, ovs-vswitchd, ovn-controller        DaemonSet ovs-ovn
//! ```
//!
//! A child that dies is started again with back-off; its log lines become ours; the pod is ready
//! when each child does its work. What is absent: no shell, and no value of a user that is more
//! than one argument of a program.

mod args;
mod central;
mod children;
mod claims;
mod database;
mod generation;
mod lines;
mod pods;
mod probe;
mod program;
mod raft;
mod unixctl;
mod verdict;
mod vswitch;
mod watchdog;

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use kit::{
    admin, metrics::Registry, readiness::Readiness, shutdown, shutdown::Shutdown, tasks::Tasks,
    telemetry,
};

use crate::args::{Args, Role};

/// How long everything may take to end: three children, one after the other.
const GRACE: Duration = Duration::from_secs(25);

/// What a role is given: how it says that it works, and when it ends.
#[derive(Debug, Clone)]
struct Process {
    readiness: Readiness,
    registry: Registry,
    shutdown: Shutdown,
}

// One thread: children are told to die with the thread that started them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init(&args.log)?;
    let process = Process {
        readiness: Readiness::new(),
        registry: Registry::new()?,
        shutdown: shutdown::on_signal().context("cannot handle signals")?,
    };
    let mut tasks = Tasks::new(process.shutdown.clone());
    let admin = match args.role {
        Role::Central(role) => {
            let admin = role.admin.admin_address;
            tasks.spawn("central", central::run(role, process.clone()));
            admin
        }
        Role::Vswitch(role) => {
            let admin = role.admin.admin_address;
            tasks.spawn("vswitch", vswitch::run(role, process.clone()));
            admin
        }
    };
    tasks.spawn(
        "admin",
        admin::serve(admin, process.readiness, process.registry, process.shutdown),
    );
    Ok(tasks.join(GRACE).await?)
}
