//! `Vpc`: an address space of its own, with one logical router.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{Condition, rule};

/// Name of the VPC that exists in every cluster.
pub const DEFAULT: &str = "ovn-cluster";

/// [`StaticRoute::policy`] of a route chosen by destination.
pub const POLICY_DST: &str = "policyDst";

/// [`StaticRoute::policy`] of a route chosen by source.
pub const POLICY_SRC: &str = "policySrc";

/// [`PolicyRoute::action`]: the packet is routed as usual.
pub const ALLOW: &str = "allow";

/// [`PolicyRoute::action`]: the packet is lost.
pub const DROP: &str = "drop";

/// [`PolicyRoute::action`]: the packet goes to `nextHopIP`.
pub const REROUTE: &str = "reroute";

/// An address space of its own, with one logical router.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "kubeovn.io",
    version = "v1",
    kind = "Vpc",
    shortname = "vpc",
    doc = "An address space of its own, with one logical router.",
    status = "VpcStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Standby","type":"boolean","jsonPath":".status.standby"}"#,
    printcolumn = r#"{"name":"Subnets","type":"string","jsonPath":".status.subnets"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct VpcSpec {
    /// Namespaces that may bind to subnets of this VPC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Routes of the logical router.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub static_routes: Vec<StaticRoute>,
    /// What happens to packets before they are routed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub policy_routes: Vec<PolicyRoute>,
    /// Other VPCs that the logical router is connected to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub vpc_peerings: Vec<VpcPeering>,
    /// Subnet for namespaces of this VPC that no subnet names. Where it is absent, the subnet with
    /// `default` is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rule::or_empty(rule::object_name("defaultSubnet")))]
    pub default_subnet: String,
}

/// One route of a VPC's logical router.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["cidr", "nextHopIP"]))]
#[x_kube(validation = rule::same_family("cidr", "nextHopIP"))]
pub struct StaticRoute {
    /// Whether `cidr` is compared with the destination (`policyDst`) or the source (`policySrc`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["", POLICY_DST, POLICY_SRC], "default" = POLICY_DST))]
    pub policy: String,
    /// A CIDR or a single address.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::cidr_or_address("cidr"))]
    pub cidr: String,
    /// Address of the next router.
    #[serde(default, rename = "nextHopIP")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rule::address("nextHopIP"))]
    pub next_hop_ip: String,
}

/// What happens to packets that match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["match", "action"]))]
#[x_kube(validation = rule::next_hop_of_reroute())]
pub struct PolicyRoute {
    /// The greatest that matches counts.
    #[serde(default)]
    #[schemars(range(min = 0, max = 32767))]
    pub priority: i64,
    /// Which packets, as an expression of OVN such as `ip4.src == 10.0.1.0/24`.
    #[serde(default, rename = "match")]
    #[schemars(length(min = 1, max = 4096))]
    pub matches: String,
    /// `allow`, `drop` or `reroute`.
    #[serde(default)]
    #[schemars(extend("enum" = [ALLOW, DROP, REROUTE]))]
    pub action: String,
    /// Next routers of `reroute`, one or several of one family, separated by commas.
    #[serde(
        default,
        rename = "nextHopIP",
        skip_serializing_if = "String::is_empty"
    )]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rule::or_empty(rule::next_hops("nextHopIP")))]
    pub next_hop_ip: String,
}

/// A link to the logical router of another VPC, which has to name this one, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["remoteVpc", "localConnectIP"]))]
pub struct VpcPeering {
    /// Name of the other VPC.
    #[serde(default)]
    #[schemars(length(min = 1, max = 253))]
    pub remote_vpc: String,
    /// This VPC's address on the link with its prefix length, such as `169.254.0.1/30`, or two of
    /// both families separated by a comma.
    #[serde(default, rename = "localConnectIP")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rule::cidr_pair("localConnectIP"))]
    pub local_connect_ip: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpcStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// Whether the logical router exists, so that subnets can be connected.
    #[serde(default)]
    pub standby: bool,
    /// Whether this is the VPC that exists in every cluster.
    #[serde(default)]
    pub default: bool,
    /// Name of the subnet for namespaces that no subnet names.
    #[serde(default)]
    pub default_logical_switch: String,
    /// Name of the logical router.
    #[serde(default)]
    pub router: String,
    /// Name of the load balancer for TCP.
    #[serde(default)]
    pub tcp_load_balancer: String,
    /// Name of the load balancer for UDP.
    #[serde(default)]
    pub udp_load_balancer: String,
    /// Name of the load balancer for TCP with session affinity.
    #[serde(default)]
    pub tcp_session_load_balancer: String,
    /// Name of the load balancer for UDP with session affinity.
    #[serde(default)]
    pub udp_session_load_balancer: String,
    /// Names of the subnets in this VPC.
    #[serde(default)]
    pub subnets: Vec<String>,
}
