//! Who holds which addresses.

use std::fmt;
use std::net::IpAddr;

use model::{DualStack, MacAddr, NodeName, PortKey, SubnetName};

/// The name of a claim: the name of the logical switch port that the addresses are for, which is
/// the name of the `IP` object too. A port has at most one claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey(Box<str>);

/// The UID that Kubernetes gave the claimant (pod or node): tells an object from a former one of
/// the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Box<str>);

/// The addresses that one port holds in one subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub key: ClaimKey,
    /// `None` for a record that names no UID, as Kube-OVN writes them: such a claim belongs to
    /// whoever asks under its name.
    pub uid: Option<Uid>,
    pub subnet: SubnetName,
    pub addresses: DualStack<IpAddr>,
    pub mac: MacAddr,
}

// === impl ClaimKey ===

impl ClaimKey {
    /// The claim of the port `lsp`, for records, which are named so already.
    pub fn new(lsp: impl Into<Box<str>>) -> Self {
        Self(lsp.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&PortKey> for ClaimKey {
    fn from(port: &PortKey) -> Self {
        Self::new(port.lsp())
    }
}

impl From<&NodeName> for ClaimKey {
    fn from(node: &NodeName) -> Self {
        Self::new(node.lsp())
    }
}

impl fmt::Display for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Uid ===

impl Uid {
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Claim ===

impl Claim {
    /// Whether the object with this UID may use and release the claim.
    pub fn belongs_to(&self, uid: &Uid) -> bool {
        self.uid.as_ref().is_none_or(|own| own == uid)
    }

    /// Whether two records of one port say the same; a UID that one of them lacks is no difference.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let same_uid = other.uid.as_ref().is_none_or(|uid| self.belongs_to(uid));
        same_uid
            && self.key == other.key
            && self.subnet == other.subnet
            && self.addresses == other.addresses
            && self.mac == other.mac
    }
}
