//! The ledger: which claimant gets, keeps or loses which addresses. No I/O.

mod decision;
mod edited;
mod needy;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use controller_index::{
    Allocation, Claimant, Index, IpPool, Provision, Record, RouterLink, Subnet,
};
use controller_ipam::{
    AllocateError, Claim, ClaimKey, Content, Ipam, SubnetPool, Succession, Uid, Usage, slot_range,
};
use model::{DualStack, IpPoolName, NodeName, SubnetName};

use edited::record_or_mend;
use needy::{Needy, awaits_namespace, needy, slot, unfit};

pub use decision::{Decision, Lifetime, Recorded, Refusal};

/// The allocator, fed with the records of the index.
#[derive(Debug, Default)]
pub struct Ledger {
    ipam: Ipam,
    is_rebuilt: bool,
    /// Who got nothing, by the subnet whose addresses are missing; for want of a MAC, by none.
    refused: BTreeMap<Option<SubnetName>, BTreeSet<Claimant>>,
    /// Those of them who may get something now.
    retries: BTreeSet<Claimant>,
    /// Records that are not known yet, of what was chosen here.
    chosen: BTreeSet<String>,
    /// Records that named their claimants. One that no longer does was edited; one that never did is
    /// of Kube-OVN, or of a user.
    naming: BTreeSet<String>,
}

/// What each `IPPool` has.
pub type Contents = BTreeMap<IpPoolName, DualStack<Content>>;

/// How full the families of each subnet are.
pub type Usages = BTreeMap<SubnetName, DualStack<Usage>>;

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
        let has_something = |needy: Needy| needy.held.is_some() || needy.annotated.is_some();
        let (holding, new) = claims
            .into_iter()
            .partition(|claimant| needy(index, claimant).is_some_and(has_something));
        let both: [Vec<Claimant>; 2] = [holding, new];
        both.concat()
    }

    /// Who got nothing before and may get something since an address is free again.
    pub fn take_retries(&mut self) -> BTreeSet<Claimant> {
        std::mem::take(&mut self.retries)
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
            (None, Some(record)) => forget_unless_kept(index, claimant, &name, record)
                .unwrap_or_else(|| self.heed(claimant, &name, record)),
            (Some(needy), Some(record)) => self.match_record(index, needy, &name, record),
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

    /// What each `IPPool` has, in each family; `None` before the first update.
    pub fn pools(&self, index: &Index) -> Option<Contents> {
        let of = |(name, pool): (&IpPoolName, &IpPool)| {
            let content = self.ipam.pool_content(&pool.subnet, name);
            (name.clone(), content)
        };
        self.is_rebuilt
            .then(|| index.ip_pools().iter().map(of).collect())
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

    /// What living claimants hold comes before any record.
    fn restore_annotations(&mut self, index: &Index) {
        let nodes = index
            .nodes()
            .iter()
            .map(|(name, _)| Claimant::Node(name.clone()));
        let pods = index
            .pods()
            .iter()
            .map(|(key, _)| Claimant::Pod(key.clone()));
        let vips = index
            .vips()
            .iter()
            .map(|(name, _)| Claimant::Vip(name.clone()));
        for claimant in nodes.chain(pods).chain(vips) {
            if let Some(claim) = needy(index, &claimant).and_then(|needy| needy.claim()) {
                self.restore(claim);
            }
        }
    }

    fn restore(&mut self, claim: Claim) {
        let key = claim.key.clone();
        if let Err(conflict) = self.ipam.restore(claim) {
            tracing::warn!(record = %key, %conflict, "Two records disagree");
        }
    }

    /// Whoever waits for an address of the subnet may get one now.
    fn release(&mut self, name: &str) {
        let key = ClaimKey::new(name);
        self.chosen.remove(name);
        let Some(claim) = self.ipam.claim(&key) else {
            return;
        };
        let uid = claim.uid.clone().unwrap_or_else(|| Uid::new(""));
        if let Some(released) = self.ipam.release(&key, &uid) {
            for missing in [Some(released.subnet), None] {
                let waiting = self.refused.remove(&missing);
                self.retries.extend(waiting.into_iter().flatten());
            }
        }
    }

    fn allocate(&mut self, index: &Index, needy: Needy) -> Decision {
        if awaits_namespace(index, &needy) {
            return Decision::Settled;
        }
        let why = index.why_none(&needy.claimant, &needy.subnet);
        let unfit = || unfit(index, &needy.subnet).or_else(|| slot(index, &needy));
        if let Some(message) = why.or_else(unfit) {
            return Decision::Refuse(needy.refuse(message));
        }
        let hinted = needy.hint().map(|hint| self.ipam.allocate(&hint));
        let allocated = match hinted {
            Some(Ok(claim)) => Ok(claim),
            Some(Err(_)) | None => self.ipam.allocate(&needy.request(Succession::Replace)),
        };
        match allocated {
            Ok(claim) => {
                if needy.held.is_none() {
                    self.chosen.insert(claim.key.to_string());
                }
                record_or_mend(index, needy, allocation(&claim))
            }
            Err(error) => {
                let has_mac = !matches!(error, AllocateError::MacConflict { .. });
                let missing = has_mac.then(|| needy.subnet.clone());
                let refused = self.refused.entry(missing).or_default();
                refused.insert(needy.claimant.clone());
                Decision::Refuse(needy.refuse(error.to_string()))
            }
        }
    }

    fn match_record(
        &mut self,
        index: &Index,
        needy: Needy,
        name: &str,
        record: &Record,
    ) -> Decision {
        if record.claimant != needy.claimant {
            if let Some(own) = self.own(&needy, record.claimant_uid.as_ref()) {
                return self.mend(index, needy, record, own);
            }
            let message = format!(
                "the name `{name}` is taken by the IP object of {}; rename one of the two",
                record.claimant
            );
            return Decision::Refuse(needy.refuse(message));
        }
        if !record.is_for(&needy.uid) {
            return self.succeed(index, needy, name, record);
        }
        let granted = match self.granted(&needy) {
            Ok(granted) => granted,
            Err(message) => return Decision::Refuse(needy.refuse(message)),
        };
        let granted = granted.or_else(|| needy.held.clone());
        let granted = granted.unwrap_or_else(|| record.allocation());
        if !needy.is_told || needy.annotated.as_ref() != Some(&granted) {
            let recorded = needy.recorded(index, granted);
            return recorded.map_or(Decision::Settled, Decision::Annotate);
        }
        let lost_claimant = record.claimant_uid.is_none() && self.naming.contains(name);
        if record.allocation() != granted || !record.is_labelled || lost_claimant {
            return self.mend(index, needy, record, granted);
        }
        locate(needy.node, name, record)
    }

    /// What the claimant was given, whatever its annotations say; `None` if that is not known. An
    /// error names who has what it holds.
    fn granted(&self, needy: &Needy) -> Result<Option<Allocation>, String> {
        let Some(held) = needy.claim() else {
            return Ok(None);
        };
        if let Some(claim) = self.ipam.claim(&held.key) {
            let is_own = claim
                .uid
                .as_ref()
                .is_some_and(|uid| uid.as_str() == needy.uid);
            return Ok(is_own.then(|| allocation(claim)));
        }
        let mut addresses = held.addresses.values();
        let taken = addresses.find_map(|it| Some((it, self.ipam.holder(&held.subnet, *it)?)));
        match taken {
            None => Ok(None),
            Some((address, holder)) => Err(format!(
                "{address} of subnet `{}` is recorded for it and held by `{}`, which keeps it; \
                 delete and create it again for another address",
                held.subnet, holder.key
            )),
        }
    }

    /// A record of a former object of the same name goes first; its deletion brings us here again.
    /// But in a StatefulSet the name is what counts: a pod takes over the record of the one before
    /// it, unless it asks for something else.
    fn succeed(&mut self, index: &Index, needy: Needy, name: &str, record: &Record) -> Decision {
        let inherits = needy.place.is_some() && needy.place == record.place;
        let request = needy.request(Succession::Inherit);
        let renewed = self.ipam.preview(&request).ok();
        let recorded = record.allocation();
        let is_same = renewed.is_some_and(|renewed| allocation(&renewed) == recorded);
        if inherits && is_same && self.ipam.allocate(&request).is_ok() {
            let record = record.uid.clone();
            let renew = |recorded| Decision::Renew { record, recorded };
            return needy
                .recorded(index, recorded)
                .map_or(Decision::Settled, renew);
        }
        Decision::Forget {
            name: name.to_owned(),
            uid: record.uid.clone(),
        }
    }
}

fn allocation(claim: &Claim) -> Allocation {
    Allocation {
        subnet: claim.subnet.clone(),
        addresses: claim.addresses,
        mac: claim.mac,
    }
}

/// A record of another kind of port, or of somebody else, is not ours to delete. One of a place in a
/// StatefulSet waits there for the next pod.
fn forget_unless_kept(
    index: &Index,
    claimant: &Claimant,
    name: &str,
    record: &Record,
) -> Option<Decision> {
    let is_ours = record.claimant == *claimant && !matches!(claimant, Claimant::Unknown(_));
    let is_kept = record
        .place
        .as_ref()
        .is_some_and(|place| index.keeps(place));
    (is_ours && !is_kept).then(|| Decision::Forget {
        name: name.to_owned(),
        uid: record.uid.clone(),
    })
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
    // elsewhere an address of a node is like any other
    let is_overlay_of_nodes = network.vpc == settings.default_vpc
        && network.router_link == RouterLink::Connected
        && subnet.provision == Provision::Network;
    SubnetPool {
        cidrs: network.cidrs,
        gateways: network.gateways,
        former_gateways: index.former_gateways(name),
        excludes: subnet.excludes.iter().copied().chain(slots).collect(),
        pools: index
            .pools_of(name)
            .map(|(pool, it)| (pool.clone(), it.ranges.clone()))
            .collect(),
        forbidden: if is_overlay_of_nodes {
            forbidden.clone()
        } else {
            BTreeSet::new()
        },
        router_mac: router.map(|router| index.inputs().router_mac(name, router)),
    }
}

#[cfg(test)]
mod tests;
