//! A subnet as the allocator sees it: what it consists of, and what of it is free.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{AddressRange, Cidr, CidrPair, DualStack, IpFamily, IpPoolName, MacAddr, VpcName};

use crate::error::Role;
use crate::pool::Pool;
use crate::{AllocateError, Request};

/// What a subnet consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubnetPool {
    /// At least one; a port gets an address of each.
    pub cidrs: CidrPair,
    /// Never handed out, not even on request.
    pub gateways: DualStack<IpAddr>,
    /// As little: pods have them in their routes.
    pub former_gateways: BTreeSet<IpAddr>,
    /// `excludeIps`: handed out only to those who ask for such an address. Ranges may overlap and
    /// may reach out of the subnet.
    pub excludes: Vec<AddressRange>,
    /// The subnet's `IPPool` objects: handed out only to those who name the pool. Of two pools with
    /// one address the first has it.
    pub pools: BTreeMap<IpPoolName, Vec<AddressRange>>,
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
    named: BTreeMap<IpPoolName, DualStack<Pool>>,
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
            named: definition.named_pools(),
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
        resume(&mut self.pools, &former.pools);
        for (name, pools) in &mut self.named {
            if let Some(former) = former.named.get(name) {
                resume(pools, former);
            }
        }
    }

    pub(crate) fn pool(&self, family: IpFamily) -> Option<&Pool> {
        self.pools.get(family)
    }

    pub(crate) fn named(&self, name: &IpPoolName) -> Option<&DualStack<Pool>> {
        self.named.get(name)
    }

    /// Where whoever names this pool gets an address from. A pool without any of the family leaves
    /// it to the subnet.
    pub(crate) fn pool_for(&self, family: IpFamily, name: Option<&IpPoolName>) -> Option<&Pool> {
        let named = name.and_then(|name| self.named.get(name)?.get(family));
        let named = named.filter(|pool| !pool.is_empty());
        named.or_else(|| self.pools.get(family))
    }

    /// The pool that the address is of.
    fn name_of(&self, address: IpAddr) -> Option<&IpPoolName> {
        let family = IpFamily::of(address);
        let has =
            |pools: &DualStack<Pool>| pools.get(family).is_some_and(|it| it.may_hand_out(address));
        let mut named = self.named.iter();
        named.find(|(_, pools)| has(pools)).map(|(name, _)| name)
    }

    fn every_pool(&mut self, family: IpFamily) -> impl Iterator<Item = &mut Pool> {
        let named = self.named.values_mut();
        let all = std::iter::once(&mut self.pools).chain(named);
        all.filter_map(move |pools| pools.get_mut(family).as_mut())
    }

    /// Marks `address` as used, wherever it lies.
    pub(crate) fn take(&mut self, address: IpAddr) {
        for pool in self.every_pool(IpFamily::of(address)) {
            pool.take(address);
        }
    }

    /// Undoes [`Self::take`].
    pub(crate) fn give_back(&mut self, address: IpAddr) {
        for pool in self.every_pool(IpFamily::of(address)) {
            pool.give_back(address);
        }
    }

    /// Whether the port may have `address` on request.
    pub(crate) fn check(&self, request: &Request, address: IpAddr) -> Result<(), AllocateError> {
        let name = &request.subnet;
        let cidr = self.definition.cidrs.get(IpFamily::of(address));
        let Some(cidr) = cidr.filter(|cidr| cidr.contains(address)) else {
            return Err(AllocateError::AddressOutOfRange {
                subnet: name.clone(),
                address,
                cidrs: self.definition.cidrs,
            });
        };
        if let Some(role) = self.definition.role(*cidr, address) {
            return Err(AllocateError::AddressReserved {
                subnet: name.clone(),
                address,
                role,
            });
        }
        match self.name_of(address) {
            Some(pool) if request.pool.as_ref() != Some(pool) => {
                Err(AllocateError::AddressOfPool {
                    subnet: name.clone(),
                    address,
                    pool: pool.clone(),
                })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn resume(pools: &mut DualStack<Pool>, former: &DualStack<Pool>) {
    for (family, former) in former.iter() {
        if let Some(pool) = pools.get_mut(family) {
            pool.resume(former);
        }
    }
}

// === impl SubnetPool ===

impl SubnetPool {
    fn every_gateway(&self) -> impl Iterator<Item = IpAddr> {
        let former = self.former_gateways.iter().copied();
        self.gateways.values().copied().chain(former)
    }

    /// What is handed out to nobody who does not ask for it.
    fn blocked(&self) -> Vec<AddressRange> {
        let singles = self.every_gateway().chain(self.forbidden.iter().copied());
        let excludes = self.excludes.iter().chain(self.pools.values().flatten());
        let singles = singles.map(AddressRange::single);
        excludes.copied().chain(singles).collect()
    }

    /// The pools by name, each without what an earlier one has. `excludeIps` may hold addresses of a
    /// pool: they are asked for by its name.
    fn named_pools(&self) -> BTreeMap<IpPoolName, DualStack<Pool>> {
        let singles = self.every_gateway().chain(self.forbidden.iter().copied());
        let mut blocked: Vec<_> = singles.map(AddressRange::single).collect();
        let mut named = BTreeMap::new();
        for (name, ranges) in &self.pools {
            let within = |_, cidr: &Cidr| {
                Pool::within(*cidr, ranges.iter().copied(), blocked.iter().copied())
            };
            named.insert(name.clone(), self.cidrs.map(within));
            blocked.extend(ranges.iter().copied());
        }
        named
    }

    /// What `address`, one of `cidr`, is that no port may have it.
    fn role(&self, cidr: Cidr, address: IpAddr) -> Option<Role> {
        let is_host = cidr.hosts().is_some_and(|hosts| hosts.contains(address));
        if self.every_gateway().any(|gateway| gateway == address) {
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
