//! OVN's central part: a member of each database's cluster, then northd.
//!
//! ```text
//! settle files -> start NB, SB -> both answer -> start northd -> until shutdown -> stop in reverse
//!      ^               \-- readiness, claims, labels --> our pod --> other members, Services
//!      \---- file gone or spoiled, cluster left, outdated or lost <----/
//! ```
//!
//! Members find each other by their pods ([`crate::pods`]), never by a list of addresses. Which
//! clusters are current is recorded in a Lease ([`crate::generation`]).

mod gate;
mod northd;
mod seat;
mod serve;
mod settle;

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use kit::{backoff::sleep, readiness::Condition};
use kube::Client;

use crate::{
    Process,
    args::CentralArgs,
    children::Children,
    claims::{Claim, Peer},
    database::{Database, NORTHBOUND, SOUTHBOUND},
    generation::{Generations, Record},
    pods::Pods,
};

/// How readiness and labels call northd.
pub(crate) const NORTHD: &str = "northd";

/// The wait before what failed is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// A host of the central part.
struct Site {
    args: CentralArgs,
    databases: [Database; 2],
    /// Whether each database can be used, and whether northd works.
    conditions: Conditions,
    pod: Option<Pod>,
}

#[derive(Debug)]
struct Conditions {
    databases: [Condition; 2],
    northd: Condition,
}

/// What there is to do with the API server where we are a pod.
struct Pod {
    pods: Pods,
    generations: Generations,
}

/// What the API server tells of all members.
#[derive(Debug, Clone)]
struct Census {
    record: Record,
    /// All pods but ours.
    peers: Vec<Peer>,
}

/// Why the databases cannot go on as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Turn {
    /// Another cluster is recorded, or there is no file that can be used: settling sees to it.
    Unsettled,
    /// The cluster goes on without our server, or never let it in.
    Outside(&'static str),
    /// So many members are gone that the cluster cannot go on; what we are of it.
    Lost(&'static str, Claim),
}

/// Runs the central part until shutdown.
///
/// # Errors
/// When a file cannot be made or a database be converted; what dies is started again.
pub(crate) async fn run(args: CentralArgs, process: Process) -> Result<()> {
    let mut children = Children::new(&process.registry)?;
    let shutdown = process.shutdown.clone();
    let site = Site::new(args, &process).await?;
    let done = shutdown.run_until_cancelled(site.live(&mut children)).await;
    children.stop().await;
    done.unwrap_or(Ok(()))
}

// === impl Site ===

impl Site {
    async fn new(args: CentralArgs, process: &Process) -> Result<Self> {
        for directory in [&args.database_directory, &args.run_directory] {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot make the folder {}", directory.display()))?;
        }
        let databases = [NORTHBOUND, SOUTHBOUND].map(|kind| Database::new(kind, &args));
        let condition = |name| process.readiness.condition(name);
        let conditions = Conditions {
            databases: [NORTHBOUND.name, SOUTHBOUND.name].map(condition),
            northd: condition(NORTHD),
        };
        let pod = match &args.pod_name {
            Some(name) => Some(Pod::new(&args.pod_namespace, name).await?),
            None => None,
        };
        Ok(Self {
            args,
            databases,
            conditions,
            pod,
        })
    }

    /// Settles and serves in turn, for ever.
    async fn live(&self, children: &mut Children) -> Result<()> {
        loop {
            let generation = self.settle().await?;
            let turn = self.serve(children, generation).await?;
            tracing::warn!(?turn, "The databases do not go on as they are");
            children.stop().await;
            self.unmet();
            if let Err(error) = self.turn(turn).await {
                tracing::warn!(error = format!("{error:#}"), "Not settled yet");
                sleep(AGAIN).await;
            }
        }
    }

    async fn turn(&self, turn: Turn) -> Result<()> {
        match turn {
            Turn::Unsettled => Ok(()),
            Turn::Outside(name) => Ok(self.database(name)?.remove()?),
            Turn::Lost(name, own) => self.renew(self.database(name)?, &own).await,
        }
    }

    fn database(&self, name: &str) -> Result<&Database> {
        let mut databases = self.databases.iter();
        let found = databases.find(|database| database.name() == name);
        found.with_context(|| format!("there is no database {name}"))
    }

    fn unmet(&self) {
        let databases = self.conditions.databases.iter();
        for condition in databases.chain([&self.conditions.northd]) {
            condition.unmet("the databases are settled anew");
        }
    }
}

// === impl Pod ===

impl Pod {
    /// Reaches the API server as a pod does.
    async fn new(namespace: &str, name: &str) -> Result<Self> {
        let client = Client::try_default()
            .await
            .context("no API server; without a pod leave --pod-name out")?;
        Ok(Self {
            pods: Pods::new(client.clone(), namespace, name),
            generations: Generations::new(client, namespace, name),
        })
    }

    async fn census(&self) -> Result<Census> {
        Ok(Census {
            record: self.generations.read().await?,
            peers: self.pods.peers().await?,
        })
    }
}
