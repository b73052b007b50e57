//! `VpcNatGateway`: the way of one VPC to the outside, with its rules inline.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{Condition, rule};

/// [`DnatRule::protocol`] when it is not given.
pub const DEFAULT_PROTOCOL: &str = "tcp";

/// A pod that translates the addresses of one VPC to external ones.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "kubeovn.io",
    version = "v1",
    kind = "VpcNatGateway",
    plural = "vpc-nat-gateways",
    singular = "vpc-nat-gateway",
    shortname = "vpc-nat-gw",
    doc = "A pod that translates the addresses of one VPC to external ones.",
    status = "VpcNatGatewayStatus",
    derive = "Default",
    derive = "PartialEq",
    validation = rule::set("vpc", "name the Vpc that this gateway serves"),
    validation = rule::set("subnet", "name a Subnet of that Vpc for the gateway's first interface")
)]
#[serde(rename_all = "camelCase")]
pub struct VpcNatGatewaySpec {
    /// Name of the VPC.
    #[serde(default)]
    pub vpc: String,
    /// Subnet of that VPC for the inner interface.
    #[serde(default)]
    pub subnet: String,
    /// Address of the inner interface, from that subnet.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::or_empty(rule::address("lanIp")))]
    pub lan_ip: String,
    /// External addresses of the gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub eips: Vec<Eip>,
    /// One-to-one mappings; they precede the other rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub floating_ip_rules: Vec<FloatingIpRule>,
    /// Ports forwarded to inner addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096))]
    pub dnat_rules: Vec<DnatRule>,
    /// Inner sources that leave with an external address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub snat_rules: Vec<SnatRule>,
}

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

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct VpcNatGatewayStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
}
