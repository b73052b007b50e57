//! The rules of a gateway, each an item of an inline list.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::rule;

/// [`DnatRule::protocol`] when it is not given.
pub const DEFAULT_PROTOCOL: &str = "tcp";

/// An external address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[schemars(extend("required" = ["eipCIDR", "gateway"]))]
#[x_kube(validation = rule::same_family("eipCIDR", "gateway"))]
pub struct Eip {
    /// The address with the prefix length of its network.
    #[serde(default, rename = "eipCIDR")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::cidr("eipCIDR"))]
    pub eip_cidr: String,
    /// The router of that network.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::address("gateway"))]
    pub gateway: String,
}

/// An external address that stands for an inner one, in both directions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["eip", "internalIp"]))]
#[x_kube(validation = rule::same_family("eip", "internalIp"))]
pub struct FloatingIpRule {
    /// An address of `eips`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::address("eip"))]
    pub eip: String,
    /// The inner address.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::address("internalIp"))]
    pub internal_ip: String,
}

/// A port of an external address, forwarded to a port of an inner one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["eip", "externalPort", "internalIp", "internalPort"]))]
#[x_kube(validation = rule::same_family("eip", "internalIp"))]
pub struct DnatRule {
    /// An address of `eips`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::address("eip"))]
    pub eip: String,
    /// 1 to 65535.
    #[serde(default)]
    #[schemars(length(max = 5))]
    #[x_kube(validation = rule::port("externalPort"))]
    pub external_port: String,
    /// `tcp`, `udp` or `sctp`, in lower or upper case.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8), extend("default" = DEFAULT_PROTOCOL))]
    #[x_kube(validation = rule::or_empty(rule::transport("protocol")))]
    pub protocol: String,
    /// The inner address.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::address("internalIp"))]
    pub internal_ip: String,
    /// 1 to 65535.
    #[serde(default)]
    #[schemars(length(max = 5))]
    #[x_kube(validation = rule::port("internalPort"))]
    pub internal_port: String,
}

/// Inner sources that leave with an external address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[schemars(extend("required" = ["eip", "internalCIDR"]))]
#[x_kube(validation = rule::same_family("eip", "internalCIDR"))]
pub struct SnatRule {
    /// An address of `eips`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::address("eip"))]
    pub eip: String,
    /// A CIDR or a single address.
    #[serde(default, rename = "internalCIDR")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::cidr_or_address("internalCIDR"))]
    pub internal_cidr: String,
}
