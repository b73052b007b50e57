//! Ethtool's ioctl (`linux/ethtool.h`, `SIOCETHTOOL` in netdevice(7)): the one place with unsafe
//! code, because netlink's ethtool family cannot set features in any maintained crate.

use std::ffi::c_char;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

use crate::LinkName;
use crate::offload::TxChecksum;

/// Reads the transmit checksum setting (`linux/ethtool.h`).
const ETHTOOL_GTXCSUM: u32 = 0x16;
/// Sets it.
const ETHTOOL_STXCSUM: u32 = 0x17;

/// `struct ethtool_value` of `linux/ethtool.h`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Whether transmit checksums of the link `name` of this thread's namespace are offloaded.
pub(crate) fn tx_checksum(name: &LinkName) -> io::Result<TxChecksum> {
    let mut value = EthtoolValue {
        command: ETHTOOL_GTXCSUM,
        data: 0,
    };
    ethtool(name, &mut value)?;
    Ok(match value.data {
        0 => TxChecksum::Off,
        _ => TxChecksum::On,
    })
}

/// Sets it.
pub(crate) fn set_tx_checksum(name: &LinkName, setting: TxChecksum) -> io::Result<()> {
    let data = match setting {
        TxChecksum::Off => 0,
        TxChecksum::On => 1,
    };
    let mut value = EthtoolValue {
        command: ETHTOOL_STXCSUM,
        data,
    };
    ethtool(name, &mut value)
}

#[expect(
    unsafe_code,
    reason = "an ioctl with a pointer inside its argument has no safe form"
)]
fn ethtool(name: &LinkName, value: &mut EthtoolValue) -> io::Result<()> {
    // any socket will do; it is born in, and so speaks for, this thread's namespace
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: std::ptr::from_mut(value).cast::<c_char>(),
        },
    };
    // a LinkName is shorter than the field, so a zero remains at the end
    for (place, byte) in request.ifr_name.iter_mut().zip(name.as_str().bytes()) {
        *place = c_char::from_ne_bytes([byte]);
    }
    // SAFETY: `request` is a complete `ifreq` with a terminated name, and its data pointer refers
    // to an `ethtool_value` that outlives the call; the kernel reads and writes no more than that
    // for the two commands above. The descriptor is open until `socket` is dropped.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
