//! Sets of gateway nodes.

use std::fmt;
use std::str::FromStr;

use crate::NodeName;
use crate::mac::fnv1a;

/// The nodes by which traffic of subnets leaves: at least one.
///
/// Traffic is sent to the set's slots, addresses that nodes have. Each slot has an order in which
/// the nodes may have it, so that those of a node that failed go to several others, and go back
/// when it returns, while no other slot moves.
///
/// Printed as `n1,n2` where all carry traffic, and as `n1>n2` where the first does that can.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewaySet {
    sharing: Sharing,
    members: Vec<NodeName>,
}

/// How the nodes of a set share its traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sharing {
    All,
    First,
}

/// The text names no set of nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no set of nodes; write `n1,n2`, or `n1>n2` where the first carries all")]
pub struct InvalidGatewaySet(String);

/// So many slots a node has where several carry traffic.
const SLOTS: usize = 4;

// === impl GatewaySet ===

impl GatewaySet {
    /// `None` without a node. The order of the nodes counts where only the first carries traffic.
    pub fn new(sharing: Sharing, nodes: impl IntoIterator<Item = NodeName>) -> Option<Self> {
        let mut members: Vec<NodeName> = Vec::new();
        for node in nodes {
            if !members.contains(&node) {
                members.push(node);
            }
        }
        let sharing = match members.len() {
            0 => return None,
            1 => Sharing::All,
            _ => sharing,
        };
        if sharing == Sharing::All {
            members.sort();
        }
        Some(Self { sharing, members })
    }

    pub fn members(&self) -> impl Iterator<Item = &NodeName> {
        self.members.iter()
    }

    pub fn contains(&self, node: &NodeName) -> bool {
        self.members.contains(node)
    }

    /// How many slots the set should have.
    pub const fn slots(&self) -> usize {
        match (self.sharing, self.members.len()) {
            (Sharing::First, _) | (Sharing::All, 1) => 1,
            (Sharing::All, nodes) => nodes * SLOTS,
        }
    }

    /// With fewer slots than that the traffic could not be shared evenly.
    pub const fn step(&self) -> usize {
        match self.sharing {
            Sharing::First => 1,
            Sharing::All => self.members.len(),
        }
    }

    /// Who may have the slot with this number, the nodes that come first before the others. The
    /// first one is its home.
    pub fn candidates(&self, slot: usize) -> impl Iterator<Item = &NodeName> {
        let count = self.members.len();
        let (home, round) = match self.sharing {
            Sharing::All => (slot % count, slot / count),
            Sharing::First => (0, 0),
        };
        let others = count - 1;
        let heirs = (0..others).map(move |place| home + 1 + (round + place) % others);
        std::iter::once(home)
            .chain(heirs)
            .filter_map(move |place| self.members.get(place % count))
    }

    /// The same in OVN's match expressions: a hash, as there may be many nodes.
    pub fn identifier(&self) -> String {
        format!("gw.{:016x}", fnv1a(self.to_string().as_bytes()))
    }
}

// === impl Sharing ===

impl Sharing {
    const fn separator(self) -> &'static str {
        match self {
            Self::All => ",",
            Self::First => ">",
        }
    }
}

impl fmt::Display for GatewaySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, node) in self.members.iter().enumerate() {
            let separator = if place == 0 {
                ""
            } else {
                self.sharing.separator()
            };
            write!(f, "{separator}{node}")?;
        }
        Ok(())
    }
}

impl FromStr for GatewaySet {
    type Err = InvalidGatewaySet;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sharing = if text.contains(Sharing::First.separator()) {
            Sharing::First
        } else {
            Sharing::All
        };
        let nodes = text.split(sharing.separator()).map(NodeName::new);
        let nodes: Option<Vec<NodeName>> = nodes.map(Result::ok).collect();
        nodes
            .and_then(|nodes| Self::new(sharing, nodes))
            .ok_or_else(|| InvalidGatewaySet(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates(set: &str, slot: usize) -> String {
        let set: GatewaySet = set.parse().unwrap();
        let names: Vec<&str> = set.candidates(slot).map(NodeName::as_str).collect();
        names.join(" ")
    }

    #[test]
    fn the_order_of_nodes_counts_only_where_the_first_carries_all() {
        let parse = |text: &str| text.parse::<GatewaySet>().unwrap();
        assert_eq!(parse("b,a,b"), parse("a,b"));
        assert_ne!(parse("b>a"), parse("a>b"));
        assert_ne!(parse("a>b"), parse("a,b"));
        assert_eq!(parse("b>a>b").to_string(), "b>a");
        let one = GatewaySet::new(Sharing::First, parse("a").members().cloned());
        assert_eq!(one, Some(parse("a")));
        assert_eq!(GatewaySet::new(Sharing::All, []), None);
        assert!("".parse::<GatewaySet>().is_err() && "a,".parse::<GatewaySet>().is_err());
    }

    #[test]
    fn the_slots_of_a_node_have_different_heirs() {
        assert_eq!(candidates("a,b,c", 0), "a b c");
        assert_eq!(candidates("a,b,c", 3), "a c b");
        assert_eq!(candidates("a,b,c", 1), "b c a");
        assert_eq!(candidates("a,b,c", 4), "b a c");
        assert_eq!(candidates("c>a>b", 0), "c a b");
        assert_eq!(candidates("a", 0), "a");
    }

    #[test]
    fn a_set_has_an_identifier_that_expressions_can_hold() {
        let set: GatewaySet = "a-b,c.d".parse().unwrap();
        let id = set.identifier();
        assert!(id.len() == 19 && !id.contains('-'), "{id}");
    }

    fn any_set() -> impl Strategy<Value = GatewaySet> {
        let sharing = prop_oneof![Just(Sharing::All), Just(Sharing::First)];
        (sharing, proptest::collection::vec("[a-f]", 1..6)).prop_map(|(sharing, names)| {
            let nodes = names.into_iter().map(|name| NodeName::new(name).unwrap());
            GatewaySet::new(sharing, nodes).unwrap()
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_read(set in any_set()) {
            prop_assert_eq!(set.to_string().parse(), Ok(set));
        }

        #[test]
        fn every_node_is_a_candidate_once(set in any_set(), slot in 0_usize..40) {
            let mut found: Vec<&NodeName> = set.candidates(slot).collect();
            let mut all: Vec<&NodeName> = set.members().collect();
            found.sort();
            all.sort();
            prop_assert_eq!(found, all);
        }

        #[test]
        fn every_node_is_home_to_as_many_slots(set in any_set()) {
            let homes = (0..set.slots()).filter_map(|slot| set.candidates(slot).next());
            let homes: Vec<&NodeName> = homes.collect();
            let count = |node: &NodeName| homes.iter().filter(|it| **it == node).count();
            if set.sharing == Sharing::All {
                prop_assert!(set.members().all(|it| count(it) == set.slots() / set.step()));
            }
        }
    }
}
