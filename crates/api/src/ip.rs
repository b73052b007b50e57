//! `IP`: the record of an allocated address.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The addresses of one port, recorded before they are used.
///
/// The object has the name of its logical switch port: `<pod>.<namespace>` for the primary
/// network, `<pod>.<namespace>.<provider>` for a further one, `node-<node>` for a node.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "kubeovn.io",
    version = "v1",
    kind = "IP",
    root = "Ip",
    plural = "ips",
    singular = "ip",
    shortname = "ip",
    doc = "The addresses of one port of a pod or node, recorded before they are used.",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"V4IP","type":"string","jsonPath":".spec.v4IpAddress"}"#,
    printcolumn = r#"{"name":"V6IP","type":"string","jsonPath":".spec.v6IpAddress"}"#,
    printcolumn = r#"{"name":"Mac","type":"string","jsonPath":".spec.macAddress"}"#,
    printcolumn = r#"{"name":"Node","type":"string","jsonPath":".spec.nodeName"}"#,
    printcolumn = r#"{"name":"Subnet","type":"string","jsonPath":".spec.subnet"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct IpSpec {
    /// Name of the pod, or of the node.
    #[serde(default)]
    pub pod_name: String,
    /// Namespace of the pod, empty for a node.
    #[serde(default)]
    pub namespace: String,
    /// Name of the subnet that the addresses are from.
    #[serde(default)]
    pub subnet: String,
    /// Written by Kube-OVN; kept, not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attach_subnets: Vec<String>,
    /// Node that the pod runs on.
    #[serde(default)]
    pub node_name: String,
    /// `<v4>`, `<v6>` or `<v4>,<v6>`.
    #[serde(default)]
    pub ip_address: String,
    /// The IPv4 address, if any.
    #[serde(default)]
    pub v4_ip_address: String,
    /// The IPv6 address, if any.
    #[serde(default)]
    pub v6_ip_address: String,
    /// Written by Kube-OVN; kept, not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attach_ips: Vec<String>,
    /// Six octets with colons.
    #[serde(default)]
    pub mac_address: String,
    /// Written by Kube-OVN; kept, not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attach_macs: Vec<String>,
    /// The pod's sandbox.
    #[serde(default, rename = "containerID")]
    pub container_id: String,
    /// `StatefulSet` where the addresses outlive the pod, for the next one of its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod_type: String,
}
