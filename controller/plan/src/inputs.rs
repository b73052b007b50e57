//! What the planner may see: intent after parsing, and recorded choices.

mod vpc;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use model::{
    Cidr, CidrPair, DualStack, GatewaySet, MacAddr, NodeName, Owner, PortKey, Rate, ServiceKey,
    SubnetName, VipName, VpcName,
};

pub use vpc::{Action, Policy, Route, SourceLevels, Vpc, peering_port};

/// An immutable view of everything that is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    pub settings: Settings,
    pub vpcs: BTreeMap<VpcName, Vpc>,
    pub subnets: BTreeMap<SubnetName, Subnet>,
    pub nodes: BTreeMap<NodeName, Node>,
    pub ports: BTreeMap<PortKey, Port>,
    pub services: BTreeMap<ServiceKey, Service>,
    /// The sets of gateway nodes that subnets have, with their recorded slots: none until they are.
    pub gateways: BTreeMap<GatewaySet, Vec<Slot>>,
    pub reserved: BTreeMap<VipName, Reserved>,
    /// The MACs of the ports that connect subnets to routers, where they are recorded: those that
    /// Kube-OVN chose.
    pub router_macs: BTreeMap<SubnetName, MacAddr>,
    /// The gateways that running pods were given before their subnet got another one.
    pub former_gateways: BTreeMap<SubnetName, BTreeSet<IpAddr>>,
}

/// What the controller was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The VPC of nodes and, unless told otherwise, of pods.
    pub default_vpc: VpcName,
    /// The subnet that connects the nodes to the default VPC.
    pub join: SubnetName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    pub vpc: VpcName,
    pub cidrs: CidrPair,
    pub gateways: DualStack<IpAddr>,
    pub gateway_mode: GatewayMode,
    pub router_link: RouterLink,
    pub access: Access,
}

/// Where traffic leaves the overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayMode {
    /// On the node of each pod.
    Distributed,
    /// On chosen nodes for the whole subnet; nowhere while none is chosen.
    Centralized(Option<GatewaySet>),
}

/// An address of the join subnet, in each of its families, to which traffic of a set of gateway
/// nodes is sent, whoever of them has it.
pub type Slot = DualStack<IpAddr>;

/// Whether the logical router is the subnet's gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouterLink {
    Connected,
    /// The gateway is a physical one.
    Absent,
}

/// Who reaches the pods of a subnet, and whom they reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody that there is a route to.
    Open,
    /// Each other and the nodes.
    Private {
        /// These networks, too.
        allowed: BTreeSet<Cidr>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The node's own addresses (`InternalIP`).
    pub internal: DualStack<IpAddr>,
    /// The recorded addresses of its port on the join subnet; `None` until they are.
    pub join: Option<JoinPort>,
    pub liveness: Liveness,
    pub bandwidth: Bandwidth,
}

/// Of the port of a node on the join subnet; without a limit where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bandwidth {
    /// Towards the node: what pods send through it.
    pub ingress: Option<Rate>,
    /// From the node: what comes through it to pods.
    pub egress: Option<Rate>,
}

/// Whether a node can carry the traffic of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    Alive,
    Dead,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinPort {
    pub addresses: DualStack<IpAddr>,
    pub mac: MacAddr,
}

/// A port of a pod whose addresses are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub subnet: SubnetName,
    /// The pod's UID: an interface binds the port only when it carries the same one. Empty where
    /// Kube-OVN attached the pod, whose interfaces carry none.
    pub uid: String,
    pub addresses: DualStack<IpAddr>,
    pub mac: MacAddr,
    pub node: Option<NodeName>,
    pub security: PortSecurity,
    /// What it is to use beside its own addresses.
    pub shared: BTreeSet<Shared>,
    /// Where its traffic is to be sent instead of to gateway nodes.
    pub north: DualStack<IpAddr>,
}

/// How a pod names an address that it shares with others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shared {
    Vip(VipName),
    /// That of a VIP.
    Address(IpAddr),
}

/// What a VIP reserves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    pub subnet: SubnetName,
    /// Whose pods may use it.
    pub namespace: String,
    /// None until they are recorded.
    pub addresses: DualStack<IpAddr>,
}

/// Whether OVN drops packets that do not carry the port's own addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortSecurity {
    Off,
    On,
}

/// A service that is reached by addresses of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub affinity: Affinity,
    /// The backends of each VIP: ready, and of its family.
    pub vips: BTreeMap<Vip, BTreeSet<SocketAddr>>,
}

/// An address and port of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vip {
    pub protocol: Protocol,
    pub address: SocketAddr,
}

/// The protocols that are balanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// Which connections go to one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Affinity {
    /// Each goes its own way.
    None,
    /// All of one client.
    ClientIp,
}

/// The name of a router's port in a subnet.
pub fn router_port(router: &str, subnet: &SubnetName) -> String {
    format!("{router}-{subnet}")
}

// === impl Inputs ===

impl Inputs {
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            nodes: BTreeMap::new(),
            ports: BTreeMap::new(),
            services: BTreeMap::new(),
            gateways: BTreeMap::new(),
            reserved: BTreeMap::new(),
            router_macs: BTreeMap::new(),
            former_gateways: BTreeMap::new(),
        }
    }

    /// Every owner that has an input, parents before children.
    pub fn owners(&self) -> impl Iterator<Item = Owner> {
        let vpcs = self.vpcs.keys().cloned().map(Owner::Vpc);
        let subnets = self.subnets.keys().cloned().map(Owner::Subnet);
        let default_vpc = self.vpcs.get_key_value(&self.settings.default_vpc);
        let balancers = default_vpc.map(|(name, _)| Owner::LoadBalancers(name.clone()));
        let nodes = self.nodes.keys().cloned().map(Owner::Node);
        let gateways = self.gateways.keys().cloned().map(Owner::Gateway);
        let ports = self.ports.keys().cloned().map(Owner::Port);
        vpcs.chain(subnets)
            .chain(balancers)
            .chain(nodes)
            .chain(gateways)
            .chain(ports)
    }

    /// The MAC of the router's port in a subnet: the recorded one, else a hash of the port's name, so
    /// that a rebuild gives the same.
    pub fn router_mac(&self, subnet: &SubnetName, router: &str) -> MacAddr {
        let recorded = self.router_macs.get(subnet).copied();
        recorded.unwrap_or_else(|| MacAddr::from_name(&router_port(router, subnet)))
    }

    /// The router of a subnet's VPC.
    pub(crate) fn router_of(&self, subnet: &Subnet) -> Option<&str> {
        self.vpcs.get(&subnet.vpc).map(|vpc| vpc.router.as_str())
    }

    /// The router of the default VPC and the join subnet: what a node's rows need.
    pub(crate) fn join(&self) -> Option<(&str, &Subnet)> {
        let subnet = self.subnets.get(&self.settings.join)?;
        Some((self.router_of(subnet)?, subnet))
    }

    /// Whether the subnet's traffic leaves by nodes: only in the default VPC, as only its router is
    /// connected to them.
    pub fn is_led_to_nodes(&self, subnet: &Subnet) -> bool {
        self.is_in_default_vpc(subnet) && subnet.router_link == RouterLink::Connected
    }

    /// The gateway nodes by which the subnet's traffic leaves.
    pub fn gateway_of<'a>(&self, subnet: &'a Subnet) -> Option<&'a GatewaySet> {
        match &subnet.gateway_mode {
            GatewayMode::Centralized(set) if self.is_led_to_nodes(subnet) => set.as_ref(),
            GatewayMode::Centralized(_) | GatewayMode::Distributed => None,
        }
    }

    /// The node that has the slot now: the first candidate that is alive, or where none is, the
    /// first that has a port.
    pub fn holder_of(&self, set: &GatewaySet, slot: usize) -> Option<&NodeName> {
        let known = set.candidates(slot);
        let mut joined = known.filter_map(|name| {
            let (name, node) = self.nodes.get_key_value(name)?;
            node.is_joined().then_some((name, node))
        });
        let first = joined.next()?;
        let mut all = std::iter::once(first).chain(joined);
        let alive = all.find(|(_, node)| node.liveness == Liveness::Alive);
        Some(alive.unwrap_or(first).0)
    }

    /// The nodes that have the set's slots, or would have them if there were any.
    pub fn carriers(&self, set: &GatewaySet) -> BTreeSet<&NodeName> {
        let slots = 0..set.slots();
        slots.filter_map(|slot| self.holder_of(set, slot)).collect()
    }

    pub(crate) fn is_in_default_vpc(&self, subnet: &Subnet) -> bool {
        subnet.vpc == self.settings.default_vpc
    }
}

// === impl Node ===

impl Node {
    /// Whether the node's rows, its port group among them, are planned.
    pub(crate) const fn is_joined(&self) -> bool {
        self.join.is_some()
    }
}
