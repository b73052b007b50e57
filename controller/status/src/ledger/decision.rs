//! What the ledger decides, as values that the recorder carries out.

use std::net::IpAddr;

use controller_index::{Allocation, Claimant, Nic, Origin, STATEFUL_SET, VIP};
use model::{CidrPair, DualStack, MacAddr, NodeName, SubnetName};

/// What to write for a claimant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// All is as it should be.
    Settled,
    /// Addresses were chosen: write the record, then the annotations.
    Record(Recorded),
    /// The record exists: write the annotations.
    Annotate(Recorded),
    /// The record of a former pod of the name is the claimant's from now on: write whose it is, then
    /// the annotations.
    Renew {
        /// The UID of the record.
        record: String,
        recorded: Recorded,
    },
    /// The claimant runs on a node that its record does not name: write the name.
    Locate {
        name: String,
        uid: String,
        node: NodeName,
    },
    /// Somebody changed the record by hand: write what it is to say again, and tell.
    Mend {
        /// The UID of the record.
        record: String,
        /// What it says; nothing where it cannot be read.
        found: Option<Allocation>,
        /// The UID of the claimant, where the record is to name it: one of Kube-OVN does not.
        claimant_uid: Option<String>,
        recorded: Recorded,
    },
    /// Somebody wrote a record of what another has: it counts for nothing, and says so.
    Disregard {
        name: String,
        uid: String,
        message: String,
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
    pub lifetime: Lifetime,
    /// What its user says of how it is attached.
    pub nic: Nic,
    /// Who attaches it, where it is a pod.
    pub origin: Origin,
}

/// How long a claimant's addresses are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as itself.
    Claimant,
    /// As long as the StatefulSet has a place for it: the next pod of the name inherits them.
    StatefulSet,
}

/// Why a claimant gets no addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub claimant: Claimant,
    pub uid: String,
    pub message: String,
}

// === impl Recorded ===

impl Recorded {
    /// The field `spec.podType` of the record.
    pub(crate) const fn pod_type(&self) -> &'static str {
        match (&self.claimant, self.lifetime) {
            (Claimant::Vip(_), _) => VIP,
            (Claimant::Pod(_), Lifetime::StatefulSet) => STATEFUL_SET,
            (Claimant::Pod(_) | Claimant::Node(_) | Claimant::Unknown(_), _) => "",
        }
    }
}
