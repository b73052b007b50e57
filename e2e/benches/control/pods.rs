//! The pods as a watch shows them: which there are, and when they were seen to have addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use kube::{
    Client,
    api::{WatchEvent, WatchParams},
    core::Request,
};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

const PODS: &str = "/api/v1/pods";

/// All pods, kept up to date by [`Pods::follow`].
pub(crate) struct Pods(watch::Sender<Seen>);

/// What was seen of them, by the names of their ports.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) present: BTreeSet<String>,
    /// When each that is present was first seen with an address.
    pub(crate) allocated: BTreeMap<String, Instant>,
}

/// As little of a pod as is needed, so that looking costs little.
#[derive(Debug, Clone, Deserialize)]
struct Pod {
    metadata: Metadata,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    resource_version: String,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Annotations {
    #[serde(rename = "ovn.kubernetes.io/allocated")]
    allocated: Option<String>,
}

// === impl Pods ===

impl Pods {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Seen::default()))
    }

    /// Goes on for ever.
    pub(crate) async fn follow(&self, client: Client) -> Result<()> {
        let mut version = "0".to_owned();
        loop {
            let request = Request::new(PODS).watch(&WatchParams::default(), &version)?;
            let events = client.request_events::<Pod>(request).await?;
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.try_next().await? {
                version = self.note(event)?;
            }
        }
    }

    /// Returns the version to go on from.
    fn note(&self, event: WatchEvent<Pod>) -> Result<String> {
        match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                self.0.send_modify(|seen| seen.note(&pod));
                Ok(pod.metadata.resource_version)
            }
            WatchEvent::Deleted(pod) => {
                self.0.send_modify(|seen| seen.forget(&pod.port()));
                Ok(pod.metadata.resource_version)
            }
            WatchEvent::Bookmark(bookmark) => Ok(bookmark.metadata.resource_version),
            WatchEvent::Error(status) => bail!("the watch of pods failed: {status:?}"),
        }
    }

    /// Waits until what was seen is so.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut find: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T> {
        let mut seen = self.0.subscribe();
        let mut found = None;
        let wait = seen.wait_for(|seen| {
            found = find(seen);
            found.is_some()
        });
        let waited = timeout(patience, wait).await;
        waited.with_context(|| format!("{what}: not after {patience:?}"))??;
        found.with_context(|| format!("{what}: nobody looks"))
    }

    /// When the pod of that port was seen to have an address.
    pub(crate) async fn allocated(&self, port: &str, patience: Duration) -> Result<Instant> {
        let find = |seen: &Seen| seen.allocated.get(port).copied();
        self.until(&format!("{port} is allocated"), patience, find)
            .await
    }

    /// What was seen until now.
    pub(crate) fn seen(&self) -> watch::Ref<'_, Seen> {
        self.0.borrow()
    }
}

// === impl Seen ===

impl Seen {
    fn note(&mut self, pod: &Pod) {
        let port = pod.port();
        if pod.metadata.annotations.allocated.is_some() {
            let allocated = self.allocated.entry(port.clone());
            allocated.or_insert_with(Instant::now);
        }
        self.present.insert(port);
    }

    fn forget(&mut self, port: &str) {
        self.present.remove(port);
        self.allocated.remove(port);
    }
}

// === impl Pod ===

impl Pod {
    fn port(&self) -> String {
        let Metadata {
            name, namespace, ..
        } = &self.metadata;
        format!("{name}.{namespace}")
    }
}
