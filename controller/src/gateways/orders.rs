//! Whom each daemon probes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{DualStack, NodeName};
use probe::Pace;

/// So many daemons observe a node, where there are as many others.
const OBSERVERS: usize = 5;

/// With fewer gateway nodes than that, other nodes observe them, too.
const VOICES: usize = 3;

/// The addresses of gateway nodes on the join subnet.
pub(crate) type Targets = BTreeMap<NodeName, DualStack<IpAddr>>;

/// What the leader wants of the daemons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) pace: Pace,
    pub(crate) targets: Targets,
    /// Nodes that are no gateways, and observe all of them.
    pub(crate) witnesses: BTreeSet<NodeName>,
}

/// The witnesses that so many gateway nodes need, so that two voices are left when one of them fails:
/// the first of the others by name.
pub(crate) fn witnesses<'a>(
    targets: &Targets,
    ready: impl Iterator<Item = &'a NodeName>,
) -> BTreeSet<NodeName> {
    let missing = match targets.len() {
        0 => 0,
        nodes => VOICES.saturating_sub(nodes),
    };
    let others = ready.filter(|name| !targets.contains_key(*name));
    others.take(missing).cloned().collect()
}

// === impl Orders ===

impl Orders {
    /// The gateway nodes that the daemon of `node` probes: those that come after it, in a ring of
    /// all by name. With many of them, that keeps the packets from growing with their square.
    pub(crate) fn of(&self, node: &NodeName) -> Targets {
        if self.witnesses.contains(node) {
            return self.targets.clone();
        }
        if !self.targets.contains_key(node) {
            return Targets::new();
        }
        let after = self.targets.iter().skip_while(|(name, _)| *name != node);
        let before = self.targets.iter().take_while(|(name, _)| *name != node);
        let others = after.skip(1).chain(before).take(OBSERVERS);
        others.map(|(name, it)| (name.clone(), *it)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(nodes: usize) -> Orders {
        let targets = (0..nodes).map(|number| {
            let name = NodeName::new(format!("n{number:03}")).unwrap();
            (name, DualStack::NONE)
        });
        Orders {
            pace: Pace::default(),
            targets: targets.collect(),
            witnesses: BTreeSet::new(),
        }
    }

    #[test]
    fn gateway_nodes_observe_one_another_and_each_has_five_observers_at_most() {
        for nodes in [1, 2, 3, 6, 40] {
            let orders = orders(nodes);
            let of_all = orders.targets.keys().map(|node| (node, orders.of(node)));
            let of_all: Vec<_> = of_all.collect();
            assert!(of_all.iter().all(|(node, it)| !it.contains_key(*node)));
            let each = (nodes - 1).min(OBSERVERS);
            let observers = |node| {
                of_all
                    .iter()
                    .filter(|(_, it)| it.contains_key(node))
                    .count()
            };
            assert!(orders.targets.keys().all(|node| observers(node) == each));
        }
    }

    #[test]
    fn a_node_that_is_no_gateway_observes_nobody() {
        let other = NodeName::new("other").unwrap();
        assert!(orders(3).of(&other).is_empty());
    }

    #[test]
    fn few_gateway_nodes_have_witnesses_who_observe_them_all() {
        let others: Vec<NodeName> = ["a", "b", "c"].map(|it| NodeName::new(it).unwrap()).into();
        for (nodes, count) in [(0, 0), (1, 2), (2, 1), (3, 0)] {
            let mut orders = orders(nodes);
            let all = orders.targets.keys().chain(&others);
            orders.witnesses = witnesses(&orders.targets, all);
            assert_eq!(orders.witnesses.len(), count);
            let observed = others.iter().map(|it| orders.of(it).len());
            assert_eq!(observed.sum::<usize>(), nodes * count);
        }
    }
}
