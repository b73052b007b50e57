//! What a port asks for.

use std::net::IpAddr;

use model::{DualStack, IpPoolName, MacAddr, SubnetName};

use crate::{Claim, ClaimKey, Uid};

/// Asks for addresses of one subnet for one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub key: ClaimKey,
    pub uid: Uid,
    pub subnet: SubnetName,
    pub wish: Wish,
    /// A fixed MAC address; `None` lets the allocator choose.
    pub mac: Option<MacAddr>,
    /// The `IPPool` whose addresses it may have, and gets where it asks for none in particular.
    pub pool: Option<IpPoolName>,
    pub succession: Succession,
}

/// Which addresses will do. A family of the subnet that a wish leaves open gets any free address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wish {
    #[default]
    Any,
    /// Exactly these (annotation `ip_address`). They may lie in `excludeIps`.
    Addresses(DualStack<IpAddr>),
    /// The first of these that is free (annotation `ip_pool` of a Deployment).
    OneOf(Vec<IpAddr>),
}

/// What becomes of a claim that another object (another UID) left under the same name.
///
/// Only the caller knows whether that object still exists and whether its addresses are to
/// outlive it, so it has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// It is gone and the name is what counts (StatefulSet, VM, node): the new object takes over
    /// the MAC and the addresses that the subnet still has and the request does not overrule.
    Inherit,
    /// It is gone and so is its right: its addresses are released as the new ones are taken.
    Replace,
    /// It exists; two objects want one port name. The first keeps it.
    Refuse,
}

// === impl Request ===

impl Request {
    /// Asks for any address and any MAC.
    pub const fn new(key: ClaimKey, uid: Uid, subnet: SubnetName, succession: Succession) -> Self {
        Self {
            key,
            uid,
            subnet,
            wish: Wish::Any,
            mac: None,
            pool: None,
            succession,
        }
    }

    pub fn with_wish(self, wish: Wish) -> Self {
        Self { wish, ..self }
    }

    pub fn with_mac(self, mac: MacAddr) -> Self {
        Self {
            mac: Some(mac),
            ..self
        }
    }

    /// Asks for addresses of this pool.
    pub fn of_pool(self, pool: Option<IpPoolName>) -> Self {
        Self { pool, ..self }
    }

    /// Whether `claim` is what this asks for already. Its addresses may be reserved or outside of
    /// the subnet by now: what is held stays held.
    pub(crate) fn is_met_by(&self, claim: &Claim) -> bool {
        self.subnet == claim.subnet
            && self.mac.is_none_or(|mac| mac == claim.mac)
            && self.wish.is_met_by(&claim.addresses)
    }
}

// === impl Wish ===

impl Wish {
    /// Exactly the entry `ordinal` (from 0) of a pool, as pods of a StatefulSet get it. Beyond the
    /// end of the pool nothing will do.
    pub fn pool_entry(pool: &[IpAddr], ordinal: usize) -> Self {
        Self::OneOf(pool.get(ordinal).copied().into_iter().collect())
    }

    fn is_met_by(&self, held: &DualStack<IpAddr>) -> bool {
        match self {
            Self::Any => true,
            Self::Addresses(wanted) => wanted
                .iter()
                .all(|(family, address)| held.get(family) == Some(address)),
            Self::OneOf(pool) => held.values().any(|address| pool.contains(address)),
        }
    }
}
