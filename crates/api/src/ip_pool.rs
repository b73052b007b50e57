//! `IPPool`: addresses of a subnet for chosen pods.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{Condition, rule};

/// Addresses of a subnet that only pods of some namespaces get, and those that name the pool in the
/// annotation `ovn.kubernetes.io/ip_pool`.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "kubeovn.io",
    version = "v1",
    kind = "IPPool",
    root = "IpPool",
    plural = "ippools",
    singular = "ippool",
    shortname = "ippool",
    doc = "Addresses of a subnet that only pods of some namespaces get, and those that name the pool.",
    status = "IpPoolStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Subnet","type":"string","jsonPath":".spec.subnet"}"#,
    printcolumn = r#"{"name":"enableAddressSet","type":"boolean","jsonPath":".spec.enableAddressSet"}"#,
    printcolumn = r#"{"name":"IPs","type":"string","jsonPath":".spec.ips"}"#,
    printcolumn = r#"{"name":"V4Used","type":"number","jsonPath":".status.v4UsingIPs"}"#,
    printcolumn = r#"{"name":"V4Available","type":"number","jsonPath":".status.v4AvailableIPs"}"#,
    printcolumn = r#"{"name":"V6Used","type":"number","jsonPath":".status.v6UsingIPs"}"#,
    printcolumn = r#"{"name":"V6Available","type":"number","jsonPath":".status.v6AvailableIPs"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["ips", "subnet"]))]
pub struct IpPoolSpec {
    /// Name of the subnet that the addresses are of.
    #[serde(default)]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rule::object_name("subnet"))]
    pub subnet: String,
    /// Namespaces whose pods on the subnet get their addresses from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Addresses, ranges `<first>..<last>` and CIDRs.
    #[serde(default)]
    #[schemars(
        length(max = 1024),
        inner(length(max = 80)),
        transform = rule::each(rule::addresses("ips"))
    )]
    pub ips: Vec<String>,
    /// Accepted, without effect: there is no address set of the pool.
    #[serde(default)]
    pub enable_address_set: bool,
}

/// Counts are derived from the allocations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct IpPoolStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// IPv4 addresses that are free.
    #[serde(default, rename = "v4AvailableIPs")]
    pub v4_available: f64,
    /// The same as ranges, separated by commas.
    #[serde(default, rename = "v4AvailableIPRange")]
    pub v4_available_range: String,
    /// IPv4 addresses in use.
    #[serde(default, rename = "v4UsingIPs")]
    pub v4_using: f64,
    /// The same as ranges, separated by commas.
    #[serde(default, rename = "v4UsingIPRange")]
    pub v4_using_range: String,
    /// IPv6 addresses that are free.
    #[serde(default, rename = "v6AvailableIPs")]
    pub v6_available: f64,
    /// The same as ranges, separated by commas.
    #[serde(default, rename = "v6AvailableIPRange")]
    pub v6_available_range: String,
    /// IPv6 addresses in use.
    #[serde(default, rename = "v6UsingIPs")]
    pub v6_using: f64,
    /// The same as ranges, separated by commas.
    #[serde(default, rename = "v6UsingIPRange")]
    pub v6_using_range: String,
}
