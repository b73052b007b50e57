//! The node's annotation with its name in OVN.

use std::time::Duration;

use api::annotation::key::CHASSIS;
use k8s_openapi::api::core::v1;
use kube::Api;
use kube::api::{Patch, PatchParams};
use model::{NodeName, Provider};
use serde_json::json;
use tokio::time::timeout;

use crate::host::Host;
use crate::metrics::Domain;
use crate::object::Node;
use crate::ovs;

/// The client sets no limit of its own.
const LIMIT: Duration = Duration::from_secs(10);

/// Writes the annotation.
#[derive(Debug)]
pub(crate) struct Chassis {
    api: Api<v1::Node>,
    node: NodeName,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Ovs(#[from] ovs::Error),
    #[error("cannot annotate node {node}")]
    Patch {
        node: NodeName,
        source: Box<kube::Error>,
    },
    #[error("cannot annotate node {node}: the API server did not answer in time")]
    Timeout { node: NodeName },
}

// === impl Chassis ===

impl Chassis {
    pub(crate) const fn new(api: Api<v1::Node>, node: NodeName) -> Self {
        Self { api, node }
    }

    /// Writes the chassis name of Open vSwitch unless `node` has it.
    pub(crate) async fn annotate(&self, host: &Host, node: &Node) -> Result<usize, Error> {
        let system_id = host.ovs.system_id()?;
        if node.annotations.get(&annotation()) == Some(&system_id) {
            return Ok(0);
        }
        let written = self.write(&system_id).await;
        host.metrics.apply(Domain::Chassis, written.map(|()| 1))
    }

    async fn write(&self, system_id: &str) -> Result<(), Error> {
        let annotations = json!({ annotation(): system_id });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        let params = PatchParams::default();
        let patched = self.api.patch_metadata(self.node.as_str(), &params, &patch);
        let node = || self.node.clone();
        let answer = timeout(LIMIT, patched)
            .await
            .map_err(|_elapsed| Error::Timeout { node: node() })?;
        answer.map(drop).map_err(|error| Error::Patch {
            node: node(),
            source: Box::new(error),
        })
    }
}

fn annotation() -> String {
    Provider::Ovn.annotation(CHASSIS)
}
