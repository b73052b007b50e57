//! A node: its port on the join switch, the way to its own addresses, and the port group of the
//! pods whose traffic leaves the overlay through it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::priority::{POLICY_GATEWAY, POLICY_NODE};
use model::{NodeName, Owner};
use ovn::nb::{
    self, logical_router as lr, logical_router_policy as policy, logical_switch as ls,
    logical_switch_port as lsp, port_group as pg,
};
use ovn::{Row, RowKey, expr};

use crate::inputs::{JoinPort, Node};
use crate::{Inputs, Planned, RouterLink, bandwidth, port};

pub(crate) fn plan(inputs: &Inputs, name: &NodeName) -> Planned {
    let mut planned = Planned::default();
    let Some(node) = inputs.nodes.get(name) else {
        return planned;
    };
    let owner = Owner::Node(name.clone());
    check_addresses(inputs, &owner, node, &mut planned);
    let Some((join, (router, _))) = node.join.as_ref().zip(inputs.join()) else {
        return planned;
    };
    join_port(inputs, &owner, name, join, &mut planned);
    port_group(&owner, name, &mut planned);
    bandwidth::plan(inputs, name, node.bandwidth, &mut planned);
    for (family, nexthop) in join.addresses.iter() {
        let internal = node.internal.get(family);
        let free = internal.filter(|it| !is_taken(inputs, &owner, name, **it, &mut planned));
        let to_node = free.map(|internal| {
            reroute(
                router,
                POLICY_NODE,
                expr::destination_is(*internal),
                [*nexthop],
            )
        });
        let matches = expr::source_in_group(&expr::node_port_group(name), family);
        let from_pods = reroute(router, POLICY_GATEWAY, matches, [*nexthop]);
        for (key, row) in to_node.into_iter().chain([from_pods]) {
            planned.row(&owner, key, row);
        }
    }
    planned
}

/// Packets to a node whose address belongs to an overlay would never leave the overlay.
fn check_addresses(inputs: &Inputs, owner: &Owner, node: &Node, planned: &mut Planned) {
    let overlays = inputs.subnets.iter().filter(|(_, subnet)| {
        inputs.is_in_default_vpc(subnet) && subnet.router_link == RouterLink::Connected
    });
    for (name, subnet) in overlays {
        for (family, address) in node.internal.iter() {
            if let Some(cidr) = subnet.cidrs.get(family).filter(|it| it.contains(*address)) {
                let message = format!(
                    "InternalIP {address} is inside CIDR {cidr} of subnet {name}: give the subnet \
                     a CIDR without addresses of nodes, or the node another address"
                );
                planned.problem(owner, "NodeAddressConflictWithSubnet", message);
            }
        }
    }
}

/// Packets to an address can go to one node only: the first by name, of those that have a port.
fn is_taken(
    inputs: &Inputs,
    owner: &Owner,
    name: &NodeName,
    address: IpAddr,
    planned: &mut Planned,
) -> bool {
    let before = inputs.nodes.iter().take_while(|(other, _)| *other < name);
    let mut before = before.filter(|(_, other)| other.is_joined());
    let other = before.find(|(_, other)| other.internal.values().any(|it| *it == address));
    if let Some((other, _)) = other {
        let message = format!(
            "InternalIP {address} is also that of node {other}: give each an address of its own"
        );
        planned.problem(owner, "NodeAddressConflict", message);
    }
    other.is_some()
}

fn join_port(
    inputs: &Inputs,
    owner: &Owner,
    name: &NodeName,
    join: &JoinPort,
    planned: &mut Planned,
) {
    let own = port::addresses(join.mac, &join.addresses).into_iter();
    let words: Vec<String> = own.chain(slots_at(inputs, name)).collect();
    let row = Row::new(&nb::LOGICAL_SWITCH_PORT)
        .with(lsp::NAME, name.lsp())
        .with(lsp::ADDRESSES, BTreeSet::from([words.join(" ")]))
        .linked(
            RowKey::LogicalSwitch(inputs.settings.join.to_string()),
            ls::PORTS,
        );
    planned.row(owner, RowKey::LogicalSwitchPort(name.lsp()), row);
}

/// The addresses of the gateway slots that the node has now.
fn slots_at<'a>(inputs: &'a Inputs, name: &'a NodeName) -> impl Iterator<Item = String> + 'a {
    let sets = inputs.gateways.iter();
    let sets = sets.filter(move |(set, _)| set.contains(name));
    let slots = sets.flat_map(|(set, slots)| slots.iter().enumerate().map(move |it| (set, it)));
    let here = slots.filter(move |(set, (number, _))| inputs.holder_of(set, *number) == Some(name));
    here.flat_map(|(_, (_, slot))| slot.values().map(IpAddr::to_string))
}

fn port_group(owner: &Owner, name: &NodeName, planned: &mut Planned) {
    let group = expr::node_port_group(name);
    let row = Row::new(&nb::PORT_GROUP).with(pg::NAME, group.as_str());
    planned.row(owner, RowKey::PortGroup(group), row);
}

/// A policy that sends packets to one of `nexthops`.
pub(crate) fn reroute(
    router: &str,
    priority: u16,
    matches: String,
    nexthops: impl IntoIterator<Item = IpAddr>,
) -> (RowKey, Row) {
    let nexthops = nexthops.into_iter().map(|it| it.to_string());
    let priority = i64::from(priority);
    let row = Row::new(&nb::LOGICAL_ROUTER_POLICY)
        .with(policy::PRIORITY, priority)
        .with(policy::MATCH, matches.as_str())
        .with(policy::ACTION, "reroute")
        .with(policy::NEXTHOPS, nexthops.collect::<BTreeSet<_>>())
        .linked(RowKey::LogicalRouter(router.to_owned()), lr::POLICIES);
    let key = RowKey::RouterPolicy {
        router: router.to_owned(),
        priority,
        matches,
    };
    (key, row)
}
