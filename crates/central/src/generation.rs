//! Which clusters of databases are current: the Lease `ovn-central` remembers their ids.
//!
//! ```text
//! files with the recorded ids, or nobody answers ----------------> use the files
//! no files, others, or moved -> hold the Lease, make what is needed, record it, give it back
//! ```
//!
//! The record outlives the node that the files lie on. Files that a pod finds where it ran long ago
//! are so told from those that were in use since: they are made anew, and the controller fills them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kit::lease::{Election, LeaseConfig};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::timeout;

use crate::database::Database;

const LEASE: &str = "ovn-central";
/// How often the databases were made since the installation.
const GENERATION: &str = "ovn.kubernetes.io/generation";
/// How long to ask an API server that is not needed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the lease of a pod that died while it made databases is respected.
const DURATION: Duration = Duration::from_secs(15);

/// The ids of clusters by the names of their databases.
type Clusters = BTreeMap<&'static str, String>;

/// Where the generations are counted.
pub(crate) struct Generations {
    leases: Api<Lease>,
    election: Election,
}

/// What the Lease says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    generation: u64,
    clusters: Clusters,
}

// === impl Generations ===

impl Generations {
    pub(crate) fn new(client: Client, namespace: &str, pod: &str) -> Self {
        let config = LeaseConfig {
            namespace: namespace.to_owned(),
            name: LEASE.to_owned(),
            identity: pod.to_owned(),
            annotations: BTreeMap::new(),
            duration: DURATION,
        };
        Self {
            leases: Api::namespaced(client.clone(), namespace),
            election: Election::new(client, config),
        }
    }

    /// Leaves files of the current generation, made by us where there were none.
    ///
    /// # Errors
    /// A file cannot be read or made. An API server that is needed is waited for.
    pub(crate) async fn settle(&self, databases: &[Database]) -> Result<()> {
        let found = clusters(databases).await?;
        match self.ask(databases).await {
            Some(record) if record.clusters == found && are_here(databases).await? => {
                return Ok(());
            }
            None if found.len() == databases.len() => {
                tracing::warn!("Using the databases as they are");
                return prepare(databases).await;
            }
            Some(_) | None => {}
        }
        let tenure = self.election.win().await;
        let made = self.make(databases).await;
        if let Err(error) = self.election.release(tenure.term()).await {
            tracing::warn!(%error, "The lease {LEASE} is not given back and has to expire");
        }
        made
    }

    /// Makes what the record does not know, and records it.
    async fn make(&self, databases: &[Database]) -> Result<()> {
        let record = self.read(databases).await?;
        let found = clusters(databases).await?;
        for database in databases {
            if record.outdates(database.name(), &found) {
                tracing::warn!(
                    database = database.name(),
                    "Made anew: another one was in use since, so that this one is out of date"
                );
                database.remove()?;
            }
        }
        prepare(databases).await?;
        let clusters = clusters(databases).await?;
        if record.clusters != clusters {
            let generation = record.generation + 1;
            self.write(&Record {
                generation,
                clusters,
            })
            .await?;
        }
        Ok(())
    }

    /// What is recorded, if there is an answer in time.
    async fn ask(&self, databases: &[Database]) -> Option<Record> {
        match timeout(PATIENCE, self.read(databases)).await {
            Ok(Ok(record)) => return Some(record),
            Ok(Err(error)) => tracing::warn!(error = format!("{error:#}"), "No answer"),
            Err(_elapsed) => tracing::warn!("The API server does not answer in time"),
        }
        None
    }

    async fn read(&self, databases: &[Database]) -> Result<Record> {
        let lease = self.leases.get_opt(LEASE).await;
        let lease = lease.with_context(|| format!("cannot read the lease {LEASE}"))?;
        let annotations = lease.and_then(|lease| lease.metadata.annotations);
        Ok(Record::parse(&annotations.unwrap_or_default(), databases))
    }

    async fn write(&self, record: &Record) -> Result<()> {
        tracing::info!(generation = record.generation, clusters = ?record.clusters, "Recorded");
        let patch = json!({ "metadata": { "annotations": record.annotations() } });
        let patched = self
            .leases
            .patch(LEASE, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.with_context(|| format!("cannot write the lease {LEASE}"))?;
        Ok(())
    }
}

// === impl Record ===

impl Record {
    /// What is absent or makes no sense counts as nothing recorded.
    fn parse(annotations: &BTreeMap<String, String>, databases: &[Database]) -> Self {
        let generation = annotations.get(GENERATION);
        let id = |database: &Database| {
            let id = annotations.get(&key(database.name()))?;
            Some((database.name(), id.clone()))
        };
        Self {
            generation: generation.and_then(|text| text.parse().ok()).unwrap_or(0),
            clusters: databases.iter().filter_map(id).collect(),
        }
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        let ids = self
            .clusters
            .iter()
            .map(|(name, id)| (key(name), id.clone()));
        ids.chain([(GENERATION.to_owned(), self.generation.to_string())])
            .collect()
    }

    /// Whether the cluster that was found is another than the recorded one.
    fn outdates(&self, name: &'static str, found: &Clusters) -> bool {
        match (self.clusters.get(name), found.get(name)) {
            (Some(recorded), Some(found)) => recorded != found,
            _ => false,
        }
    }
}

/// `ovn.kubernetes.io/nb-cluster-id`
fn key(name: &str) -> String {
    format!("ovn.kubernetes.io/{name}-cluster-id")
}

/// Makes the files that there are not, and moves those of another address.
///
/// # Errors
/// See [`Database::prepare`].
pub(crate) async fn prepare(databases: &[Database]) -> Result<()> {
    for database in databases {
        let prepared = database.prepare().await;
        prepared.with_context(|| format!("cannot prepare the database {}", database.name()))?;
    }
    Ok(())
}

async fn clusters(databases: &[Database]) -> Result<Clusters> {
    let mut found = Clusters::new();
    for database in databases {
        if let Some(id) = database.cluster_id().await? {
            found.insert(database.name(), id);
        }
    }
    Ok(found)
}

async fn are_here(databases: &[Database]) -> Result<bool> {
    for database in databases {
        if !database.is_here().await? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        args::{Args, Role},
        database::{NORTHBOUND, SOUTHBOUND},
    };

    fn databases() -> [Database; 2] {
        let args = Args::try_parse_from(["x", "central", "--address=10.0.0.1"]).unwrap();
        match args.role {
            Role::Central(args) => [NORTHBOUND, SOUTHBOUND].map(|kind| Database::new(kind, &args)),
            Role::Vswitch(_) => panic!("central was asked for"),
        }
    }

    fn record() -> Record {
        let clusters = [("nb", "n-1"), ("sb", "s-1")];
        Record {
            generation: 7,
            clusters: clusters.map(|(name, id)| (name, id.to_owned())).into(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let annotations = record().annotations();
        assert_eq!(annotations["ovn.kubernetes.io/nb-cluster-id"], "n-1");
        assert_eq!(Record::parse(&annotations, &databases()), record());
    }

    #[test]
    fn a_lease_without_a_record_outdates_nothing() {
        let empty = Record::parse(&BTreeMap::new(), &databases());
        assert_eq!(empty, Record::default());
        assert!(!empty.outdates("nb", &record().clusters));
    }

    #[test]
    fn only_a_file_of_another_cluster_is_out_of_date() {
        let mut found = record().clusters;
        found.insert("sb", "s-0".to_owned());
        assert!(!record().outdates("nb", &found));
        assert!(record().outdates("sb", &found));
        found.remove("sb");
        assert!(!record().outdates("sb", &found));
    }
}
