//! The claims, and who holds an address or a MAC address.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{IpFamily, MacAddr, SubnetName};

use crate::{Claim, ClaimKey};

/// Every claim with its two secondary indexes. An address has one holder in its subnet; a MAC may
/// have several, in different VPCs or as the records had it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Registry {
    claims: BTreeMap<ClaimKey, Claim>,
    holders: BTreeMap<SubnetName, Held>,
    macs: BTreeMap<MacAddr, BTreeSet<ClaimKey>>,
}

/// The addresses in use in a subnet and their holders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Held {
    v4: BTreeMap<IpAddr, ClaimKey>,
    v6: BTreeMap<IpAddr, ClaimKey>,
}

// === impl Held ===

impl Held {
    const fn of(&self, family: IpFamily) -> &BTreeMap<IpAddr, ClaimKey> {
        match family {
            IpFamily::V4 => &self.v4,
            IpFamily::V6 => &self.v6,
        }
    }

    const fn of_mut(&mut self, family: IpFamily) -> &mut BTreeMap<IpAddr, ClaimKey> {
        match family {
            IpFamily::V4 => &mut self.v4,
            IpFamily::V6 => &mut self.v6,
        }
    }

    fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

// === impl Registry ===

impl Registry {
    pub(crate) fn get(&self, key: &ClaimKey) -> Option<&Claim> {
        self.claims.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values()
    }

    /// Who has `address` in `subnet`.
    pub(crate) fn holder(&self, subnet: &SubnetName, address: IpAddr) -> Option<&Claim> {
        let held = self.holders.get(subnet)?.of(IpFamily::of(address));
        self.claims.get(held.get(&address)?)
    }

    /// The addresses in use in `subnet` and their holders, IPv4 first, in ascending order.
    pub(crate) fn held_in(&self, subnet: &SubnetName) -> impl Iterator<Item = (IpAddr, &ClaimKey)> {
        let held = self.holders.get(subnet).into_iter();
        let held = held.flat_map(|held| held.v4.iter().chain(&held.v6));
        held.map(|(address, key)| (*address, key))
    }

    /// How many addresses of the family are in use in `subnet`.
    pub(crate) fn count(&self, subnet: &SubnetName, family: IpFamily) -> usize {
        let held = self.holders.get(subnet);
        held.map_or(0, |held| held.of(family).len())
    }

    /// Who has `mac`, in whatever VPC.
    pub(crate) fn with_mac(&self, mac: MacAddr) -> impl Iterator<Item = &Claim> {
        let keys = self.macs.get(&mac).into_iter().flatten();
        keys.filter_map(|key| self.claims.get(key))
    }

    /// Adds a claim whose key and addresses nobody has.
    pub(crate) fn insert(&mut self, claim: Claim) {
        for address in claim.addresses.values() {
            let held = self.holders.entry(claim.subnet.clone()).or_default();
            let held = held.of_mut(IpFamily::of(*address));
            held.insert(*address, claim.key.clone());
        }
        let sharers = self.macs.entry(claim.mac).or_default();
        sharers.insert(claim.key.clone());
        self.claims.insert(claim.key.clone(), claim);
    }

    pub(crate) fn remove(&mut self, key: &ClaimKey) -> Option<Claim> {
        let claim = self.claims.remove(key)?;
        if let Entry::Occupied(mut held) = self.holders.entry(claim.subnet.clone()) {
            for address in claim.addresses.values() {
                let held = held.get_mut().of_mut(IpFamily::of(*address));
                held.remove(address);
            }
            if held.get().is_empty() {
                held.remove();
            }
        }
        if let Entry::Occupied(mut sharers) = self.macs.entry(claim.mac) {
            sharers.get_mut().remove(key);
            if sharers.get().is_empty() {
                sharers.remove();
            }
        }
        Some(claim)
    }
}
