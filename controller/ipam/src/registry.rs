//! The claims, and who holds an address or a MAC address.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{MacAddr, SubnetName};

use crate::{Claim, ClaimKey};

/// Every claim with its two secondary indexes. An address has one holder in its subnet; a MAC may
/// have several, in different VPCs or as the records had it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Registry {
    claims: BTreeMap<ClaimKey, Claim>,
    holders: BTreeMap<SubnetName, BTreeMap<IpAddr, ClaimKey>>,
    macs: BTreeMap<MacAddr, BTreeSet<ClaimKey>>,
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
        self.claims.get(self.holders.get(subnet)?.get(&address)?)
    }

    /// The addresses in use in `subnet` and their holders, IPv4 first, in ascending order.
    pub(crate) fn held_in(&self, subnet: &SubnetName) -> impl Iterator<Item = (IpAddr, &ClaimKey)> {
        let held = self.holders.get(subnet).into_iter().flatten();
        held.map(|(address, key)| (*address, key))
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
                held.get_mut().remove(address);
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
