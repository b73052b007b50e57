//! Annotations and labels, as Kube-OVN 1.7 names them.
//!
//! The constants of [`key`] are the last part of `<provider>.kubernetes.io/<key>`:
//! `model::Provider::annotation` puts them together for each network of a pod. A node has only the
//! primary network, `ovn`.

/// Keys that exist once for each network of a pod, and on nodes.
pub mod key {
    /// Name of the subnet. A user writes it to choose one, the controller writes the choice.
    pub const LOGICAL_SWITCH: &str = "logical_switch";
    /// `<v4>`, `<v6>` or `<v4>,<v6>`: the request of a user, then what was allocated.
    pub const IP_ADDRESS: &str = "ip_address";
    /// Six octets with colons: the request of a user, then what was allocated.
    pub const MAC_ADDRESS: &str = "mac_address";
    /// Addresses that a user allows the pods of a workload, separated by commas.
    pub const IP_POOL: &str = "ip_pool";
    /// Bandwidth towards the pod or the node, in Mbit/s; what a node gets here is what pods send
    /// through it.
    pub const INGRESS_RATE: &str = "ingress_rate";
    /// Bandwidth of what the pod or the node sends, in Mbit/s; what a node sends here is what comes
    /// through it to pods.
    pub const EGRESS_RATE: &str = "egress_rate";
    /// [`TRUE`](super::TRUE) when the port may use no addresses but its own.
    pub const PORT_SECURITY: &str = "port_security";
    /// Names of VIPs, separated by commas, whose addresses the port may use beside its own.
    pub const AAPS: &str = "aaps";
    /// The same by the addresses of the VIPs.
    pub const PORT_VIPS: &str = "port_vips";
    /// Where the traffic of a pod that leaves the VPC is sent instead of to gateway nodes: another
    /// pod, `<v4>`, `<v6>` or `<v4>,<v6>`.
    pub const NORTH_GATEWAY: &str = "north_gateway";
    /// CIDRs of the subnet, `<v4>,<v6>` when it has both.
    pub const CIDR: &str = "cidr";
    /// Gateways of the subnet, `<v4>,<v6>` when it has both.
    pub const GATEWAY: &str = "gateway";
    /// [`TRUE`](super::TRUE) when the addresses are recorded; CNI ADD waits for it.
    pub const ALLOCATED: &str = "allocated";
    /// [`TRUE`](super::TRUE) when nothing is left to do for the routes of the port: they follow from
    /// its record. Written again where it was removed.
    pub const ROUTED: &str = "routed";
    /// [`GENEVE`](super::GENEVE) (also with VXLAN tunnels) or [`VLAN`](super::VLAN).
    pub const NETWORK_TYPE: &str = "network_type";
    /// Addresses and ranges of the subnet that pods do not get, separated by commas; on namespaces.
    pub const EXCLUDE_IPS: &str = "exclude_ips";
    /// How the pod is attached, `veth-pair` or `internal-port`.
    pub const POD_NIC_TYPE: &str = "pod_nic_type";
    /// Name of the logical switch port of a node, on nodes only.
    pub const PORT_NAME: &str = "port_name";
    /// The OVS `system-id` of a node, on nodes only, written by the daemon.
    pub const CHASSIS: &str = "chassis";
}

/// On an `IP` object: UID of the pod or node that claims the address. An object of an earlier pod
/// of the same name is told from our own by it. On a pod: its own UID, if we gave it its addresses;
/// one that Kube-OVN gave some has none, nor does its interface carry the UID.
pub const CLAIMANT_UID: &str = "ovn.kubernetes.io/claimant-uid";

/// On a `Subnet`: the MAC of the router's port in it, where Kube-OVN had chosen one before us.
pub const ROUTER_MAC: &str = "ovn.kubernetes.io/router-port-mac";

/// On a `Subnet`: the network that it was accepted with, `<vpc> <cidrs> <gateways> <provider> <uid>`.
/// Of two subnets that want the same addresses, the one that has them keeps them, and one that is
/// edited into something that cannot be keeps what it has.
pub const ACCEPTED: &str = "ovn.kubernetes.io/accepted-network";

/// On the join `Subnet`: the addresses to which traffic of centralized subnets is sent, by the nodes
/// that share it: `<nodes> <slot> <slot> ...; <nodes> ...`. Changed only when sets of nodes come or
/// go.
pub const GATEWAY_SLOTS: &str = "ovn.kubernetes.io/gateway-slots";

/// On a `Node`, written by its daemon: what is wrong on the node with the redirection of subnets, as
/// JSON: by the name of the subnet, a list of [`RedirectFault`](crate::subnet::RedirectFault).
pub const REDIRECT_FAULTS: &str = "ovn.kubernetes.io/redirect-faults";

/// Label of an `IP` object: name of its subnet. A second label has that name as its key and an
/// empty value, so a subnet's addresses are counted by the presence of a label.
pub const SUBNET_LABEL: &str = "ovn.kubernetes.io/subnet";

/// Keeps a `Subnet` until its addresses are given back.
pub const FINALIZER: &str = "kube-ovn-controller";

/// The same as later releases of Kube-OVN write it, and what keeps a `Vpc` until it has no subnet.
pub const LATER_FINALIZER: &str = "kubeovn.io/kube-ovn-controller";

/// The value of a flag that is set.
pub const TRUE: &str = "true";

/// [`key::NETWORK_TYPE`] of an overlay port.
pub const GENEVE: &str = "geneve";

/// [`key::NETWORK_TYPE`] of an underlay port.
pub const VLAN: &str = "vlan";
