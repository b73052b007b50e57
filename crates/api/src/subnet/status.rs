//! What a subnet says about itself.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// Counts are derived from the allocations. An IPv6 /64 has more addresses than an integer holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct SubnetStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// IPv4 addresses that are free.
    #[serde(default, rename = "v4availableIPs")]
    pub v4_available: f64,
    /// IPv4 addresses in use.
    #[serde(default, rename = "v4usingIPs")]
    pub v4_using: f64,
    /// IPv6 addresses that are free.
    #[serde(default, rename = "v6availableIPs")]
    pub v6_available: f64,
    /// IPv6 addresses in use.
    #[serde(default, rename = "v6usingIPs")]
    pub v6_using: f64,
    /// Not used since Kube-OVN 1.7.
    #[serde(
        default,
        rename = "activateGateway",
        skip_serializing_if = "String::is_empty"
    )]
    pub activate_gateway: String,
}
