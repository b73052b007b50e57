//! Which clusters of databases are current: the Lease `ovn-central` remembers their ids.
//!
//! ```text
//! files with the recorded ids, or nobody answers ----------------> use the files
//! nothing is recorded, or what is can no longer be reached
//!                  -> hold the Lease, look again, make a cluster, record it, give the Lease back
//! another cluster is recorded ----> remove the file, ask the cluster's members to be let in
//! ```
//!
//! The record outlives the nodes that the files lie on. Files that a pod finds where it ran long ago
//! are so told from those that were in use since. What is made anew the controller fills.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kit::{
    backoff::sleep,
    lease::{Election, LeaseConfig, Tenure},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::timeout;

use crate::database::{NORTHBOUND, SOUTHBOUND};

const LEASE: &str = "ovn-central";
/// How often the databases were made since the installation.
const GENERATION: &str = "ovn.kubernetes.io/generation";
/// How long to ask an API server.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the record is read while somebody else makes clusters.
const POLL: Duration = Duration::from_millis(300);
/// How long the lease of a pod that died while it made databases is respected.
const DURATION: Duration = Duration::from_secs(15);

/// Where the generations are counted.
pub(crate) struct Generations {
    leases: Api<Lease>,
    election: Election,
}

/// What the Lease says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) generation: u64,
    /// The ids of clusters by the names of their databases.
    clusters: BTreeMap<&'static str, String>,
    /// The version that was read.
    version: Option<String>,
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

    /// Waits until nobody else may make clusters.
    pub(crate) async fn acquire(&self) -> Tenure {
        self.election.win().await
    }

    /// Lets others make clusters.
    pub(crate) async fn release(&self, tenure: &Tenure) {
        if let Err(error) = self.election.release(tenure.term()).await {
            tracing::warn!(%error, "The lease {LEASE} is not given back and has to expire");
        }
    }

    /// Waits until another generation is recorded.
    pub(crate) async fn changed(&self, generation: u64) {
        loop {
            sleep(POLL).await;
            let record = self.read().await;
            if record.is_ok_and(|record| record.generation != generation) {
                return;
            }
        }
    }

    /// What is recorded.
    ///
    /// # Errors
    /// The API server does not answer in time.
    pub(crate) async fn read(&self) -> Result<Record> {
        let lease = timeout(PATIENCE, self.leases.get_opt(LEASE))
            .await
            .context("the API server did not answer in time")?;
        let lease = lease.with_context(|| format!("cannot read the lease {LEASE}"))?;
        let metadata = lease.map(|lease| lease.metadata).unwrap_or_default();
        let record = Record::parse(&metadata.annotations.unwrap_or_default());
        Ok(Record {
            version: metadata.resource_version,
            ..record
        })
    }

    /// Records clusters in a new generation.
    ///
    /// # Errors
    /// Somebody else has written since the record was read, or nobody answers.
    pub(crate) async fn raise(
        &self,
        mut record: Record,
        made: BTreeMap<&'static str, String>,
    ) -> Result<()> {
        record.generation += 1;
        record.clusters.extend(made);
        let Record {
            generation,
            clusters,
            version,
        } = &record;
        tracing::info!(generation, ?clusters, "Recorded");
        let patch = json!({
            "metadata": { "annotations": record.annotations(), "resourceVersion": version }
        });
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = self.leases.patch(LEASE, &parameters, &patch);
        timeout(PATIENCE, patched)
            .await
            .context("the API server did not answer in time")?
            .with_context(|| format!("cannot write the lease {LEASE}"))?;
        Ok(())
    }
}

// === impl Record ===

impl Record {
    /// What is absent or makes no sense counts as nothing recorded.
    fn parse(annotations: &BTreeMap<String, String>) -> Self {
        let generation = annotations.get(GENERATION);
        let id = |database: &'static str| {
            let id = annotations.get(&key(database))?;
            Some((database, id.clone()))
        };
        Self {
            generation: generation.and_then(|text| text.parse().ok()).unwrap_or(0),
            clusters: [NORTHBOUND.name, SOUTHBOUND.name]
                .into_iter()
                .filter_map(id)
                .collect(),
            version: None,
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

    /// The id of a database's cluster.
    pub(crate) fn cluster(&self, database: &str) -> Option<&str> {
        self.clusters.get(database).map(String::as_str)
    }
}

/// `ovn.kubernetes.io/nb-cluster-id`
fn key(name: &str) -> String {
    format!("ovn.kubernetes.io/{name}-cluster-id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let clusters = [("nb", "n-1"), ("sb", "s-1")];
        let record = Record {
            generation: 7,
            clusters: clusters.map(|(name, id)| (name, id.to_owned())).into(),
            version: None,
        };
        let annotations = record.annotations();
        assert_eq!(annotations["ovn.kubernetes.io/nb-cluster-id"], "n-1");
        assert_eq!(Record::parse(&annotations), record);
    }

    #[test]
    fn a_lease_without_a_record_names_no_cluster() {
        let empty = Record::parse(&BTreeMap::new());
        assert_eq!(empty, Record::default());
        assert_eq!(empty.cluster("nb"), None);
    }
}
