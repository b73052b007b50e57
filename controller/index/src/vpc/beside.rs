//! What is left of the routing of VPCs beside their subnets and one another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use controller_plan::{
    Action, Inputs, Route, RoutePolicy, RouterLink, SourceLevels, Vpc as Planned, peering_port,
    router_port,
};
use model::{Cidr, IpFamily, Owner, VpcName, priority};

use super::Vpc;
use super::routing::{Entry, Peering, Steering};
use crate::acceptance::Fault;
use crate::index::Index;

/// What is planned of a VPC, and what its user must mend.
struct Settled {
    network: Planned,
    faults: Vec<Fault>,
}

// === impl Index ===

impl Index {
    /// What users must mend in the VPC.
    pub fn faults_of_vpc(&self, vpc: &VpcName) -> &[Fault] {
        self.vpc_faults.get(vpc).map_or(&[], Vec::as_slice)
    }

    /// Brings what is planned of VPCs up to date with their subnets and with one another.
    pub(crate) fn settle_vpcs(&mut self) {
        let vpcs = self.vpcs.iter();
        let settled: BTreeMap<VpcName, Settled> = vpcs
            .map(|(name, vpc)| (name.clone(), settle(self, name, vpc)))
            .collect();
        let gone = self.inputs.vpcs.keys();
        let gone: Vec<VpcName> = gone
            .filter(|it| !settled.contains_key(*it))
            .cloned()
            .collect();
        for name in gone {
            self.inputs.vpcs.remove(&name);
            self.dirty_vpc(&name);
        }
        self.vpc_faults.clear();
        for (name, Settled { network, faults }) in settled {
            if !faults.is_empty() {
                self.vpc_faults.insert(name.clone(), faults);
            }
            self.plan_vpc(name, network);
        }
    }

    fn plan_vpc(&mut self, name: VpcName, network: Planned) {
        match self.inputs.vpcs.insert(name.clone(), network) {
            Some(old) if self.inputs.vpcs.get(&name) == Some(&old) => {}
            // only the name of the router is in other owners' rows
            Some(old) if old.router == name.as_str() => {
                self.dirty.insert(Owner::Vpc(name));
            }
            Some(_) | None => self.dirty_vpc(&name),
        }
    }

    /// A link of the VPC that has addresses of one of these networks, and the other VPC.
    pub(crate) fn link_over(&self, vpc: &VpcName, cidrs: &[Cidr]) -> Option<(Cidr, &VpcName)> {
        let peerings = self.vpcs.get(vpc)?.routing.peerings.iter();
        let mut links = peerings.flat_map(|Entry { value, .. }| {
            let addresses = value.addresses.values();
            addresses.map(move |address| (address.network, &value.remote))
        });
        links.find(|(network, _)| cidrs.iter().any(|cidr| cidr.overlaps(*network)))
    }
}

fn settle(index: &Index, name: &VpcName, vpc: &Vpc) -> Settled {
    let mut settled = Settled {
        network: Planned::of_router(&vpc.router),
        faults: vpc.faults.clone(),
    };
    settled.faults.extend(index.default_subnet_fault(name, vpc));
    if vpc.routing.is_empty() {
        return settled;
    }
    let mut networks = networks(&index.inputs, name);
    for entry in &vpc.routing.peerings {
        if let Some(fault) = peering_fault(index, name, entry) {
            settled.faults.push(fault);
            continue;
        }
        let Peering { remote, addresses } = &entry.value;
        networks.extend(addresses.values().map(|it| it.network));
        settled.network.peerings.insert(remote.clone(), *addresses);
    }
    let is_default = *name == index.defaults.settings.default_vpc;
    for entry in &vpc.routing.routes {
        settled.route(entry, &networks, is_default);
    }
    for entry in &vpc.routing.policies {
        settled.policy(entry, &networks, is_default);
    }
    settled
}

/// The networks of subnets that the VPC's router is in.
fn networks(inputs: &Inputs, vpc: &VpcName) -> Vec<Cidr> {
    let subnets = inputs.subnets.values();
    let connected = subnets.filter(|it| it.vpc == *vpc && it.router_link == RouterLink::Connected);
    connected
        .flat_map(|it| it.cidrs.values().copied())
        .collect()
}

// === impl Settled ===

impl Settled {
    fn route(&mut self, entry: &Entry<Route>, networks: &[Cidr], is_default: bool) {
        let route = entry.value;
        if is_default && route.is_default() {
            let cause = "the default route of this VPC leads to the nodes; name the networks that \
                         are meant, or use spec.policyRoutes";
            self.faults
                .push(entry.fault(".cidr", route.prefix, cause.to_owned()));
            return;
        }
        if let Some(fault) = unconnected(entry, networks, [route.nexthop]) {
            self.faults.push(fault);
            return;
        }
        self.network.routes.insert(route);
    }

    fn policy(&mut self, entry: &Entry<Steering>, networks: &[Cidr], is_default: bool) {
        let Steering { policy, action, .. } = &entry.value;
        if let Some(cause) = self.why_ours(policy.priority, is_default) {
            self.faults
                .push(entry.fault(".priority", policy.priority, cause));
            return;
        }
        if let Action::Reroute(nexthops) = action {
            let nexthops = nexthops.iter().copied();
            if let Some(fault) = unconnected(entry, networks, nexthops) {
                self.faults.push(fault);
                return;
            }
        }
        self.faults.extend(unknown_fields(entry));
        self.faults
            .extend(self.lost_before(entry, networks).filter(|_| !is_default));
        self.network.policies.insert(policy.clone(), action.clone());
    }

    /// OVN drops what has no route before it looks at policies.
    fn lost_before(&self, entry: &Entry<Steering>, networks: &[Cidr]) -> Option<Fault> {
        let Steering {
            action, reading, ..
        } = &entry.value;
        let Action::Reroute(nexthops) = action else {
            return None;
        };
        let family = nexthops.first().copied().map(IpFamily::of)?;
        let routes = self.network.routes.iter();
        let routes = routes.filter(|it| it.prefix.family() == family);
        // with a route by source comes one that leads anywhere
        let leads_anywhere = |it: &Route| it.is_default() || it.policy == RoutePolicy::Source;
        if reading.has_other_destinations || routes.clone().any(leads_anywhere) {
            return None;
        }
        let mut wanted = reading.destinations.iter();
        let is_routed = |wanted: &Cidr| {
            let connected = networks.iter().copied();
            let mut known = connected.chain(routes.clone().map(|it| it.prefix));
            known.any(|it| it.overlaps(*wanted))
        };
        let lost = if reading.destinations.is_empty() {
            "other networks than those of its subnets and routes".to_owned()
        } else {
            wanted.find(|it| !is_routed(it))?.to_string()
        };
        let cause = format!(
            "this VPC has no route to {lost}, and packets there are lost before policies are looked \
             at; add a static route, such as one to {}",
            family.any()
        );
        Some(entry.told(".match", &entry.value.policy.matches, cause))
    }

    fn why_ours(&self, priority: u16, is_default: bool) -> Option<String> {
        let levels = SourceLevels::of(&self.network, 0);
        if is_default {
            let cause = "policies of this VPC itself have it; choose another".to_owned();
            priority::is_ours(priority).then_some(cause)
        } else {
            let greatest = levels.inside();
            let cause = format!(
                "static routes with policySrc need those up to {greatest}; choose a greater one"
            );
            (levels.is_used() && priority <= greatest).then_some(cause)
        }
    }
}

/// Nodes that run an OVN without such a field pass over the policy, and only their logs tell.
fn unknown_fields(entry: &Entry<Steering>) -> Option<Fault> {
    let name = entry.value.reading.unknown.first()?;
    let cause = format!(
        "OVN 25.03 has no field `{name}`, and passes over a policy that names one; see ovn-sb(5) for \
         the fields there are"
    );
    Some(entry.told(".match", &entry.value.policy.matches, cause))
}

/// OVN passes over what leads to where the router is not, and a policy with one such next hop whole.
fn unconnected<T>(
    entry: &Entry<T>,
    networks: &[Cidr],
    nexthops: impl IntoIterator<Item = IpAddr>,
) -> Option<Fault> {
    let is_connected = |it: &IpAddr| networks.iter().any(|cidr| cidr.contains(*it));
    let nexthop = nexthops.into_iter().find(|it| !is_connected(it))?;
    let cause = "no subnet and no peering of this VPC has this address; until one has, the entry has \
                 no effect";
    Some(entry.fault(".nextHopIP", nexthop, cause.to_owned()))
}

/// Why the link is not planned.
fn peering_fault(index: &Index, name: &VpcName, entry: &Entry<Peering>) -> Option<Fault> {
    let Peering { remote, addresses } = &entry.value;
    let at_name = |cause| entry.fault(".remoteVpc", remote, cause);
    let at_address = |cause| entry.fault(".localConnectIP", addresses, cause);
    if remote == name {
        return Some(at_name("it is this VPC itself; name another".to_owned()));
    }
    let Some(other) = index.vpcs.get(remote) else {
        return Some(at_name(
            "there is no such VPC; create it or name another".to_owned(),
        ));
    };
    let mut back = other.routing.peerings.iter();
    let Some(back) = back.find(|it| it.value.remote == *name) else {
        let cause =
            format!("VPC {remote} does not name this one; add {name} to its spec.vpcPeerings");
        return Some(at_name(cause));
    };
    if let Some(cause) = mismatch(&entry.value, &back.value) {
        return Some(at_address(cause));
    }
    if let Some(cause) = taken(index, name, entry) {
        return Some(at_address(cause));
    }
    if let Some(cause) = taken(index, remote, back) {
        return Some(at_address(format!("in VPC {remote} {cause}")));
    }
    let ports = [peering_port(name, remote), peering_port(remote, name)];
    let holder = ports
        .iter()
        .find_map(|it| holder_of(index, it, name, remote))?;
    Some(at_name(format!(
        "{holder} has a port of the name that this link needs; name another"
    )))
}

/// Both ends have other addresses in the same networks.
fn mismatch(one: &Peering, other: &Peering) -> Option<String> {
    let there = &other.addresses;
    let networks = |it: &Peering| it.addresses.map(|_, address| address.network);
    let cause = if networks(one) != networks(other) {
        format!(
            "it is in another network than {there} at the other end; give both ends one network"
        )
    } else if one
        .addresses
        .values()
        .any(|it| there.values().any(|there| there == it))
    {
        "the other end has it; give each end an address of its own".to_owned()
    } else {
        return None;
    };
    Some(cause)
}

/// What has a part of the network already: a subnet, or a link that stands before.
fn taken(index: &Index, vpc: &VpcName, entry: &Entry<Peering>) -> Option<String> {
    let wanted: Vec<Cidr> = entry
        .value
        .addresses
        .values()
        .map(|it| it.network)
        .collect();
    let overlaps = |cidr: &Cidr| wanted.iter().any(|it| it.overlaps(*cidr));
    let subnets = index.inputs.subnets.iter();
    let mut subnets =
        subnets.filter(|(_, it)| it.vpc == *vpc && it.router_link == RouterLink::Connected);
    let subnet = subnets.find(|(_, it)| it.cidrs.values().any(overlaps));
    if let Some((name, subnet)) = subnet {
        let cidrs = subnet.cidrs;
        return Some(format!(
            "it overlaps {cidrs} of subnet {name}; choose a network that is free"
        ));
    }
    let all = index.vpcs.get(vpc)?.routing.peerings.iter();
    let mut before = all.take_while(|it| it.path != entry.path);
    let first = before.find(|it| it.value.addresses.values().any(|it| overlaps(&it.network)))?;
    Some(format!(
        "it overlaps that of {}; choose a network that is free",
        first.path
    ))
}

/// Who else would have a port of that name: names are joined by `-`, which may be in them.
fn holder_of(index: &Index, port: &str, vpc: &VpcName, remote: &VpcName) -> Option<String> {
    let mut subnets = index.inputs.subnets.iter();
    let subnet = subnets.find(|(name, it)| {
        let router = index.vpcs.get(&it.vpc).map(|it| it.router.as_str());
        router.is_some_and(|router| router_port(router, name) == port)
    });
    if let Some((name, _)) = subnet {
        return Some(format!("subnet {name}"));
    }
    let own = BTreeSet::from([vpc, remote]);
    let mut others = index.vpcs.iter().flat_map(|(name, it)| {
        let peerings = it.routing.peerings.iter();
        peerings.map(move |entry| (name, &entry.value.remote))
    });
    let (first, second) = others.find(|(name, remote)| {
        peering_port(name, remote) == port && BTreeSet::from([*name, *remote]) < own
    })?;
    Some(format!("the link of VPC {first} to {second}"))
}
