//! Who an address is for.

use std::fmt;

use model::{NodeName, PodKey, PortKey, VipName};

/// Something whose addresses must be looked at: given, kept, or taken back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claimant {
    Node(NodeName),
    Pod(PodKey),
    Vip(VipName),
    /// A record that names neither a pod's primary port nor a node: kept as it is.
    Unknown(String),
}

// === impl Claimant ===

impl Claimant {
    /// The name of the claimant's record and of its logical switch port.
    pub fn record_name(&self) -> String {
        match self {
            Self::Node(name) => name.lsp(),
            Self::Vip(name) => name.record(),
            Self::Pod(key) => PortKey::primary(key.clone()).lsp(),
            Self::Unknown(name) => name.clone(),
        }
    }
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {name}"),
            Self::Vip(name) => write!(f, "VIP {name}"),
            Self::Pod(key) => write!(f, "pod {key}"),
            Self::Unknown(name) => write!(f, "record {name}"),
        }
    }
}
