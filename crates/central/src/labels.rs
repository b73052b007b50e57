//! Labels of our own pod, by which the Services `ovn-nb`, `ovn-sb` and `ovn-northd` find who leads.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kit::{backoff::Backoff, readiness::Missing};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Map, Value, json};
use tokio::{sync::watch, time::timeout};

use crate::{
    central::NORTHD,
    database::{NORTHBOUND, SOUTHBOUND},
};

/// What must not be missing, and the label that says so.
const LABELS: [(&str, &str); 3] = [
    (NORTHBOUND.name, "ovn-nb-leader"),
    (SOUTHBOUND.name, "ovn-sb-leader"),
    (NORTHD, "ovn-northd-leader"),
];

/// The client sets no limit of its own.
const LIMIT: Duration = Duration::from_secs(10);
/// How often the labels are written when nothing changes: someone may have removed them.
const REFRESH: Duration = Duration::from_secs(30);

/// Our pod.
#[derive(Debug)]
pub(crate) struct Labels {
    pods: Api<Pod>,
    pod: String,
}

// === impl Labels ===

impl Labels {
    pub(crate) fn new(client: Client, namespace: &str, pod: &str) -> Self {
        Self {
            pods: Api::namespaced(client, namespace),
            pod: pod.to_owned(),
        }
    }

    /// Keeps the labels as `missing` says, for ever.
    pub(crate) async fn follow(self, mut missing: watch::Receiver<Missing>) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let patch = patch(&missing.borrow_and_update());
            match self.write(&patch).await {
                Ok(()) => {
                    backoff.reset();
                    // when it passes without a change, all the better
                    drop(timeout(REFRESH, missing.changed()).await);
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "Pod is not labelled");
                    backoff.wait().await;
                }
            }
        }
    }

    async fn write(&self, patch: &Value) -> Result<()> {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = self.pods.patch_metadata(&self.pod, &params, &patch);
        timeout(LIMIT, patched)
            .await
            .context("the API server did not answer in time")?
            .with_context(|| format!("cannot label pod {}", self.pod))?;
        Ok(())
    }
}

/// The merge patch that gives the labels of what works, and takes the others.
pub(crate) fn patch(missing: &Missing) -> Value {
    let labels: Map<String, Value> = LABELS
        .iter()
        .map(|(name, label)| {
            let value = (!missing.contains_key(name)).then_some("true");
            ((*label).to_owned(), value.into())
        })
        .collect();
    json!({ "metadata": { "labels": labels } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_is_labelled_and_what_does_not_loses_its_label() {
        let missing = Missing::from([(NORTHD, "standby".to_owned())]);
        let labels = &patch(&missing)["metadata"]["labels"];
        assert_eq!(labels["ovn-nb-leader"], "true");
        assert_eq!(labels["ovn-sb-leader"], "true");
        assert_eq!(labels["ovn-northd-leader"], Value::Null);
    }
}
