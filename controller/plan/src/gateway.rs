//! A set of gateway nodes: the policy that leads the traffic of its subnets to its slots.
//!
//! The slots are additional addresses of nodes' ports, so when a node fails, addresses move and the
//! policy stays as it is: the flows by other nodes stay where they are.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::priority::POLICY_GATEWAY;
use model::{GatewaySet, IpFamily, Owner};
use ovn::nb::{self, address_set};
use ovn::{Row, RowKey, expr};

use crate::{Inputs, Planned, node};

pub(crate) fn plan(inputs: &Inputs, set: &GatewaySet) -> Planned {
    let mut planned = Planned::default();
    let Some((router, _)) = inputs.join().filter(|_| inputs.gateways.contains_key(set)) else {
        return planned;
    };
    let owner = Owner::Gateway(set.clone());
    for family in IpFamily::ALL {
        let (sources, nexthops) = (sources(inputs, set, family), nexthops(inputs, set, family));
        if sources.is_empty() || nexthops.is_empty() {
            continue;
        }
        let name = expr::address_set(&set.identifier(), family);
        let matches = expr::source_in_set(&name, family);
        let row = Row::new(&nb::ADDRESS_SET)
            .with(address_set::NAME, name.as_str())
            .with(address_set::ADDRESSES, sources);
        planned.row(&owner, RowKey::AddressSet(name), row);
        let (key, row) = node::reroute(router, POLICY_GATEWAY, matches, nexthops);
        planned.row(&owner, key, row);
    }
    planned
}

/// The networks of the subnets whose traffic leaves by the set.
fn sources(inputs: &Inputs, set: &GatewaySet, family: IpFamily) -> BTreeSet<String> {
    let subnets = inputs.subnets.values();
    let subnets = subnets.filter(|subnet| inputs.gateway_of(subnet) == Some(set));
    let cidrs = subnets.filter_map(|subnet| subnet.cidrs.get(family));
    cidrs.map(ToString::to_string).collect()
}

/// The slots that a node has; where none are recorded, as when they are just about to be, the nodes
/// themselves.
fn nexthops(inputs: &Inputs, set: &GatewaySet, family: IpFamily) -> Vec<IpAddr> {
    let slots = inputs.gateways.get(set).map_or(&[][..], Vec::as_slice);
    if slots.is_empty() {
        let nodes = inputs.carriers(set).into_iter();
        let joins = nodes.filter_map(|name| inputs.nodes.get(name)?.join.as_ref());
        let addresses = joins.filter_map(|join| join.addresses.get(family));
        return addresses.copied().collect();
    }
    let held = slots.iter().enumerate();
    let held = held.filter(|(number, _)| inputs.holder_of(set, *number).is_some());
    let addresses = held.filter_map(|(_, slot)| slot.get(family));
    addresses.copied().collect()
}
