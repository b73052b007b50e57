//! `Vip`: an address that is reserved for no pod in particular.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{Condition, rule};

/// An address of a subnet that no pod gets, for whoever moves it between hosts.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "kubeovn.io",
    version = "v1",
    kind = "Vip",
    shortname = "vip",
    doc = "An address of a subnet that no pod gets, for whoever moves it between hosts.",
    status = "VipStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".spec.namespace"}"#,
    printcolumn = r#"{"name":"V4IP","type":"string","jsonPath":".status.v4ip"}"#,
    printcolumn = r#"{"name":"V6IP","type":"string","jsonPath":".status.v6ip"}"#,
    printcolumn = r#"{"name":"Mac","type":"string","jsonPath":".status.mac"}"#,
    printcolumn = r#"{"name":"Subnet","type":"string","jsonPath":".spec.subnet"}"#,
    printcolumn = r#"{"name":"Type","type":"string","jsonPath":".status.type"}"#,
    validation = rule::name_within(240, "the name of its IP object begins with vip-"),
    validation = rule::set("subnet", "name the subnet that the address is to be of")
)]
#[serde(rename_all = "camelCase")]
pub struct VipSpec {
    /// Namespace of the pods that may use the address, if they name the VIP.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name of the subnet that the address is of.
    #[serde(default)]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rule::or_empty(rule::object_name("subnet")))]
    pub subnet: String,
    /// What the address is for; kept, not used.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub type_: String,
    /// The IPv4 address; any free one when empty.
    #[serde(default, rename = "v4ip", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::or_empty(rule::address("v4ip")))]
    pub v4_ip: String,
    /// The IPv6 address; any free one when empty.
    #[serde(default, rename = "v6ip", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::or_empty(rule::address("v6ip")))]
    pub v6_ip: String,
    /// The MAC address; one that nobody has when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::or_empty(rule::mac("macAddress")))]
    pub mac_address: String,
    /// Kept, not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selector: Vec<String>,
    /// Kept, not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attach_subnets: Vec<String>,
}

/// What was reserved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct VipStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// `spec.type`, when the address was reserved.
    #[serde(default, rename = "type")]
    pub type_: String,
    /// The IPv4 address, if any.
    #[serde(default, rename = "v4ip")]
    pub v4_ip: String,
    /// The IPv6 address, if any.
    #[serde(default, rename = "v6ip")]
    pub v6_ip: String,
    /// Six octets with colons.
    #[serde(default)]
    pub mac: String,
    /// `spec.selector`, when the address was reserved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selector: Vec<String>,
}
