//! Why addresses cannot be had, in sentences for the user: which subnet, which address, whose it
//! is, and what to do.

use std::fmt;
use std::net::IpAddr;

use model::{Cidr, CidrPair, IpPoolName, MacAddr, SubnetName};

use crate::{Claim, ClaimKey, Uid};

/// A request cannot be met. Nothing was taken, and what was held before is still held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    #[error("subnet `{subnet}` does not exist; create it or name another")]
    UnknownSubnet { subnet: SubnetName },

    #[error("{address} is not in subnet `{subnet}` ({cidrs}); choose an address of the subnet")]
    AddressOutOfRange {
        subnet: SubnetName,
        address: IpAddr,
        cidrs: CidrPair,
    },

    #[error("{address} is {role} of subnet `{subnet}`; choose another address")]
    AddressReserved {
        subnet: SubnetName,
        address: IpAddr,
        role: Role,
    },

    #[error(
        "{address} of subnet `{subnet}` is held by `{holder}`; choose another address or delete \
         the holder"
    )]
    AddressConflict {
        subnet: SubnetName,
        address: IpAddr,
        holder: ClaimKey,
    },

    #[error(
        "{cidr} of subnet `{subnet}` has no free address; delete pods that are not needed, shorten \
         excludeIps or use another subnet"
    )]
    NoAvailableAddress { subnet: SubnetName, cidr: Cidr },

    #[error(
        "{address} of subnet `{subnet}` is of the IP pool `{pool}`; name the pool in the annotation \
         ovn.kubernetes.io/ip_pool, or choose another address"
    )]
    AddressOfPool {
        subnet: SubnetName,
        address: IpAddr,
        pool: IpPoolName,
    },

    #[error("subnet `{subnet}` has no IP pool `{pool}`; create it or name another")]
    UnknownPool {
        subnet: SubnetName,
        pool: IpPoolName,
    },

    #[error(
        "the IP pool `{pool}` of subnet `{subnet}` has no free address; add addresses to it or \
         delete pods that use it"
    )]
    PoolFull {
        subnet: SubnetName,
        pool: IpPoolName,
    },

    #[error("{}", exhausted(subnet, pool, cause.as_deref()))]
    PoolExhausted {
        subnet: SubnetName,
        pool: Vec<IpAddr>,
        /// Why the last entry could not be had; `None` for an empty pool.
        #[source]
        cause: Option<Box<Self>>,
    },

    #[error(
        "MAC address {mac} is held by `{holder}` in the VPC of subnet `{subnet}`; choose another \
         or delete the holder"
    )]
    MacConflict {
        subnet: SubnetName,
        mac: MacAddr,
        holder: ClaimKey,
    },

    #[error(
        "MAC address {mac} is the one of the router on subnet `{subnet}`; choose another MAC \
         address"
    )]
    MacReserved { subnet: SubnetName, mac: MacAddr },

    #[error("the VPC of subnet `{subnet}` has no free MAC address; delete pods")]
    NoAvailableMac { subnet: SubnetName },

    #[error(
        "the port name `{}` belongs to another object with the UID {}; rename one of the two",
        .holder.key, .holder.uid_text()
    )]
    NameConflict { holder: Claimant },
}

/// Two records claim one thing; the first one restored keeps it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error(
        "{address} of subnet `{subnet}` is recorded for {holder} and for {claimant}; {holder} \
         keeps it, delete or recreate the other"
    )]
    Address {
        subnet: SubnetName,
        address: IpAddr,
        holder: Claimant,
        claimant: Claimant,
    },

    #[error(
        "there are different records for {holder} and for {claimant}; the first one counts, \
         delete or recreate the other"
    )]
    Name {
        holder: Claimant,
        claimant: Claimant,
    },
}

/// One side of a conflict: a port name and the object that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    pub key: ClaimKey,
    pub uid: Option<Uid>,
}

/// What an address is that no port may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Network,
    Broadcast,
    Gateway,
    /// A node has it in the underlay, see [`crate::SubnetPool::forbidden`].
    Node,
}

// === impl Claimant ===

impl Claimant {
    fn uid_text(&self) -> &str {
        self.uid.as_ref().map_or("unknown", Uid::as_str)
    }
}

impl From<&Claim> for Claimant {
    fn from(claim: &Claim) -> Self {
        Self {
            key: claim.key.clone(),
            uid: claim.uid.clone(),
        }
    }
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (UID {})", self.key, self.uid_text())
    }
}

// === impl Role ===

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "the network address",
            Self::Broadcast => "the broadcast address",
            Self::Gateway => "the gateway",
            Self::Node => "the address of a node and so not to be used",
        })
    }
}

fn exhausted(subnet: &SubnetName, pool: &[IpAddr], cause: Option<&AllocateError>) -> String {
    if pool.is_empty() {
        return "the pool has no entry for this pod's ordinal; add addresses to the pool or scale the \
                StatefulSet down"
            .to_owned();
    }
    let pool = list(pool);
    let cause = cause.map_or_else(String::new, |cause| format!("; the last one: {cause}"));
    format!(
        "no address of the pool [{pool}] can be had in subnet `{subnet}`; extend the pool or delete \
         pods that use it{cause}"
    )
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
