//! What the daemon writes into annotations of its node: the node's name in OVN, and what is wrong
//! here with the redirection of subnets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::annotation::REDIRECT_FAULTS;
use api::annotation::key::CHASSIS;
use api::subnet::{GATEWAY_FIELD, PRIORITY_FIELD, RedirectFault, TABLE_FIELD};
use daemon_plan::redirect::{Fault, Field};
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

/// Writes annotations of this node.
#[derive(Debug)]
pub(crate) struct Annotator {
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

// === impl Annotator ===

impl Annotator {
    pub(crate) const fn new(api: Api<v1::Node>, node: NodeName) -> Self {
        Self { api, node }
    }

    /// Writes the chassis name of Open vSwitch unless `node` has it.
    pub(crate) async fn chassis(&self, host: &Host, node: &Node) -> Result<usize, Error> {
        let system_id = host.ovs.system_id()?;
        let key = Provider::Ovn.annotation(CHASSIS);
        self.annotate(host, node, &key, Some(&system_id)).await
    }

    /// Writes what is wrong with the redirection of subnets, or that nothing is.
    pub(crate) async fn redirect_faults(
        &self,
        host: &Host,
        node: &Node,
        faults: &BTreeSet<Fault>,
    ) -> Result<usize, Error> {
        let text = text(faults);
        self.annotate(host, node, REDIRECT_FAULTS, text.as_deref())
            .await
    }

    /// Gives the annotation that value, or removes it, unless `node` shows it so.
    async fn annotate(
        &self,
        host: &Host,
        node: &Node,
        key: &str,
        value: Option<&str>,
    ) -> Result<usize, Error> {
        if node.annotations.get(key).map(String::as_str) == value {
            return Ok(0);
        }
        let written = self.write(key, value).await;
        host.metrics.apply(Domain::Annotation, written.map(|()| 1))
    }

    async fn write(&self, key: &str, value: Option<&str>) -> Result<(), Error> {
        let annotations = json!({ key: value });
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

/// `None` where nothing is wrong.
fn text(faults: &BTreeSet<Fault>) -> Option<String> {
    let mut by_subnet: BTreeMap<&str, Vec<RedirectFault>> = BTreeMap::new();
    for fault in faults {
        let field = match fault.field {
            Field::Gateway => GATEWAY_FIELD,
            Field::Priority => PRIORITY_FIELD,
            Field::Table => TABLE_FIELD,
        };
        let told = RedirectFault::new(field, &fault.value, fault.cause.as_str());
        by_subnet.entry(&fault.subnet).or_default().push(told);
    }
    (!by_subnet.is_empty()).then(|| json!(by_subnet).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_by_subnet_and_none_are_no_text() {
        assert_eq!(text(&BTreeSet::new()), None);
        let fault = |value: &str| Fault {
            subnet: "s".to_owned(),
            field: Field::Gateway,
            value: value.to_owned(),
            cause: "why".to_owned(),
        };
        let text = text(&[fault("a"), fault("b")].into()).unwrap();
        let read: BTreeMap<String, Vec<RedirectFault>> = serde_json::from_str(&text).unwrap();
        assert_eq!(read["s"].len(), 2);
        assert_eq!(read["s"][0].field, "spec.externalEgressGateway");
    }
}
