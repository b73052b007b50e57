//! Which networks subnets may have, and what users must mend in them.
//!
//! No two subnets of a router overlap. Whoever had its network first keeps it: what was accepted is
//! recorded in an annotation, and of those without a record the one that was created first comes
//! first, then the first by name. A subnet that was accepted and is now in conflict, or cannot be read,
//! keeps the network that was accepted, and its rows; one that never was gets none. Neither gives anybody a
//! new address until the conflict is gone.

mod accepted;

use std::collections::BTreeMap;
use std::net::IpAddr;

use controller_plan as plan;
use controller_plan::{Access, GatewayMode};
use model::{CidrPair, DualStack, SubnetName};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::subnet::{Provision, Subnet};
use crate::text::Rejected;

pub use accepted::{Accepted, InvalidAccepted};

/// What may be made of a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The networks of its rows; `None` when there must be none.
    pub cidrs: Option<CidrPair>,
    /// Its gateways there.
    pub gateways: DualStack<IpAddr>,
    pub faults: Vec<Fault>,
}

/// Something in a subnet that its user must mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub why: Rejected,
    pub effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is not accepted: no row, unless it was accepted before, and no new address.
    Blocks,
    /// Nobody gets a new address.
    Closes,
    /// It goes without what is wrong.
    Told,
}

// === impl Fault ===

impl Fault {
    pub(crate) fn new(effect: Effect, field: &str, value: String, cause: String) -> Self {
        let field = field.to_owned();
        Self {
            why: Rejected {
                field,
                value,
                cause,
            },
            effect,
        }
    }
}

/// Whether `cidrs` and `others` have addresses in common.
fn overlap(cidrs: &CidrPair, others: &CidrPair) -> bool {
    let pairs = cidrs
        .iter()
        .filter_map(|(family, it)| Some((it, others.get(family)?)));
    pairs.into_iter().any(|(it, other)| it.overlaps(*other))
}

/// Whether the two would be in each other's way with overlapping networks: they are routed by one
/// router, or are in one network behind it.
fn are_neighbours(one: &Subnet, other: &Subnet) -> bool {
    let (spec, others) = (&one.object.spec, &other.object.spec);
    let both_connected = one.is_connected() && other.is_connected();
    one.network.vpc == other.network.vpc
        && one.provision == other.provision
        && (one.provision == Provision::Network || spec.provider == others.provider)
        && (both_connected || spec.vlan == others.vlan)
}

/// Subnets in the order in which they may have what several want.
pub(crate) fn by_age(index: &Index) -> Vec<(&SubnetName, &Subnet)> {
    let mut all: Vec<_> = index.subnets.iter().collect();
    all.sort_by_key(|(name, subnet)| (subnet.life.created.as_ref(), *name));
    all
}

/// What may be made of each subnet.
pub(crate) fn accept(index: &Index) -> BTreeMap<SubnetName, Acceptance> {
    let subnets = by_age(index);
    let mut held: BTreeMap<&SubnetName, CidrPair> = BTreeMap::new();
    for (name, subnet) in &subnets {
        if let Some(accepted) = subnet.accepted() {
            held.insert(name, accepted.cidrs);
        }
    }
    let mut acceptances = BTreeMap::new();
    for (place, (name, subnet)) in subnets.iter().enumerate() {
        let mut faults = subnet.faults.clone();
        faults.extend(overlap_fault(&subnets, place, &held));
        if held.get(name) != Some(&subnet.network.cidrs) {
            faults.extend(index.link_fault(subnet));
        }
        faults.extend(index.new_gateway_fault(name, subnet));
        faults.extend(index.faults_beside_others(name, subnet));
        let is_blocked = faults.iter().any(|fault| fault.effect == Effect::Blocks);
        if !is_blocked {
            held.insert(name, subnet.network.cidrs);
            faults.extend(index.outside_fault(name, subnet));
        }
        let former = subnet.accepted().filter(|_| is_blocked);
        let acceptance = Acceptance {
            cidrs: held.get(name).copied(),
            gateways: former.map_or(subnet.network.gateways, |it| it.gateways),
            faults,
        };
        acceptances.insert((*name).clone(), acceptance);
    }
    acceptances
}

/// The first subnet that has a part of this one's network. Two that had it both, since they became
/// neighbours later, have it both on; the younger says so.
fn overlap_fault(
    subnets: &[(&SubnetName, &Subnet)],
    place: usize,
    held: &BTreeMap<&SubnetName, CidrPair>,
) -> Option<Fault> {
    let (name, subnet) = subnets.get(place)?;
    let wanted = &subnet.network.cidrs;
    let keeps = held.get(name) == Some(wanted);
    let others = subnets.iter().enumerate();
    let mut others = others.filter(|(at, _)| if keeps { *at < place } else { *at != place });
    let (_, (other, _)) = others.find(|(_, (other, it))| {
        let of_other = held.get(other);
        are_neighbours(subnet, it) && of_other.is_some_and(|it| overlap(wanted, it))
    })?;
    let theirs = held.get(other)?;
    let vpc = &subnet.network.vpc;
    let cause = format!(
        "it overlaps {theirs} of subnet {other}, which had it first in VPC {vpc}; choose a CIDR \
         that is free"
    );
    let field = "spec.cidrBlock";
    Some(Fault::new(Effect::Blocks, field, wanted.to_string(), cause))
}

// === impl Index ===

impl Index {
    /// What may be made of the subnet; `None` when there is no such subnet, or it cannot be read.
    pub fn acceptance(&self, subnet: &SubnetName) -> Option<&Acceptance> {
        self.acceptances.get(subnet)
    }

    /// Why the subnet gives the claimant no new address, whatever is free; `None` when it may.
    pub fn why_none(&self, claimant: &Claimant, subnet: &SubnetName) -> Option<String> {
        let closed = || self.why_closed(subnet);
        match claimant {
            Claimant::Pod(pod) => self.why_not_for(&pod.namespace, subnet).or_else(closed),
            Claimant::Node(_) | Claimant::Vip(_) | Claimant::Unknown(_) => closed(),
        }
    }

    fn why_closed(&self, name: &SubnetName) -> Option<String> {
        let subnet = self.subnets.get(name)?;
        if subnet.life.is_ending() {
            return Some(format!("subnet `{name}` is being deleted; use another one"));
        }
        let faults = &self.acceptances.get(name)?.faults;
        let closing = faults.iter().find(|fault| fault.effect != Effect::Told);
        closing.map(|fault| format!("subnet `{name}` gives out no address: {}", fault.why))
    }

    /// A VPC that names namespaces is for pods of these alone.
    fn why_not_for(&self, namespace: &str, name: &SubnetName) -> Option<String> {
        let vpc = &self.subnets.get(name)?.network.vpc;
        let limits = &self.vpcs.get(vpc)?.namespaces;
        let is_let = limits.is_empty() || limits.contains(namespace);
        let message = || {
            format!(
                "subnet `{name}` is in VPC `{vpc}`, which is not for namespace `{namespace}`; add \
                 it to spec.namespaces of the VPC or choose another subnet"
            )
        };
        (!is_let && *vpc != self.defaults.settings.default_vpc).then(message)
    }

    /// Brings what is planned of subnets up to date with what may be made of them.
    pub(crate) fn accept_subnets(&mut self) {
        let acceptances = accept(self);
        let former = std::mem::replace(&mut self.acceptances, acceptances);
        let planned = self.inputs.subnets.keys();
        let mut names: Vec<SubnetName> = planned.chain(self.subnets.keys()).cloned().collect();
        names.sort();
        names.dedup();
        let mut is_changed = former.len() != self.acceptances.len();
        for name in names {
            is_changed |= self.plan_subnet(&name);
            if former.get(&name) != self.acceptances.get(&name) {
                is_changed = true;
                self.keep(crate::Kept::Subnet(name));
            }
        }
        if is_changed {
            self.reconsider_waiting();
        }
    }

    /// Whether the planner sees another subnet now.
    fn plan_subnet(&mut self, name: &SubnetName) -> bool {
        let accepted = self.acceptances.get(name);
        let accepted = accepted.and_then(|it| Some((it.cidrs?, it.gateways)));
        let subnet = self.subnets.get(name);
        let subnet = subnet.filter(|it| it.provision == Provision::Network);
        let new = subnet.zip(accepted);
        let new = new.map(|(it, (cidrs, gateways))| plan::Subnet {
            cidrs,
            gateways,
            gateway_mode: self.gateway_mode(it),
            ..it.network.clone()
        });
        let old = match new.clone() {
            Some(new) => self.inputs.subnets.insert(name.clone(), new),
            None => self.inputs.subnets.remove(name),
        };
        if old == new {
            return false;
        }
        let told = |it: &Option<plan::Subnet>| it.as_ref().map(|it| (it.cidrs, it.gateways));
        if told(&old) != told(&new) {
            self.outdate_holders(name);
        }
        let vpcs = [&old, &new].into_iter().flatten().map(|it| it.vpc.clone());
        self.dirty_subnet(name, vpcs.collect());
        for subnet in [old, new].into_iter().flatten() {
            if let GatewayMode::Centralized(Some(set)) = subnet.gateway_mode {
                self.dirty_gateway(&set);
            }
        }
        true
    }

    fn faults_beside_others(&self, name: &SubnetName, subnet: &Subnet) -> Vec<Fault> {
        let mut faults = Vec::new();
        faults.extend(self.vpc_fault(subnet));
        faults.extend(self.vlan_fault(subnet));
        faults.extend(self.api_server_fault(subnet));
        faults.extend(self.redirect_faults(name, subnet));
        faults.extend(self.default_fault(name, subnet));
        faults.extend(self.join_fault(name, subnet));
        faults.extend(self.gateway_faults(subnet));
        let refused = subnet.namespaces.iter();
        let refused = refused.filter(|it| !self.vpc_lets(&subnet.network.vpc, it));
        let vpc = &subnet.network.vpc;
        faults.extend(refused.filter(|_| self.vpcs.get(vpc).is_some()).map(|namespace| {
            let cause = format!(
                "VPC {vpc} is not for this namespace; add it to spec.namespaces of the VPC or \
                 remove it here"
            );
            Fault::new(Effect::Told, "spec.namespaces", namespace.clone(), cause)
        }));
        faults
    }

    /// A link of its VPC has a part of its network.
    fn link_fault(&self, subnet: &Subnet) -> Option<Fault> {
        let (wanted, vpc) = (subnet.network.cidrs, &subnet.network.vpc);
        let cidrs: Vec<_> = wanted.values().copied().collect();
        let (link, remote) = self
            .link_over(vpc, &cidrs)
            .filter(|_| subnet.is_connected())?;
        let cause = format!(
            "it overlaps {link}, by which VPC {vpc} is linked to {remote}; choose a CIDR that is free"
        );
        let field = "spec.cidrBlock";
        Some(Fault::new(Effect::Blocks, field, wanted.to_string(), cause))
    }

    fn vpc_fault(&self, subnet: &Subnet) -> Option<Fault> {
        let name = &subnet.network.vpc;
        let cause = match self.vpcs.get(name) {
            None => "there is no such VPC; create it or name another",
            Some(vpc) if vpc.life.is_ending() => "the VPC is being deleted; name another",
            Some(_) => return None,
        };
        let is_network = subnet.provision == Provision::Network;
        let fault = || {
            Fault::new(
                Effect::Closes,
                "spec.vpc",
                name.to_string(),
                cause.to_owned(),
            )
        };
        is_network.then(fault)
    }

    /// An underlay subnet without its VLAN would be an overlay one.
    fn vlan_fault(&self, subnet: &Subnet) -> Option<Fault> {
        let name = &subnet.object.spec.vlan;
        let is_known = name.is_empty() || self.vlans.get(name).is_some();
        let is_network = subnet.provision == Provision::Network;
        let cause = "there is no such Vlan; create it, name another, or remove the field to have \
                     an overlay subnet";
        let fault = || Fault::new(Effect::Closes, "spec.vlan", name.clone(), cause.to_owned());
        (is_network && !is_known).then(fault)
    }

    /// Pods could not reach the API server if its address were one of theirs.
    fn api_server_fault(&self, subnet: &Subnet) -> Option<Fault> {
        let cidrs = &subnet.network.cidrs;
        let address = self.api_server?;
        let is_inside = cidrs.values().any(|cidr| cidr.contains(address));
        let is_default_vpc = subnet.network.vpc == self.defaults.settings.default_vpc;
        let cause = format!(
            "it contains {address}, the address of the Kubernetes API server; choose another CIDR"
        );
        let field = "spec.cidrBlock";
        (is_inside && is_default_vpc)
            .then(|| Fault::new(Effect::Blocks, field, cidrs.to_string(), cause))
    }

    /// Nodes that cannot be reached can do nothing for pods.
    fn join_fault(&self, name: &SubnetName, subnet: &Subnet) -> Option<Fault> {
        let is_join = *name == self.defaults.settings.join;
        let is_private = subnet.network.access != Access::Open;
        let cause = "the subnet of the nodes is never private; write false".to_owned();
        (is_join && is_private)
            .then(|| Fault::new(Effect::Told, "spec.private", true.to_string(), cause))
    }

    /// A VPC has one default subnet. In the default VPC the flag is taken back.
    fn default_fault(&self, name: &SubnetName, subnet: &Subnet) -> Option<Fault> {
        let vpc = &subnet.network.vpc;
        let is_default_vpc = *vpc == self.defaults.settings.default_vpc;
        let is_wanted = subnet.is_default && subnet.takes_namespaces() && !is_default_vpc;
        let holder = self.default_subnet_of(vpc);
        let holder = holder.filter(|it| is_wanted && *it != name)?;
        let cause = format!(
            "subnet {holder} is the default one of VPC {vpc}; write false, or name this one in \
             spec.defaultSubnet of the VPC"
        );
        let value = true.to_string();
        Some(Fault::new(Effect::Told, "spec.default", value, cause))
    }
}
