//! Whether the kernel computes checksums of what leaves by a link.
//!
//! On the userspace datapath of Open vSwitch nobody completes a checksum that the kernel left to
//! the network card, so TCP and UDP fail while ping works: there it must be computed at once.

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{apply, observe, reconcile};

/// Transmit checksum offload (`ethtool -k`: `tx-checksumming`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxChecksum {
    /// The kernel computes the checksum before a packet leaves.
    Off,
    /// The checksum is left to the network card.
    On,
}

/// What must change for `actual` to be as desired.
pub fn diff(desired: TxChecksum, actual: TxChecksum) -> Option<TxChecksum> {
    (desired != actual).then_some(desired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_setting_is_a_change() {
        assert_eq!(diff(TxChecksum::Off, TxChecksum::Off), None);
        assert_eq!(diff(TxChecksum::Off, TxChecksum::On), Some(TxChecksum::Off));
    }
}
