//! The dependency table: which owners an edit makes dirty.
//!
//! | edited | planned again | because |
//! | --- | --- | --- |
//! | VPC | itself, its load balancers, its subnets and their ports; everything when it is the default one or `join` is in it | its router's name is in their rows |
//! | routes, policies, peerings of a VPC | itself, and the VPC at the other end of a link | a link has two ends |
//! | subnet, VPC | every subnet that is accepted with another network now | no two of a router overlap |
//! | subnet | itself, its VPC, that one's load balancers, its ports, all nodes; all ports when it is `join` | gateways are in the VPC's route, the gateway mode in the ports' groups, no node may have an address in it |
//! | subnet | the ports that name a gateway | it must be in a subnet |
//! | node | itself, nodes with an address of it, the ports on it, and the port that would have its name | an address can lead to one node, a port is in the group of its node, and two ports cannot have one name |
//! | record | the port or the node that it is for | it counts where annotations cannot be read |
//! | subnet, node | the sets of gateway nodes it has or is in, and all nodes of them | a slot is at the first of them that is alive |
//! | port | itself | |
//! | VIP | the ports that name any | they may use its address |
//! | service, endpoints | the load balancers of the default VPC | they hold its VIPs |
//!
//! Where the table does not know better, it dirties more: a clean owner costs one comparison.

use std::collections::BTreeSet;
use std::net::IpAddr;

use controller_plan::Node;
use model::{DualStack, NodeName, Owner, PodKey, PortKey, SubnetName, VpcName};

use crate::claimant::Claimant;
use crate::index::Index;

impl Index {
    pub(crate) fn dirty_vpc(&mut self, name: &VpcName) {
        self.dirty.insert(Owner::Vpc(name.clone()));
        self.dirty.insert(Owner::LoadBalancers(name.clone()));
        if *name == self.defaults.settings.default_vpc || self.holds_join(name) {
            self.dirty.extend(self.inputs.owners());
            return;
        }
        let subnets = self
            .inputs
            .subnets
            .iter()
            .filter(|(_, subnet)| subnet.vpc == *name);
        let subnets: BTreeSet<SubnetName> = subnets.map(|(name, _)| name.clone()).collect();
        self.dirty_ports_of(&subnets);
        self.dirty.extend(subnets.into_iter().map(Owner::Subnet));
    }

    pub(crate) fn dirty_subnet(&mut self, name: &SubnetName, vpcs: BTreeSet<VpcName>) {
        self.dirty.insert(Owner::Subnet(name.clone()));
        self.dirty
            .extend(vpcs.iter().cloned().map(Owner::LoadBalancers));
        self.dirty.extend(vpcs.into_iter().map(Owner::Vpc));
        if *name == self.defaults.settings.join {
            self.dirty.extend(self.inputs.owners());
        }
        self.dirty
            .extend(self.inputs.nodes.keys().cloned().map(Owner::Node));
        self.dirty_ports_of(&BTreeSet::from([name.clone()]));
        let ports = self.inputs.ports.iter();
        let northern = ports.filter(|(_, port)| port.north != DualStack::NONE);
        self.dirty
            .extend(northern.map(|(key, _)| Owner::Port(key.clone())));
    }

    pub(crate) fn dirty_node(&mut self, name: &NodeName) {
        self.dirty.insert(Owner::Node(name.clone()));
        let on_node = self.ports_on.of(name).cloned();
        self.dirty.extend(on_node.map(Owner::Port));
        let lsp = name.lsp();
        let namesake = lsp
            .rsplit_once('.')
            .and_then(|(pod, namespace)| PodKey::new(namespace, pod).ok());
        self.dirty
            .extend(namesake.map(|pod| Owner::Port(PortKey::primary(pod))));
    }

    /// One of them has the address.
    pub(crate) fn dirty_nodes_at(&mut self, addresses: &BTreeSet<IpAddr>) {
        let shares = |node: &Node| node.internal.values().any(|it| addresses.contains(it));
        let nodes = self.inputs.nodes.iter();
        let nodes = nodes.filter(|(_, node)| shares(node));
        self.dirty
            .extend(nodes.map(|(name, _)| Owner::Node(name.clone())));
    }

    pub(crate) fn dirty_port(&mut self, key: PortKey) {
        self.dirty.insert(Owner::Port(key));
    }

    pub(crate) fn dirty_sharing_ports(&mut self) {
        let ports = self.inputs.ports.iter();
        let sharing = ports.filter(|(_, port)| !port.shared.is_empty());
        self.dirty
            .extend(sharing.map(|(key, _)| Owner::Port(key.clone())));
    }

    pub(crate) fn dirty_load_balancers(&mut self) {
        let vpc = self.defaults.settings.default_vpc.clone();
        self.dirty.insert(Owner::LoadBalancers(vpc));
    }

    /// A subnet came or changed: whoever waits for addresses may get them now.
    pub(crate) fn reconsider_waiting(&mut self) {
        let pods = self.waiting.iter().cloned();
        self.claims.extend(pods.map(Claimant::Pod));
        let vips = self.vips.keys().cloned();
        self.claims.extend(vips.map(Claimant::Vip));
        let nodes = self.nodes.iter();
        let nodes = nodes.filter(|(_, node)| node.annotated.is_none());
        self.claims
            .extend(nodes.map(|(name, _)| Claimant::Node(name.clone())));
    }

    fn holds_join(&self, name: &VpcName) -> bool {
        let join = self.inputs.subnets.get(&self.defaults.settings.join);
        join.is_some_and(|join| join.vpc == *name)
    }

    fn dirty_ports_of(&mut self, subnets: &BTreeSet<SubnetName>) {
        for subnet in subnets {
            let ports = self.ports_in.of(subnet).cloned();
            self.dirty.extend(ports.map(Owner::Port));
        }
    }
}
