//! `Vlan`: one VLAN of a provider network.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::Condition;

/// One VLAN of a provider network. Subnets name it to become underlay subnets.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "kubeovn.io",
    version = "v1",
    kind = "Vlan",
    shortname = "vlan",
    doc = "One VLAN of a provider network; subnets name it to become underlay subnets.",
    status = "VlanStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"ID","type":"string","jsonPath":".spec.id"}"#,
    printcolumn = r#"{"name":"Provider","type":"string","jsonPath":".spec.provider"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["provider"]))]
pub struct VlanSpec {
    /// VLAN id of the frames; 0 means untagged.
    #[serde(default)]
    #[schemars(range(min = 0, max = 4095))]
    pub id: i64,
    /// Name of the provider network; empty means the cluster's default one.
    #[serde(default)]
    pub provider: String,
    /// Deprecated form of `id`, moved there by the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_id: Option<i64>,
    /// Deprecated form of `provider`, moved there by the controller.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider_interface_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct VlanStatus {
    /// Subnets that name this VLAN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub subnets: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
}
