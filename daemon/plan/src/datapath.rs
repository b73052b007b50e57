//! The two datapaths of Open vSwitch.

use linux::offload::TxChecksum;

/// Who forwards the packets of a bridge (ovs-vswitchd.conf.db(5), `Bridge.datapath_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datapath {
    /// The kernel module.
    System,
    /// `ovs-vswitchd` itself, in userspace.
    Netdev,
}

/// The column holds a type that we do not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("datapath type `{0}` is not known; set `datapath_type` of br-int to `system` or `netdev`")]
pub struct UnknownDatapath(String);

// === impl Datapath ===

impl Datapath {
    /// The datapath of a bridge whose column `datapath_type` is `text`; an empty one means the
    /// kernel's.
    ///
    /// # Errors
    /// When the type is unknown.
    pub fn of_type(text: &str) -> Result<Self, UnknownDatapath> {
        match text {
            "" | "system" => Ok(Self::System),
            "netdev" => Ok(Self::Netdev),
            other => Err(UnknownDatapath(other.to_owned())),
        }
    }

    /// What a link that sends into this datapath needs; `None` leaves it as it is. The userspace
    /// datapath forwards a checksum that was left to the network card as it is, that is, wrong.
    pub const fn tx_checksum(self) -> Option<TxChecksum> {
        match self {
            Self::System => None,
            Self::Netdev => Some(TxChecksum::Off),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_without_a_type_is_the_kernels() {
        assert_eq!(Datapath::of_type(""), Ok(Datapath::System));
        assert_eq!(Datapath::of_type("system"), Ok(Datapath::System));
        assert_eq!(Datapath::of_type("netdev"), Ok(Datapath::Netdev));
        assert!(Datapath::of_type("dpdk").is_err());
    }

    #[test]
    fn only_the_userspace_datapath_needs_checksums_in_software() {
        assert_eq!(Datapath::System.tx_checksum(), None);
        assert_eq!(Datapath::Netdev.tx_checksum(), Some(TxChecksum::Off));
    }
}
