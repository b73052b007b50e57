//! `VpcNatGateway`: the way of one VPC to the outside, with its rules inline.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{Condition, rule};

mod rules;

pub use rules::{DEFAULT_PROTOCOL, DnatRule, Eip, FloatingIpRule, SnatRule};

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

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct VpcNatGatewayStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
}
