//! What the last leader decided, as the northbound database shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use controller_index::{Inputs, Liveness};
use model::{NodeName, Owner};
use ovn::nb::logical_switch_port as lsp;
use ovn::{RowKey, View};

/// The nodes that are ready and had none of the slots that come to them first.
pub(crate) fn silent_before(inputs: &Inputs, view: &View) -> BTreeSet<NodeName> {
    let holders = holders(inputs, view);
    let mut silent = BTreeSet::new();
    for (set, slots) in &inputs.gateways {
        for (number, slot) in slots.iter().enumerate() {
            let mut addresses = slot.values();
            let Some(holder) = addresses.find_map(|address| holders.get(address)) else {
                continue;
            };
            let passed_over = set.candidates(number).take_while(|it| it != holder);
            silent.extend(passed_over.filter(|it| could_carry(inputs, it)).cloned());
        }
    }
    silent
}

/// By the addresses of the nodes' ports.
fn holders<'a>(inputs: &'a Inputs, view: &View) -> BTreeMap<IpAddr, &'a NodeName> {
    let mut holders = BTreeMap::new();
    for name in inputs.nodes.keys() {
        let rows = view.rows_of(&Owner::Node(name.clone()));
        let port = rows.get(&RowKey::LogicalSwitchPort(name.lsp()));
        let texts = port.and_then(|port| port.get(lsp::ADDRESSES));
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        let words = texts.iter().flat_map(|text| text.split(' '));
        holders.extend(words.filter_map(|word| Some((word.parse().ok()?, name))));
    }
    holders
}

fn could_carry(inputs: &Inputs, name: &NodeName) -> bool {
    let node = inputs.nodes.get(name);
    node.is_some_and(|node| node.liveness == Liveness::Alive && node.join.is_some())
}
