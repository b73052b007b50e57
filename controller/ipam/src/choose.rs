//! Chooses what a request gets. Reads only: a choice that fails leaves nothing behind.

use std::net::IpAddr;

use model::{Cidr, DualStack, IpFamily, MacAddr};

use crate::subnet::Subnet;
use crate::{AllocateError, Claim, ClaimKey, Ipam, Request, Succession, Wish};

/// Everything a choice depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) ipam: &'a Ipam,
    pub(crate) subnet: &'a Subnet,
    pub(crate) request: &'a Request,
    /// What the port holds until now. It is given up for the choice, and so counts as free.
    pub(crate) former: Option<&'a Claim>,
}

// === impl Choice ===

impl Choice<'_> {
    pub(crate) fn claim(&self) -> Result<Claim, AllocateError> {
        self.check_pool()?;
        Ok(Claim {
            key: self.request.key.clone(),
            uid: Some(self.request.uid.clone()),
            subnet: self.request.subnet.clone(),
            addresses: self.addresses()?,
            mac: self.mac()?,
        })
    }

    fn addresses(&self) -> Result<DualStack<IpAddr>, AllocateError> {
        let mut chosen = self.wished()?;
        for (family, cidr) in self.subnet.definition.cidrs.iter() {
            if chosen.get(family).is_none() {
                *chosen.get_mut(family) = Some(self.any(family, *cidr)?);
            }
        }
        Ok(chosen)
    }

    /// What the request is particular about.
    fn wished(&self) -> Result<DualStack<IpAddr>, AllocateError> {
        match &self.request.wish {
            Wish::Any => Ok(DualStack::NONE),
            Wish::Addresses(wanted) => {
                wanted.values().try_for_each(|wanted| self.check(*wanted))?;
                Ok(*wanted)
            }
            Wish::OneOf(pool) => self.first_of(pool),
        }
    }

    fn first_of(&self, pool: &[IpAddr]) -> Result<DualStack<IpAddr>, AllocateError> {
        let kept = IpFamily::ALL.into_iter().filter_map(|it| self.kept(it));
        let candidates = kept.filter(|address| pool.contains(address));
        let mut cause = None;
        for address in candidates.chain(pool.iter().copied()) {
            match self.check(address) {
                Ok(()) => {
                    let mut chosen = DualStack::NONE;
                    *chosen.get_mut(IpFamily::of(address)) = Some(address);
                    return Ok(chosen);
                }
                Err(error) => cause = Some(Box::new(error)),
            }
        }
        Err(AllocateError::PoolExhausted {
            subnet: self.request.subnet.clone(),
            pool: pool.to_vec(),
            cause,
        })
    }

    /// An address of the family that the request leaves open: the one held until now, else the
    /// next free one. A full subnet still has the one that the former object of the name leaves.
    fn any(&self, family: IpFamily, cidr: Cidr) -> Result<IpAddr, AllocateError> {
        let pool = self.subnet.pool_for(family, self.request.pool.as_ref());
        let left = self.held(family);
        let left = left.filter(|it| pool.is_some_and(|pool| pool.may_hand_out(*it)));
        self.kept(family)
            .or_else(|| pool?.next())
            .or(left)
            .ok_or_else(|| self.full(cidr))
    }

    fn full(&self, cidr: Cidr) -> AllocateError {
        let subnet = self.request.subnet.clone();
        match self.request.pool.clone() {
            Some(pool) => AllocateError::PoolFull { subnet, pool },
            None => AllocateError::NoAvailableAddress { subnet, cidr },
        }
    }

    fn check_pool(&self) -> Result<(), AllocateError> {
        let unknown = self.request.pool.as_ref();
        match unknown.filter(|pool| self.subnet.named(pool).is_none()) {
            None => Ok(()),
            Some(pool) => Err(AllocateError::UnknownPool {
                subnet: self.request.subnet.clone(),
                pool: pool.clone(),
            }),
        }
    }

    /// The claim that the request takes over: its own, or one that it inherits.
    fn inherited(&self) -> Option<&Claim> {
        self.former.filter(|former| {
            former.belongs_to(&self.request.uid) || self.request.succession == Succession::Inherit
        })
    }

    /// The address that the claim taken over has, where the port could ask for it today.
    fn kept(&self, family: IpFamily) -> Option<IpAddr> {
        self.inherited()?;
        self.held(family)
            .filter(|address| self.check(*address).is_ok())
    }

    /// The address in this subnet that is given up.
    fn held(&self, family: IpFamily) -> Option<IpAddr> {
        let former = self.former?;
        let here = former.subnet == self.request.subnet;
        former.addresses.get(family).copied().filter(|_| here)
    }

    /// Whether the port may have `address`, asked for by number.
    fn check(&self, address: IpAddr) -> Result<(), AllocateError> {
        let name = &self.request.subnet;
        self.subnet.check(self.request, address)?;
        match self.ipam.holder(name, address) {
            Some(holder) if holder.key != self.request.key => Err(AllocateError::AddressConflict {
                subnet: name.clone(),
                address,
                holder: holder.key.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn mac(&self) -> Result<MacAddr, AllocateError> {
        if let Some(wanted) = self.request.mac {
            return self.check_mac(wanted).map(|()| wanted);
        }
        let inherited = self.inherited().map(|claim| claim.mac);
        inherited
            .into_iter()
            .chain(macs_of(&self.request.key))
            .find(|mac| self.check_mac(*mac).is_ok())
            .ok_or_else(|| AllocateError::NoAvailableMac {
                subnet: self.request.subnet.clone(),
            })
    }

    /// Whether the port may have `mac`: nobody else in its VPC does.
    fn check_mac(&self, mac: MacAddr) -> Result<(), AllocateError> {
        let subnet = &self.request.subnet;
        if self.subnet.definition.router_mac == Some(mac) {
            return Err(AllocateError::MacReserved {
                subnet: subnet.clone(),
                mac,
            });
        }
        let mut others = self.ipam.with_mac(&self.subnet.vpc, mac);
        match others.find(|holder| holder.key != self.request.key) {
            None => Ok(()),
            Some(holder) => Err(AllocateError::MacConflict {
                subnet: subnet.clone(),
                mac,
                holder: holder.key.clone(),
            }),
        }
    }
}

/// The MAC addresses for `key` in order of preference: the one that its name gives, then upward.
/// The same name gets the same address again, whoever allocates.
fn macs_of(key: &ClaimKey) -> impl Iterator<Item = MacAddr> {
    let [.., a, b, c] = MacAddr::from_name(key.as_str()).octets();
    let seed = u64::from(u32::from_be_bytes([0, a, b, c]));
    let nobody = MacAddr::from_seed(0);
    (0..1 << 24)
        .map(move |step| MacAddr::from_seed(seed + step))
        .filter(move |mac| *mac != nobody)
}
