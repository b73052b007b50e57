//! `Subnet`: one logical switch and its addresses.

#![expect(clippy::struct_excessive_bools, reason = "the fields are Kube-OVN's")]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{LabelSelector, rule, vpc};

mod redirect;
mod status;

pub use redirect::{GATEWAY_FIELD, PRIORITY_FIELD, Redirect, RedirectFault, TABLE_FIELD};
pub use status::SubnetStatus;

/// [`SubnetSpec::provider`] of a subnet that is an OVN network.
pub const OVN: &str = "ovn";

/// [`SubnetSpec::gateway_type`]: traffic leaves on the node of each pod.
pub const DISTRIBUTED: &str = "distributed";

/// [`SubnetSpec::gateway_type`]: traffic leaves through the nodes of `gatewayNode`.
pub const CENTRALIZED: &str = "centralized";

/// One logical switch and the addresses on it.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "kubeovn.io",
    version = "v1",
    kind = "Subnet",
    shortname = "subnet",
    doc = "One logical switch and the addresses on it.",
    status = "SubnetStatus",
    derive = "Default",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Provider","type":"string","jsonPath":".spec.provider"}"#,
    printcolumn = r#"{"name":"Vpc","type":"string","jsonPath":".spec.vpc"}"#,
    printcolumn = r#"{"name":"Protocol","type":"string","jsonPath":".spec.protocol"}"#,
    printcolumn = r#"{"name":"CIDR","type":"string","jsonPath":".spec.cidrBlock"}"#,
    printcolumn = r#"{"name":"Private","type":"boolean","jsonPath":".spec.private"}"#,
    printcolumn = r#"{"name":"NAT","type":"boolean","jsonPath":".spec.natOutgoing"}"#,
    printcolumn = r#"{"name":"ExternalEgressGateway","type":"string","jsonPath":".spec.externalEgressGateway"}"#,
    printcolumn = r#"{"name":"PolicyRoutingPriority","type":"integer","jsonPath":".spec.policyRoutingPriority"}"#,
    printcolumn = r#"{"name":"PolicyRoutingTableID","type":"integer","jsonPath":".spec.policyRoutingTableID"}"#,
    printcolumn = r#"{"name":"Default","type":"boolean","jsonPath":".spec.default"}"#,
    printcolumn = r#"{"name":"GatewayType","type":"string","jsonPath":".spec.gatewayType"}"#,
    printcolumn = r#"{"name":"V4Used","type":"number","jsonPath":".status.v4usingIPs"}"#,
    printcolumn = r#"{"name":"V4Available","type":"number","jsonPath":".status.v4availableIPs"}"#,
    printcolumn = r#"{"name":"V6Used","type":"number","jsonPath":".status.v6usingIPs"}"#,
    printcolumn = r#"{"name":"V6Available","type":"number","jsonPath":".status.v6availableIPs"}"#,
    validation = rule::name_within(63, "it becomes the key of a label"),
    validation = rule::set("cidrBlock", "give an IPv4 CIDR, an IPv6 CIDR, or both as v4,v6")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rule::gateway_inside_cidr(),
    validation = rule::egress_gateway_without_nat(),
    validation = rule::egress_gateway_with_table(),
    validation = rule::egress_gateway_family(),
    validation = rule::one_gateway(),
    validation = rule::mtu_of_ipv6()
)]
pub struct SubnetSpec {
    /// Whether namespaces of the VPC that no subnet names use this one.
    #[serde(default)]
    pub default: bool,
    /// Name of the VPC.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253), extend("default" = vpc::DEFAULT))]
    #[x_kube(validation = rule::or_empty(rule::object_name("vpc")))]
    pub vpc: String,
    /// Address families, written by the controller from `cidrBlock`.
    #[serde(default)]
    #[schemars(extend("enum" = ["", "IPv4", "IPv6", "Dual"]))]
    pub protocol: String,
    /// Namespaces whose pods are on this subnet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Namespaces that no subnet names are on this one when one of these selects them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespace_selectors: Vec<LabelSelector>,
    /// `<v4>`, `<v6>` or `<v4>,<v6>`, each a CIDR.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(
        validation = rule::or_empty(rule::cidr_pair("cidrBlock")),
        validation = rule::not_reserved("cidrBlock")
    )]
    pub cidr_block: String,
    /// Gateway of the pods; the first host of each CIDR when empty.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rule::or_empty(rule::address_pair("gateway")))]
    pub gateway: String,
    /// Addresses and ranges `<first>..<last>` that pods do not get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 2048),
        inner(length(max = 80)),
        transform = rule::each(rule::range("excludeIps"))
    )]
    pub exclude_ips: Vec<String>,
    /// `ovn`, or `<attachment>.<namespace>` to serve addresses to another CNI plugin.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("default" = OVN))]
    pub provider: String,
    /// Where traffic leaves the overlay: on each pod's node, or through the nodes of `gatewayNode`.
    #[serde(default)]
    #[schemars(extend("enum" = ["", DISTRIBUTED, CENTRALIZED], "default" = DISTRIBUTED))]
    pub gateway_type: String,
    /// Names of the gateway nodes, separated by commas.
    #[serde(default)]
    pub gateway_node: String,
    /// Further gateway nodes: those that one of these selects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway_node_selectors: Vec<LabelSelector>,
    /// Whether all gateway nodes carry traffic at once. They do when it is absent, as in Kube-OVN
    /// 1.7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_ecmp: Option<bool>,
    /// Whether traffic that leaves the overlay has the address of its gateway node.
    #[serde(default)]
    pub nat_outgoing: bool,
    /// Router outside the cluster that traffic is sent to, `<v4>`, `<v6>` or `<v4>,<v6>`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(
        validation = rule::or_empty(rule::address_pair("externalEgressGateway")),
        validation = rule::routers("externalEgressGateway")
    )]
    pub external_egress_gateway: String,
    /// Priority of the `ip rule` for `externalEgressGateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32765))]
    pub policy_routing_priority: Option<i64>,
    /// Routing table for `externalEgressGateway`; 252 to 255 are the kernel's.
    #[serde(
        default,
        rename = "policyRoutingTableID",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    #[x_kube(validation = rule::free_table("policyRoutingTableID"))]
    pub policy_routing_table_id: Option<i64>,
    /// Whether the pods of this subnet talk to each other alone: others can neither open
    /// connections to them nor they to others, but for nodes, which can to them, and for the networks
    /// of `allowSubnets`.
    #[serde(default)]
    pub private: bool,
    /// CIDRs that a private subnet talks to in both directions, such as that of the cluster's DNS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 2048),
        inner(length(max = 64)),
        transform = rule::each(rule::cidr("allowSubnets"))
    )]
    pub allow_subnets: Vec<String>,
    /// Name of the `Vlan` that makes this an underlay subnet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vlan: String,
    /// Whether the gateway is the physical network's, so that no logical router is connected.
    #[serde(default)]
    pub underlay_gateway: bool,
    /// The opposite of `underlayGateway`, as Kube-OVN 1.9 and later have it: whether the logical
    /// router is the gateway of an underlay subnet. Where it is absent, `underlayGateway` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_gateway: Option<bool>,
    /// Accepted, without effect: no pod waits for an answer of its gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_gateway_check: Option<bool>,
    /// Largest packet of the pods, in bytes; what fits through the tunnels when it is absent. It
    /// counts for pods that start from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 68, max = 65535))]
    pub mtu: Option<u32>,
    /// Accepted, without effect: there is no OVN interconnection.
    #[serde(default)]
    pub disable_inter_connection: bool,
}

// === impl SubnetSpec ===

impl SubnetSpec {
    /// Whether the gateway is the physical network's. Kube-OVN 1.7 asks for that, later releases
    /// for the opposite; theirs counts for underlay subnets alone.
    pub fn has_physical_gateway(&self) -> bool {
        let is_logical = self.logical_gateway.unwrap_or(true);
        self.underlay_gateway || (!is_logical && !self.vlan.is_empty())
    }

    /// The nodes that `gatewayNode` names.
    pub fn gateway_nodes(&self) -> impl Iterator<Item = &str> {
        let names = self.gateway_node.split(',').map(str::trim);
        names.filter(|name| !name.is_empty())
    }
}
