//! `ProviderNetwork`: a physical network that nodes reach through a NIC.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{NodeCondition, rule};

/// A physical network, and the NIC of each node that leads to it.
///
/// Each node gets the bridge `br-<name>` with that NIC as a port, hence the limit of the name.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "kubeovn.io",
    version = "v1",
    kind = "ProviderNetwork",
    plural = "provider-networks",
    singular = "provider-network",
    doc = "A physical network, and the NIC of each node that leads to it.",
    status = "ProviderNetworkStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"DefaultInterface","type":"string","jsonPath":".spec.defaultInterface"}"#,
    printcolumn = r#"{"name":"Ready","type":"boolean","jsonPath":".status.ready"}"#,
    validation = rule::name_within(12, "it becomes part of the bridge name br-<name>")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["defaultInterface"]))]
pub struct ProviderNetworkSpec {
    /// NIC on every node that no entry of `customInterfaces` names.
    #[serde(default)]
    #[schemars(length(max = 15))]
    #[x_kube(validation = rule::interface("defaultInterface"))]
    pub default_interface: String,
    /// NICs of nodes that differ; the first entry that names a node counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub custom_interfaces: Vec<CustomInterface>,
    /// Nodes without this network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_nodes: Vec<String>,
}

/// The NIC of some nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[schemars(extend("required" = ["interface"]))]
pub struct CustomInterface {
    /// Name of the NIC.
    #[serde(default)]
    #[schemars(length(max = 15))]
    #[x_kube(validation = rule::interface("interface"))]
    pub interface: String,
    /// Names of the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderNetworkStatus {
    /// Whether every node that is not excluded is in `readyNodes`.
    #[serde(default)]
    pub ready: bool,
    /// Nodes whose bridge is in place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ready_nodes: Vec<String>,
    /// VLANs that name this network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub vlans: Vec<String>,
    /// What each node says, written by its daemon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["node".to_owned(), "type".to_owned()]))]
    pub conditions: Vec<NodeCondition>,
}
