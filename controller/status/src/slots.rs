//! Gateway slots: chosen here, recorded on the join subnet, and used from the record only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use controller_index::{Index, Slots};
use controller_ipam::slot_range;
use model::address::number;
use model::{Cidr, CidrPair, DualStack, GatewaySet};

/// What should be recorded where `recorded` is: what of that is of use, and slots for the sets of
/// gateway nodes that have none. A set for which too few are free gets none, and does without.
pub(crate) fn chosen(index: &Index, recorded: &Slots) -> Slots {
    let Slots(mut slots) = index.usable(recorded);
    if slots.values().all(|slots| !slots.is_empty()) {
        return Slots(slots);
    }
    let settings = &index.defaults().settings;
    let Some(join) = index.inputs().subnets.get(&settings.join) else {
        return recorded.clone();
    };
    let mut taken = held(index);
    taken.extend(slots.values().flatten().flat_map(DualStack::values));
    taken.extend(join.gateways.values());
    let is_free = |slot: &DualStack<IpAddr>| !slot.values().any(|it| taken.contains(it));
    let mut free: VecDeque<_> = all(&join.cidrs).filter(is_free).collect();
    for (set, slots) in slots.iter_mut().filter(|(_, slots)| slots.is_empty()) {
        let most = set.slots().min(free.len());
        slots.extend(free.drain(..most - most % set.step()));
    }
    slots.retain(|_, slots| !slots.is_empty());
    Slots(slots)
}

/// The sets of gateway nodes that get no slots, and what to say of them.
pub(crate) fn lacking(index: &Index) -> BTreeMap<GatewaySet, String> {
    let inputs = index.inputs();
    let name = &index.defaults().settings.join;
    let join = index.subnets().get(name);
    let join = join.filter(|_| inputs.subnets.contains_key(name));
    let empty = inputs.gateways.iter();
    let mut empty = empty.filter(|(_, slots)| slots.is_empty()).peekable();
    let Some(join) = join.filter(|_| empty.peek().is_some()) else {
        return BTreeMap::new();
    };
    let Slots(chosen) = chosen(index, &join.slots);
    let cidr = &join.object.spec.cidr_block;
    let message = |set: &GatewaySet| {
        format!(
            "subnet {name} has too few free addresses for gateway slots of {set}, of which there \
             should be {}, so that a node that fails moves flows of the others, too: \
             spec.cidrBlock of {name} is `{cidr}`, make it larger",
            set.slots()
        )
    };
    let lacking = empty.filter(|(set, _)| !chosen.contains_key(set));
    lacking
        .map(|(set, _)| (set.clone(), message(set)))
        .collect()
}

/// The addresses of the join subnet that somebody has.
fn held(index: &Index) -> BTreeSet<IpAddr> {
    let join = &index.defaults().settings.join;
    let records = index.records().iter();
    let records = records.filter(|(_, record)| record.subnet == *join);
    let nodes = index.inputs().nodes.values();
    let nodes = nodes.filter_map(|node| node.join.as_ref());
    let recorded = records.flat_map(|(_, record)| record.addresses.values().copied());
    let joined = nodes.flat_map(|join| join.addresses.values().copied());
    recorded.chain(joined).collect()
}

/// Every slot of the networks, in order: where they have both families, as many as both have.
fn all(networks: &CidrPair) -> impl Iterator<Item = DualStack<IpAddr>> + use<> {
    let ranges = networks.map(|_, cidr: &Cidr| slot_range(*cidr));
    let most = ranges
        .values()
        .map(|range| range.map_or(0, |it| number(it.end()) - number(it.start()) + 1));
    let most = most.min().unwrap_or_default();
    (0..most).map(move |place| {
        let mut slot = DualStack::NONE;
        for (family, range) in ranges.iter() {
            let start = range.map(|range| number(range.start()) + place);
            *slot.get_mut(family) = start.and_then(|it| family.address(it));
        }
        slot
    })
}

#[cfg(test)]
mod tests;
