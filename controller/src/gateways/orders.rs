//! Whom each daemon probes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{DualStack, NodeName};
use probe::Pace;

/// So many daemons observe a node, where there are as many others.
const OBSERVERS: usize = 5;

/// The addresses of gateway nodes on the join subnet.
pub(crate) type Targets = BTreeMap<NodeName, DualStack<IpAddr>>;

/// What the leader wants of the daemons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) pace: Pace,
    pub(crate) targets: Targets,
}

// === impl Orders ===

impl Orders {
    /// The gateway nodes that the daemon of `node` probes: those that come after it, in a ring of
    /// all by name. With many of them, that keeps the packets from growing with their square.
    pub(crate) fn of(&self, node: &NodeName) -> Targets {
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
}
