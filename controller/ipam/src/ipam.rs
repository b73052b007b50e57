//! The allocator: subnets, claims, and the operations on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{DualStack, IpFamily, IpPoolName, MacAddr, SubnetName, VpcName};

use crate::choose::Choice;
use crate::pool::{Content, Pool};
use crate::registry::Registry;
use crate::subnet::Subnet;
use crate::{
    AllocateError, Claim, ClaimKey, Claimant, Conflict, Request, SubnetPool, Succession, Uid,
};

/// Who holds which address in which subnet, and what is free.
///
/// Claims and subnets come and go independently: a claim of a subnet that is not known (yet, or
/// any more) is kept, and counts as soon as the subnet is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ipam {
    subnets: BTreeMap<SubnetName, Subnet>,
    registry: Registry,
}

/// How full one family of a subnet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Addresses that a port without wishes could get.
    pub available: u128,
    /// Addresses that are claimed, reserved ones and those outside of the CIDR included.
    pub used: u128,
}

// === impl Ipam: subnets ===

impl Ipam {
    /// Creates the subnet or brings it to this definition. All claims stay, even where the
    /// definition now reserves their address or has no such address; they are never handed out a
    /// second time.
    pub fn set_subnet(&mut self, name: SubnetName, vpc: VpcName, definition: SubnetPool) {
        let former = self.subnets.get(&name);
        if former.is_some_and(|it| it.vpc == vpc && it.definition == definition) {
            return;
        }
        let used = self.registry.held_in(&name).map(|(address, _)| address);
        let subnet = Subnet::new(vpc, definition, used, former);
        self.subnets.insert(name, subnet);
    }

    /// Forgets the subnet: nothing more is handed out from it. Its claims stay until they are
    /// released.
    pub fn remove_subnet(&mut self, name: &SubnetName) {
        self.subnets.remove(name);
    }

    /// How full the family of the subnet is; all zero where there is no such thing.
    pub fn usage(&self, subnet: &SubnetName, family: IpFamily) -> Usage {
        let pool = self.subnets.get(subnet).and_then(|it| it.pool(family));
        let used = self.registry.count(subnet, family);
        Usage {
            available: pool.map_or(0, Pool::available),
            used: u128::try_from(used).unwrap_or(u128::MAX),
        }
    }
}

impl Ipam {
    /// What each family of an `IPPool` of the subnet has; `None` where there is no such pool.
    pub fn pool_content(&self, subnet: &SubnetName, pool: &IpPoolName) -> DualStack<Content> {
        let pools = self.subnets.get(subnet).and_then(|it| it.named(pool));
        let pools = pools.map(|pools| pools.map(|_, pool| pool.content()));
        pools.unwrap_or_default()
    }
}

// === impl Ipam: claims ===

impl Ipam {
    /// Takes over a record that was made earlier: an `IP` object or the annotations of a pod. The
    /// addresses may be reserved or outside of the subnet by now. A MAC that others have too is
    /// accepted (Kube-OVN made it unique in its subnet only), but given to nobody else.
    ///
    /// Restoring a record twice is the same as once; one without UID never hides the UID of
    /// another. Where records disagree, the order of the calls decides: the annotations of living
    /// pods come first.
    ///
    /// # Errors
    /// When the port has another record, or another port holds one of the addresses. The record
    /// is dropped as a whole.
    pub fn restore(&mut self, claim: Claim) -> Result<(), Conflict> {
        if let Some(known) = self.registry.get(&claim.key) {
            if !known.agrees_with(&claim) {
                return Err(Conflict::Name {
                    holder: known.into(),
                    claimant: (&claim).into(),
                });
            }
            let uid = known.uid.clone().or_else(|| claim.uid.clone());
            self.record(Claim { uid, ..claim });
            return Ok(());
        }
        if let Some((address, holder)) = self.first_taken(&claim) {
            return Err(Conflict::Address {
                subnet: claim.subnet.clone(),
                address,
                holder: holder.into(),
                claimant: (&claim).into(),
            });
        }
        self.record(claim);
        Ok(())
    }

    /// The first address of `claim` that has a holder, and the holder.
    fn first_taken(&self, claim: &Claim) -> Option<(IpAddr, &Claim)> {
        let mut addresses = claim.addresses.values();
        addresses.find_map(|address| Some((*address, self.holder(&claim.subnet, *address)?)))
    }

    /// Gives the port what it asks for; the caller records it before using it.
    ///
    /// A port whose claim meets the request already keeps it unchanged, so that repeating a
    /// request is harmless. A claim that does not meet it is exchanged for one that does; what the
    /// request leaves open stays. For a claim left by another object see [`Succession`].
    ///
    /// # Errors
    /// When it cannot be had in full, every family and the MAC: then nothing changes.
    pub fn allocate(&mut self, request: &Request) -> Result<Claim, AllocateError> {
        let claim = self.preview(request)?;
        self.record(claim.clone());
        Ok(claim)
    }

    /// What [`Self::allocate`] would give.
    ///
    /// # Errors
    /// As there.
    pub fn preview(&self, request: &Request) -> Result<Claim, AllocateError> {
        let former = self.registry.get(&request.key);
        let own = former.filter(|it| it.belongs_to(&request.uid));
        if let (Some(foreign), None, Succession::Refuse) = (former, own, request.succession) {
            let holder = Claimant::from(foreign);
            return Err(AllocateError::NameConflict { holder });
        }
        match own.filter(|it| request.is_met_by(it)) {
            Some(own) => Ok(Claim {
                uid: Some(request.uid.clone()),
                ..own.clone()
            }),
            None => self.choose(request, former),
        }
    }

    fn choose(&self, request: &Request, former: Option<&Claim>) -> Result<Claim, AllocateError> {
        let subnet = self.subnets.get(&request.subnet);
        let subnet = subnet.ok_or_else(|| AllocateError::UnknownSubnet {
            subnet: request.subnet.clone(),
        })?;
        let choice = Choice {
            ipam: self,
            subnet,
            request,
            former,
        };
        choice.claim()
    }

    /// Releases the claim of the object with this UID and returns it. `None` when the object holds
    /// nothing: a release that comes late does not touch what the next object of that name holds.
    pub fn release(&mut self, key: &ClaimKey, uid: &Uid) -> Option<Claim> {
        self.registry.get(key).filter(|it| it.belongs_to(uid))?;
        let claim = self.registry.remove(key)?;
        for (subnet, address) in places(&claim) {
            self.give_back(subnet, address);
        }
        Some(claim)
    }

    /// Writes the claim down in place of the port's former one. What both have is not touched.
    fn record(&mut self, claim: Claim) {
        let former = self.registry.remove(&claim.key);
        let before = former.iter().flat_map(places).collect::<BTreeSet<_>>();
        let after = places(&claim);
        for (subnet, address) in before.difference(&after) {
            self.give_back(subnet, *address);
        }
        for (subnet, address) in after.difference(&before) {
            if let Some(subnet) = self.subnets.get_mut(*subnet) {
                subnet.take(*address);
            }
        }
        self.registry.insert(claim);
    }

    fn give_back(&mut self, subnet: &SubnetName, address: IpAddr) {
        if let Some(subnet) = self.subnets.get_mut(subnet) {
            subnet.give_back(address);
        }
    }
}

/// The addresses of a claim, each in its subnet.
fn places(claim: &Claim) -> BTreeSet<(&SubnetName, IpAddr)> {
    let addresses = claim.addresses.values();
    addresses.map(|it| (&claim.subnet, *it)).collect()
}

// === impl Ipam: questions ===

impl Ipam {
    pub fn claim(&self, key: &ClaimKey) -> Option<&Claim> {
        self.registry.get(key)
    }

    /// Every claim, by key.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.registry.iter()
    }

    /// The addresses in use in one subnet and who has them, IPv4 first, in ascending order: what
    /// has to go before the subnet can be deleted.
    pub fn holders(&self, subnet: &SubnetName) -> impl Iterator<Item = (IpAddr, &ClaimKey)> {
        self.registry.held_in(subnet)
    }

    /// Who has the address in the subnet.
    pub fn holder(&self, subnet: &SubnetName, address: IpAddr) -> Option<&Claim> {
        self.registry.holder(subnet, address)
    }

    /// Who has the MAC in the VPC. A claim whose subnet is not known may be in any VPC.
    pub fn with_mac(&self, vpc: &VpcName, mac: MacAddr) -> impl Iterator<Item = &Claim> {
        let may_be_here =
            move |claim: &&Claim| self.vpc_of(&claim.subnet).is_none_or(|it| it == vpc);
        self.registry.with_mac(mac).filter(may_be_here)
    }

    fn vpc_of(&self, subnet: &SubnetName) -> Option<&VpcName> {
        self.subnets.get(subnet).map(|it| &it.vpc)
    }
}

// === impl Usage ===

impl Usage {
    /// The number for the status fields `v4availableIPs` and `v6availableIPs`.
    pub const fn available_ips(self) -> f64 {
        nearest(self.available)
    }

    /// The number for the status fields `v4usingIPs` and `v6usingIPs`.
    pub const fn using_ips(self) -> f64 {
        nearest(self.used)
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "the API's counters are floating-point numbers: a /64 shows 1.8446744073709552e19"
)]
const fn nearest(count: u128) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
