//! The ledger: which claimant gets, keeps or loses which addresses. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use controller_index::{Allocation, Claimant, Index, Node, Pod, Record, Subnet};
use controller_ipam::{
    AllocateError, Claim, ClaimKey, Ipam, Request, SubnetPool, Succession, Uid, Usage, Wish,
    slot_range,
};
use model::{CidrPair, DualStack, MacAddr, NodeName, SubnetName};

/// The allocator, fed with the records of the index.
#[derive(Debug, Default)]
pub struct Ledger {
    ipam: Ipam,
    is_rebuilt: bool,
}

/// How full the families of each subnet are.
pub type Usages = BTreeMap<SubnetName, DualStack<Usage>>;

/// What to write for a claimant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// All is as it should be.
    Settled,
    /// Addresses were chosen: write the record, then the annotations.
    Record(Recorded),
    /// The record exists: write the annotations.
    Annotate(Recorded),
    /// The claimant runs on a node that its record does not name: write the name.
    Locate {
        name: String,
        uid: String,
        node: NodeName,
    },
    /// The record's claimant is gone: delete the record.
    Forget { name: String, uid: String },
    /// There are no addresses to be had; the user must act, or wait.
    Refuse(Refusal),
}

/// Addresses of a claimant, with what its annotations tell about their subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub claimant: Claimant,
    pub uid: String,
    pub node: Option<NodeName>,
    pub subnet: SubnetName,
    pub addresses: DualStack<IpAddr>,
    pub mac: MacAddr,
    pub cidrs: CidrPair,
    pub gateways: DualStack<IpAddr>,
}

/// Why a claimant gets no addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub claimant: Claimant,
    pub uid: String,
    pub message: String,
}

/// A claimant that must have addresses, as the index knows it.
struct Needy {
    claimant: Claimant,
    uid: String,
    node: Option<NodeName>,
    subnet: SubnetName,
    /// What its annotations say was recorded.
    held: Option<(DualStack<IpAddr>, MacAddr)>,
    wish: Wish,
    mac: Option<MacAddr>,
}

// === impl Ledger ===

impl Ledger {
    /// Takes over what changed in the index and returns the claimants to decide about, those
    /// that hold something first: nothing is chosen before all that was chosen is known.
    pub fn update(&mut self, index: &mut Index) -> Vec<Claimant> {
        let claims = index.take_claims();
        let records = index.take_changed_records();
        let subnets = index.take_changed_subnets();
        let nodes_changed = claims
            .iter()
            .any(|claim| matches!(claim, Claimant::Node(_)));
        if nodes_changed {
            let all: Vec<_> = index
                .subnets()
                .iter()
                .map(|(name, _)| name.clone())
                .collect();
            self.define_subnets(index, all);
        }
        self.define_subnets(index, subnets);
        if !self.is_rebuilt {
            self.is_rebuilt = true;
            self.restore_annotations(index);
        }
        for name in records {
            self.take_over(index, &name);
        }
        let (holding, new) = claims
            .into_iter()
            .partition(|claimant| needy(index, claimant).is_some_and(|needy| needy.held.is_some()));
        let both: [Vec<Claimant>; 2] = [holding, new];
        both.concat()
    }

    /// What to write for the claimant. An address that is chosen here stays taken.
    pub fn decide(&mut self, index: &Index, claimant: &Claimant) -> Decision {
        let name = claimant.record_name();
        let record = index.records().get(&name);
        match (needy(index, claimant), record) {
            (None, None) => {
                self.release(&name);
                Decision::Settled
            }
            (None, Some(record)) => forget_unless_foreign(claimant, &name, record),
            (Some(needy), Some(record)) => match_record(index, needy, &name, record),
            (Some(needy), None) => self.allocate(index, needy),
        }
    }

    /// How full each subnet is; `None` before the first update.
    pub fn usages(&self, index: &Index) -> Option<Usages> {
        let of = |(name, subnet): (&SubnetName, &Subnet)| {
            let cidrs = &subnet.network.cidrs;
            let usage = cidrs.map(|family, _| self.ipam.usage(name, family));
            (name.clone(), usage)
        };
        self.is_rebuilt
            .then(|| index.subnets().iter().map(of).collect())
    }

    fn define_subnets(&mut self, index: &Index, names: impl IntoIterator<Item = SubnetName>) {
        let forbidden: BTreeSet<IpAddr> = index
            .nodes()
            .iter()
            .flat_map(|(_, node)| node.internal.values().copied())
            .collect();
        for name in names {
            match index.subnets().get(&name) {
                Some(subnet) => {
                    let pool = pool(index, &name, subnet, &forbidden);
                    self.ipam.set_subnet(name, subnet.network.vpc.clone(), pool);
                }
                None => self.ipam.remove_subnet(&name),
            }
        }
    }

    /// The annotations of living claimants come before any record.
    fn restore_annotations(&mut self, index: &Index) {
        let nodes = index
            .nodes()
            .iter()
            .map(|(name, _)| Claimant::Node(name.clone()));
        let pods = index
            .pods()
            .iter()
            .map(|(key, _)| Claimant::Pod(key.clone()));
        for claimant in nodes.chain(pods) {
            let Some(needy) = needy(index, &claimant) else {
                continue;
            };
            let Some((addresses, mac)) = needy.held else {
                continue;
            };
            self.restore(Claim {
                key: ClaimKey::new(claimant.record_name()),
                uid: Some(Uid::new(needy.uid)),
                subnet: needy.subnet,
                addresses,
                mac,
            });
        }
    }

    /// A record that vanished brings its claimant up for decision, so there is nothing to do here.
    fn take_over(&mut self, index: &Index, name: &str) {
        let Some(record) = index.records().get(&name.to_owned()) else {
            return;
        };
        self.restore(Claim {
            key: ClaimKey::new(name),
            uid: record.claimant_uid.clone().map(Uid::new),
            subnet: record.subnet.clone(),
            addresses: record.addresses,
            mac: record.mac,
        });
    }

    fn restore(&mut self, claim: Claim) {
        let key = claim.key.clone();
        if let Err(conflict) = self.ipam.restore(claim) {
            tracing::warn!(record = %key, %conflict, "Two records disagree");
        }
    }

    fn release(&mut self, name: &str) {
        let key = ClaimKey::new(name);
        let Some(claim) = self.ipam.claim(&key) else {
            return;
        };
        let uid = claim.uid.clone().unwrap_or_else(|| Uid::new(""));
        self.ipam.release(&key, &uid);
    }

    fn allocate(&mut self, index: &Index, needy: Needy) -> Decision {
        let request = Request {
            key: ClaimKey::new(needy.claimant.record_name()),
            uid: Uid::new(needy.uid.clone()),
            subnet: needy.subnet.clone(),
            wish: needy.wish.clone(),
            mac: needy.mac,
            succession: Succession::Replace,
        };
        match self.ipam.allocate(&request) {
            Ok(claim) => recorded(index, needy, claim.addresses, claim.mac)
                .map_or(Decision::Settled, Decision::Record),
            Err(error) => refuse(needy, &error),
        }
    }
}

fn refuse(needy: Needy, error: &AllocateError) -> Decision {
    let Needy { claimant, uid, .. } = needy;
    Decision::Refuse(Refusal {
        claimant,
        uid,
        message: error.to_string(),
    })
}

/// A record of another kind of port, or of somebody else, is not ours to delete.
fn forget_unless_foreign(claimant: &Claimant, name: &str, record: &Record) -> Decision {
    let is_ours = record.claimant == *claimant && !matches!(claimant, Claimant::Unknown(_));
    if is_ours {
        Decision::Forget {
            name: name.to_owned(),
            uid: record.uid.clone(),
        }
    } else {
        Decision::Settled
    }
}

/// A record of a former object of the same name goes first; its deletion brings us here again.
fn match_record(index: &Index, needy: Needy, name: &str, record: &Record) -> Decision {
    let is_former = record
        .claimant_uid
        .as_ref()
        .is_some_and(|uid| *uid != needy.uid);
    if record.claimant != needy.claimant {
        let message = format!(
            "the name `{name}` is taken by the IP object of {}; rename one of the two",
            record.claimant
        );
        let Needy { claimant, uid, .. } = needy;
        return Decision::Refuse(Refusal {
            claimant,
            uid,
            message,
        });
    }
    if is_former {
        return Decision::Forget {
            name: name.to_owned(),
            uid: record.uid.clone(),
        };
    }
    if needy.held.is_some() {
        return locate(needy.node, name, record);
    }
    let needy = Needy {
        subnet: record.subnet.clone(),
        ..needy
    };
    recorded(index, needy, record.addresses, record.mac)
        .map_or(Decision::Settled, Decision::Annotate)
}

/// A pod gets its addresses before it gets its node.
fn locate(node: Option<NodeName>, name: &str, record: &Record) -> Decision {
    match node.filter(|node| record.node.as_ref() != Some(node)) {
        Some(node) => Decision::Locate {
            name: name.to_owned(),
            uid: record.uid.clone(),
            node,
        },
        None => Decision::Settled,
    }
}

fn recorded(
    index: &Index,
    needy: Needy,
    addresses: DualStack<IpAddr>,
    mac: MacAddr,
) -> Option<Recorded> {
    let network = &index.subnets().get(&needy.subnet)?.network;
    Some(Recorded {
        cidrs: network.cidrs,
        gateways: network.gateways,
        claimant: needy.claimant,
        uid: needy.uid,
        node: needy.node,
        subnet: needy.subnet,
        addresses,
        mac,
    })
}

/// The claimant as one that must have addresses; `None` when it must not, or does not exist.
fn needy(index: &Index, claimant: &Claimant) -> Option<Needy> {
    match claimant {
        Claimant::Pod(key) => {
            let pod = index.pods().get(key).filter(|pod| pod.needs_addresses())?;
            Some(needy_pod(claimant, pod, index.subnet_of(key, pod)))
        }
        Claimant::Node(name) => {
            let join = index.defaults().settings.join.clone();
            Some(needy_node(claimant, name, index.nodes().get(name)?, join))
        }
        Claimant::Unknown(_) => None,
    }
}

fn needy_pod(claimant: &Claimant, pod: &Pod, subnet: SubnetName) -> Needy {
    let held = pod.allocation.as_ref();
    let addresses = held.map_or(pod.wish.addresses, |held| held.addresses);
    Needy {
        claimant: claimant.clone(),
        uid: pod.uid.clone(),
        node: pod.node.clone(),
        subnet: held.map_or(subnet, |Allocation { subnet, .. }| subnet.clone()),
        held: held.map(|held| (held.addresses, held.mac)),
        wish: wish(addresses),
        mac: held
            .map(|held| held.mac)
            .or_else(|| pod.wish.mac.filter(|_| !addresses.is_empty())),
    }
}

fn needy_node(claimant: &Claimant, name: &NodeName, node: &Node, join: SubnetName) -> Needy {
    let held = node.join.as_ref().map(|join| (join.addresses, join.mac));
    Needy {
        claimant: claimant.clone(),
        uid: node.uid.clone(),
        node: Some(name.clone()),
        subnet: join,
        held,
        wish: wish(held.map_or(node.wanted, |(addresses, _)| addresses)),
        mac: held.map(|(_, mac)| mac),
    }
}

fn wish(addresses: DualStack<IpAddr>) -> Wish {
    if addresses.is_empty() {
        Wish::Any
    } else {
        Wish::Addresses(addresses)
    }
}

fn pool(
    index: &Index,
    name: &SubnetName,
    subnet: &Subnet,
    forbidden: &BTreeSet<IpAddr>,
) -> SubnetPool {
    let network = &subnet.network;
    let settings = &index.defaults().settings;
    let router = index
        .vpcs()
        .get(&network.vpc)
        .map(|vpc| vpc.router.as_str());
    let slots = network.cidrs.values().filter_map(|cidr| slot_range(*cidr));
    let slots = slots.filter(|_| *name == settings.join);
    SubnetPool {
        cidrs: network.cidrs,
        gateways: network.gateways,
        excludes: subnet.excludes.iter().copied().chain(slots).collect(),
        forbidden: forbidden.clone(),
        router_mac: router.map(|router| MacAddr::from_name(&format!("{router}-{name}"))),
    }
}

#[cfg(test)]
mod tests;
