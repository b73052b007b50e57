//! The pods of the central part at the API server: what we say of ourselves, what others say.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::Duration,
};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kit::backoff::Backoff;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Map, Value, json};
use tokio::{sync::watch, time::timeout};

use crate::claims::{self, Claim, LABELS, Peer};

/// The client sets no limit of its own.
const LIMIT: Duration = Duration::from_secs(10);
/// How often it is said again when nothing changes: someone may have removed it.
const REFRESH: Duration = Duration::from_secs(30);
/// What all pods of the central part carry.
const SELECTOR: &str = "app=ovn-central";

/// Our pod and its like.
#[derive(Debug)]
pub(crate) struct Pods {
    pods: Api<Pod>,
    pod: String,
}

/// What we say of ourselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) claims: BTreeMap<&'static str, Claim>,
    pub(crate) leads: BTreeSet<&'static str>,
}

// === impl Pods ===

impl Pods {
    pub(crate) fn new(client: Client, namespace: &str, pod: &str) -> Self {
        Self {
            pods: Api::namespaced(client, namespace),
            pod: pod.to_owned(),
        }
    }

    /// The other pods, but those that have ended.
    ///
    /// # Errors
    /// The API server does not answer.
    pub(crate) async fn peers(&self) -> Result<Vec<Peer>> {
        let parameters = ListParams::default().labels(SELECTOR);
        let listed = timeout(LIMIT, self.pods.list(&parameters))
            .await
            .context("the API server did not answer in time")?
            .context("cannot list the pods of ovn-central")?;
        let others = listed.items.into_iter().filter(|pod| !has_ended(pod));
        let others = others.map(Peer::read);
        Ok(others.filter(|peer| peer.name != self.pod).collect())
    }

    /// Says what `word` holds, and says it again when it changes, for ever.
    pub(crate) async fn follow(&self, mut word: watch::Receiver<Word>) -> Infallible {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let now = word.borrow_and_update().clone();
            match self.say(&now).await {
                Ok(()) => {
                    backoff.reset();
                    // when it passes without a change, all the better
                    drop(timeout(REFRESH, word.changed()).await);
                }
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "Pod does not say what it leads"
                    );
                    backoff.wait().await;
                }
            }
        }
    }

    /// Says it once.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub(crate) async fn say(&self, word: &Word) -> Result<()> {
        let (params, patch) = (PatchParams::default(), word.patch());
        let patch = Patch::Merge(&patch);
        let patched = self.pods.patch_metadata(&self.pod, &params, &patch);
        timeout(LIMIT, patched)
            .await
            .context("the API server did not answer in time")?
            .with_context(|| format!("cannot label pod {}", self.pod))?;
        Ok(())
    }
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

// === impl Word ===

impl Word {
    /// The merge patch that gives the labels of what is led, takes the others, and states claims.
    fn patch(&self) -> Value {
        let labels: Map<String, Value> = LABELS
            .iter()
            .map(|(name, label)| {
                let value = self.leads.contains(name).then_some("true");
                ((*label).to_owned(), value.into())
            })
            .collect();
        let claims = self.claims.iter();
        let annotations: Map<String, Value> = claims
            .map(|(database, claim)| (claims::key(database), json!(claim).to_string().into()))
            .collect();
        json!({ "metadata": { "labels": labels, "annotations": annotations } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{central::NORTHD, database::NORTHBOUND};

    #[test]
    fn what_leads_is_labelled_and_what_does_not_loses_its_label() {
        let word = Word {
            leads: [NORTHBOUND.name].into(),
            ..Word::default()
        };
        let labels = &word.patch()["metadata"]["labels"];
        assert_eq!(labels["ovn-nb-leader"], "true");
        assert_eq!(labels["ovn-sb-leader"], Value::Null);
        assert_eq!(labels["ovn-northd-leader"], Value::Null);
        let word = Word {
            leads: [NORTHD].into(),
            claims: [("nb", Claim::Nothing { generation: 3 })].into(),
        };
        let metadata = &word.patch()["metadata"];
        assert_eq!(metadata["labels"]["ovn-northd-leader"], "true");
        let claim = &metadata["annotations"]["ovn.kubernetes.io/nb-member"];
        assert_eq!(claim, r#"{"generation":3,"state":"nothing"}"#);
    }
}
