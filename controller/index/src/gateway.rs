//! Gateway nodes: which nodes the traffic of centralized subnets leaves by, and their slots.
//!
//! The slots of a set of nodes are chosen once and recorded on the join subnet. Who has a slot at
//! the moment follows from the record and from which nodes are alive; it is recorded nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use controller_plan::{GatewayMode, Liveness, Slot};
use model::{DualStack, GatewaySet, NodeName, Owner, Sharing};

use crate::acceptance::{Effect, Fault};
use crate::index::Index;
use crate::kept::Kept;
use crate::selector::Selector;
use crate::subnet::{Subnet, told};
use crate::text::require;

/// The gateway nodes that a subnet asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gateways {
    pub(crate) names: Vec<NodeName>,
    pub(crate) selectors: Vec<Selector>,
    pub(crate) sharing: Sharing,
}

/// The slots of each set of gateway nodes, as recorded in the annotation
/// `api::annotation::GATEWAY_SLOTS` of the join subnet: `<set> <slot> <slot> ...; <set> ...`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slots(pub BTreeMap<GatewaySet, Vec<Slot>>);

/// The text is no such record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `<set> <slot> <slot> ...; <set> ...`")]
pub struct InvalidSlots(String);

/// The field that names gateway nodes.
const FIELD: &str = "spec.gatewayNode";

/// A node by which traffic of subnets leaves, as far as probes are concerned with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayNode {
    pub uid: String,
    /// What kubelet says.
    pub liveness: Liveness,
    /// Of its port on the join subnet, `ovn0`.
    pub addresses: DualStack<IpAddr>,
}

// === impl Gateways ===

impl Gateways {
    /// What the subnet asks for, without what cannot be read.
    pub(crate) fn parse(spec: &api::SubnetSpec, faults: &mut Vec<Fault>) -> Self {
        let names = spec.gateway_nodes().map(|text| require(FIELD, text));
        let names = names.filter_map(|it| told(it, faults)).collect();
        let selectors = spec.gateway_node_selectors.iter();
        let selectors = selectors.map(|it| Selector::parse("spec.gatewayNodeSelectors", it));
        let selectors = selectors.filter_map(|it| told(it, faults)).collect();
        Self {
            names,
            selectors,
            sharing: match spec.enable_ecmp {
                Some(false) => Sharing::First,
                Some(true) | None => Sharing::All,
            },
        }
    }
}

// === impl Slots ===

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (set, slots)) in self.0.iter().enumerate() {
            write!(f, "{}{set}", if place == 0 { "" } else { "; " })?;
            for slot in slots {
                write!(f, " {slot}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Slots {
    type Err = InvalidSlots;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entry = |entry: &str| {
            let mut words = entry.split_whitespace();
            let set = words.next()?.parse().ok()?;
            let slots: Option<Vec<Slot>> = words.map(|word| word.parse().ok()).collect();
            Some((set, slots?))
        };
        let entries = text.split(';').filter(|it| !it.trim().is_empty());
        let entries: Option<BTreeMap<_, _>> = entries.map(entry).collect();
        entries
            .map(Self)
            .ok_or_else(|| InvalidSlots(text.to_owned()))
    }
}

// === impl Subnet ===

impl Subnet {
    fn is_centralized(&self) -> bool {
        matches!(self.network.gateway_mode, GatewayMode::Centralized(_))
    }
}

// === impl Index ===

impl Index {
    /// The subnet's gateways, with the nodes that there are.
    pub(crate) fn gateway_mode(&self, subnet: &Subnet) -> GatewayMode {
        match subnet.network.gateway_mode {
            GatewayMode::Distributed => GatewayMode::Distributed,
            GatewayMode::Centralized(_) => {
                let Gateways {
                    names,
                    selectors,
                    sharing,
                } = &subnet.gateways;
                let nodes = self.nodes.iter();
                let selected = nodes.filter(|(_, node)| {
                    let mut selectors = selectors.iter();
                    selectors.any(|selector| selector.selects(&node.labels))
                });
                let selected = selected.map(|(name, _)| name);
                let all = names.iter().chain(selected).cloned();
                GatewayMode::Centralized(GatewaySet::new(*sharing, all))
            }
        }
    }

    /// A node that does not exist carries nothing; the others do.
    pub(crate) fn gateway_faults(&self, subnet: &Subnet) -> Vec<Fault> {
        let names = subnet.gateways.names.iter();
        let names = names.filter(|_| subnet.is_centralized());
        let unknown = names.filter(|name| self.nodes.get(name).is_none());
        let fault = |name: &NodeName| {
            let cause = "there is no such node; create it or remove it from the list";
            Fault::new(Effect::Told, FIELD, name.to_string(), cause.to_owned())
        };
        unknown.map(fault).collect()
    }

    /// Whether some subnet's gateways depend on which nodes there are, and on their labels.
    pub(crate) fn names_gateways(&self) -> bool {
        self.subnets.iter().any(|(_, it)| it.is_centralized())
    }

    /// Of recorded slots those that can be used: of sets that subnets have, and each an address of
    /// the join subnet in all of its families that no other slot is.
    pub fn usable(&self, recorded: &Slots) -> Slots {
        let mut taken = BTreeSet::new();
        let sets = self.gateway_sets();
        let mut usable = BTreeMap::new();
        for set in sets {
            let slots = recorded.0.get(&set).into_iter().flatten();
            let slots = slots.filter(|slot| {
                let mut addresses = slot.values();
                self.is_in_join(slot) && addresses.all(|address| taken.insert(*address))
            });
            let slots = slots.copied().collect();
            usable.insert(set, slots);
        }
        Slots(usable)
    }

    /// The members of all sets that exist and have a port on the join subnet.
    pub fn gateway_nodes(&self) -> BTreeMap<NodeName, GatewayNode> {
        let members = self.inputs.gateways.keys().flat_map(GatewaySet::members);
        let nodes = members.filter_map(|name| {
            let node = self.nodes.get(name)?;
            let join = self.inputs.nodes.get(name)?.join.as_ref()?;
            let node = GatewayNode {
                uid: node.uid.clone(),
                liveness: node.liveness,
                addresses: join.addresses,
            };
            Some((name.clone(), node))
        });
        nodes.collect()
    }

    fn is_in_join(&self, slot: &Slot) -> bool {
        let join = self.inputs.subnets.get(&self.defaults.settings.join);
        join.is_some_and(|join| {
            let is_gateway = |it: &IpAddr| join.gateways.values().any(|gateway| gateway == it);
            let mut cidrs = join.cidrs.iter();
            slot.values().count() == join.cidrs.values().count()
                && cidrs.all(|(family, cidr)| {
                    let address = slot.get(family);
                    address.is_some_and(|it| cidr.contains(*it) && !is_gateway(it))
                })
        })
    }

    fn gateway_sets(&self) -> BTreeSet<GatewaySet> {
        let subnets = self.inputs.subnets.values();
        let sets = subnets.filter_map(|subnet| self.inputs.gateway_of(subnet));
        sets.cloned().collect()
    }

    /// Brings the planner's sets of gateway nodes up to date with subnets and record.
    pub(crate) fn derive_gateways(&mut self) {
        let join = self.defaults.settings.join.clone();
        let none = Slots::default();
        let recorded = self.subnets.get(&join).map_or(&none, |it| &it.slots);
        let Slots(new) = self.usable(recorded);
        if new == self.inputs.gateways {
            return;
        }
        let old = std::mem::replace(&mut self.inputs.gateways, new.clone());
        let all: BTreeSet<&GatewaySet> = old.keys().chain(new.keys()).collect();
        for set in all {
            if old.get(set) != new.get(set) {
                self.dirty_gateway(set);
            }
        }
        self.keep(Kept::Subnet(join));
    }

    /// A node came, went, failed or returned: slots may be elsewhere.
    pub(crate) fn dirty_gateways_of(&mut self, node: &NodeName) {
        let sets = self.inputs.gateways.keys();
        let sets: Vec<_> = sets.filter(|set| set.contains(node)).cloned().collect();
        for set in sets {
            self.dirty_gateway(&set);
        }
    }

    pub(crate) fn dirty_gateway(&mut self, set: &GatewaySet) {
        self.dirty.insert(Owner::Gateway(set.clone()));
        self.dirty.extend(set.members().cloned().map(Owner::Node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_can_be_read() {
        let text = "n1,n2 100.64.240.0,fd00::f0 100.64.240.1,fd00::f1; n3>n1 100.64.240.9";
        let slots: Slots = text.parse().unwrap();
        assert_eq!(slots.0.len(), 2);
        assert_eq!(slots.to_string(), text);
        assert_eq!("".parse(), Ok(Slots::default()));
        assert!("n1 nonsense".parse::<Slots>().is_err());
    }
}
