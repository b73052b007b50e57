//! A subnet as the allocator sees it: what it consists of, and what of it is free.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::{AddressRange, Cidr, CidrPair, DualStack, IpFamily, MacAddr, SubnetName, VpcName};

use crate::AllocateError;
use crate::error::Role;
use crate::pool::Pool;

/// What a subnet consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubnetPool {
    /// At least one; a port gets an address of each.
    pub cidrs: CidrPair,
    /// Never handed out, not even on request.
    pub gateways: DualStack<IpAddr>,
    /// `excludeIps`: handed out only to those who ask for such an address. Ranges may overlap and
    /// may reach out of the subnet.
    pub excludes: Vec<AddressRange>,
    /// Addresses that nodes have in the underlay; a pod with one would cut the node off.
    pub forbidden: BTreeSet<IpAddr>,
    /// The MAC of the router's port on this subnet's switch, which no claim may have.
    pub router_mac: Option<MacAddr>,
}

/// A subnet's definition and its free space, derived from that and the claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) vpc: VpcName,
    pub(crate) definition: SubnetPool,
    pools: DualStack<Pool>,
}

// === impl Subnet ===

impl Subnet {
    /// The subnet as defined now, with `used` taken. Whatever of `former`, the same subnet before
    /// an edit, was given back lately goes on resting.
    pub(crate) fn new(
        vpc: VpcName,
        definition: SubnetPool,
        used: impl IntoIterator<Item = IpAddr>,
        former: Option<&Self>,
    ) -> Self {
        let blocked = definition.blocked();
        let pools = definition
            .cidrs
            .map(|_, cidr| Pool::new(*cidr, blocked.iter().copied()));
        let mut subnet = Self {
            vpc,
            definition,
            pools,
        };
        for address in used {
            subnet.take(address);
        }
        if let Some(former) = former {
            subnet.resume(former);
        }
        subnet
    }

    fn resume(&mut self, former: &Self) {
        for (family, former) in former.pools.iter() {
            if let Some(pool) = self.pools.get_mut(family) {
                pool.resume(former);
            }
        }
    }

    pub(crate) fn pool(&self, family: IpFamily) -> Option<&Pool> {
        self.pools.get(family)
    }

    /// Marks `address` as used, wherever it lies.
    pub(crate) fn take(&mut self, address: IpAddr) {
        if let Some(pool) = self.pools.get_mut(IpFamily::of(address)) {
            pool.take(address);
        }
    }

    /// Undoes [`Self::take`].
    pub(crate) fn give_back(&mut self, address: IpAddr) {
        if let Some(pool) = self.pools.get_mut(IpFamily::of(address)) {
            pool.give_back(address);
        }
    }

    /// Whether a port may have `address` on request. `name` is this subnet's, for the error.
    pub(crate) fn check(&self, name: &SubnetName, address: IpAddr) -> Result<(), AllocateError> {
        let cidr = self.definition.cidrs.get(IpFamily::of(address));
        let Some(cidr) = cidr.filter(|cidr| cidr.contains(address)) else {
            return Err(AllocateError::AddressOutOfRange {
                subnet: name.clone(),
                address,
                cidrs: self.definition.cidrs,
            });
        };
        match self.definition.role(*cidr, address) {
            None => Ok(()),
            Some(role) => Err(AllocateError::AddressReserved {
                subnet: name.clone(),
                address,
                role,
            }),
        }
    }
}

// === impl SubnetPool ===

impl SubnetPool {
    /// What is handed out to nobody who does not ask for it.
    fn blocked(&self) -> Vec<AddressRange> {
        let gateways = self.gateways.values().copied();
        let singles = gateways.chain(self.forbidden.iter().copied());
        let excludes = self.excludes.iter().copied();
        excludes.chain(singles.map(AddressRange::single)).collect()
    }

    /// What `address`, one of `cidr`, is that no port may have it.
    fn role(&self, cidr: Cidr, address: IpAddr) -> Option<Role> {
        let is_host = cidr.hosts().is_some_and(|hosts| hosts.contains(address));
        if self.gateways.values().any(|gateway| *gateway == address) {
            Some(Role::Gateway)
        } else if self.forbidden.contains(&address) {
            Some(Role::Node)
        } else if address == cidr.network() {
            Some(Role::Network)
        } else {
            (!is_host).then_some(Role::Broadcast)
        }
    }
}
