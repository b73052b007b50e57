//! The two networks of a lab: what addresses its stations have, and how they are plugged in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use model::{DualStack, IpFamily};

use crate::Netns;

/// For the API server and the databases.
pub const MANAGEMENT: Network = Network {
    bridge: "mgmt",
    number: 200,
};
/// For tunnels between nodes.
pub const TUNNEL: Network = Network {
    bridge: "tunnel",
    number: 201,
};

/// The families of every network of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// IPv4 only.
    V4,
    /// IPv6 only, tunnels included.
    V6,
    /// Both; tunnels over IPv4.
    Dual,
}

/// One of the lab's two networks: `10.<number>.0.0/24` and `fd00:<number, hexadecimal>::/64`.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// The bridge in the switch namespace.
    pub bridge: &'static str,
    number: u8,
}

// === impl Network ===

impl Network {
    fn address(self, family: IpFamily, host: u8) -> IpAddr {
        match family {
            IpFamily::V4 => Ipv4Addr::new(10, self.number, 0, host).into(),
            IpFamily::V6 => {
                Ipv6Addr::new(0xfd00, self.number.into(), 0, 0, 0, 0, 0, host.into()).into()
            }
        }
    }

    /// The MAC of a station's NIC.
    pub fn mac(self, host: u8) -> String {
        format!("02:00:00:00:{:02x}:{host:02x}", self.number)
    }
}

// === impl Families ===

impl Families {
    /// The families as a list, IPv4 first.
    pub const fn all(self) -> &'static [IpFamily] {
        match self {
            Self::V4 => &[IpFamily::V4],
            Self::V6 => &[IpFamily::V6],
            Self::Dual => &[IpFamily::V4, IpFamily::V6],
        }
    }

    /// The addresses of a station.
    pub fn host(self, network: Network, host: u8) -> DualStack<IpAddr> {
        let mut addresses = DualStack::NONE;
        for family in self.all() {
            *addresses.get_mut(*family) = Some(network.address(*family, host));
        }
        addresses
    }
}

/// Joins `netns` to a network by `nic`, as the `host`th station there.
///
/// # Errors
/// The namespace has such a link, or the switch no such bridge.
pub fn plug(netns: &Netns, nic: &str, host: u8, switch: &Netns, network: Network) -> Result<()> {
    let bridge = network.bridge;
    let port = port(host, network);
    let mac = network.mac(host);
    switch.ip([
        format!(
            "link add {port} type veth peer name {nic} address {mac} netns {}",
            netns.name()
        ),
        format!("link set {port} master {bridge} up"),
    ])?;
    netns.ip([format!("link set {nic} up")])?;
    switch.disable_tx_offload(&port)?;
    netns.disable_tx_offload(nic)
}

/// Takes the `host`th station off a network: the switch loses its port, the station its NIC. Fine
/// when there is none.
///
/// # Errors
/// There is no switch.
pub fn unplug(host: u8, switch: &Netns, network: Network) -> Result<()> {
    let port = port(host, network);
    let show = switch.command("ip").args(["link", "show", &port]);
    if show.finish()?.success {
        let delete = switch.command("ip").args(["link", "delete", &port]);
        // it may have gone with its other end meanwhile
        let deleted = delete.finish()?;
        ensure!(
            deleted.success || !show.finish()?.success,
            "{}",
            deleted.stderr
        );
    }
    Ok(())
}

/// The switch's end of a station's plug.
fn port(host: u8, network: Network) -> String {
    format!("{}{host}", network.bridge)
}

/// The `ip` command that puts an address on a link, at once usable.
pub fn add_address(link: &str, address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("address replace {address}/24 dev {link}"),
        IpAddr::V6(address) => format!("address replace {address}/64 dev {link} nodad"),
    }
}
