//! A pod wired by hand, as the daemon would do it: for facts about OVN and OVS alone.

use std::{net::IpAddr, time::Duration};

use anyhow::{Result, ensure};

use crate::{Lab, Netns, wait_until};

/// Geneve over IPv6 takes 78 bytes of 1500.
const MTU: u16 = 1400;
const INSTALLED: Duration = Duration::from_secs(10);

/// A namespace with `eth0`, attached to the logical switch port of the same name.
#[derive(Debug)]
pub struct Wired {
    netns: Netns,
    address: IpAddr,
}

/// Whether the pod's kernel leaves checksums to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxOffload {
    /// The default of a veth.
    On,
    /// What a netdev bridge needs.
    Off,
}

// === impl Wired ===

impl Wired {
    /// Attaches a pod to `port` on a node and waits until OVN has installed it. The gateway is
    /// the first host of the address' /24 or /64.
    ///
    /// # Errors
    /// The port does not exist in NB, or was not installed after ten seconds.
    pub async fn attach(lab: &Lab, node: &str, port: &str, address: IpAddr) -> Result<Self> {
        let node = lab.node(node)?;
        let netns = Netns::create(port)?;
        let mac = mac(lab, port)?;
        let host = format!("{port}_h");
        node.netns().ip([format!(
            "link add {host} up type veth peer name eth0 address {mac} netns {}",
            netns.name()
        )])?;
        netns.ip([
            format!("link set eth0 mtu {MTU} up"),
            crate::network::add_address("eth0", address),
        ])?;
        netns.ip([format!("route add default via {}", gateway(address))])?;
        netns.disable_tx_offload("eth0")?;
        node.vs(&format!(
            "add-port br-int {host}
             set Interface {host} external_ids:iface-id={port}"
        ))?;
        wait_until(
            &format!("OVN has installed {port}"),
            INSTALLED,
            async || {
                let path = "external_ids:ovn-installed";
                let installed = node.vsctl(["--if-exists", "get", "Interface", &host, path])?;
                ensure!(installed == "\"true\"", "ovn-installed is `{installed}`");
                Ok(())
            },
        )
        .await?;
        Ok(Self { netns, address })
    }

    /// Sets the tx checksum offload of the pod's `eth0`.
    ///
    /// # Errors
    /// What `ethtool` says.
    pub fn set_tx_offload(&self, offload: TxOffload) -> Result<()> {
        let value = match offload {
            TxOffload::On => "on",
            TxOffload::Off => "off",
        };
        self.netns
            .command("ethtool")
            .args(["-K", "eth0", "tx", value])
            .read()
            .map(drop)
    }

    /// The pod's namespace.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The pod's address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }
}

/// The first word of the port's first `addresses`.
fn mac(lab: &Lab, port: &str) -> Result<String> {
    let addresses = lab.nbctl(["get", "Logical_Switch_Port", port, "addresses"])?;
    let mac = addresses
        .trim_matches(['[', '"', ']'])
        .split(' ')
        .next()
        .unwrap_or_default();
    Ok(mac.to_owned())
}

fn gateway(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            [first, second, third, 1].into()
        }
        IpAddr::V6(address) => {
            let [first, second, third, fourth, ..] = address.segments();
            [first, second, third, fourth, 0, 0, 0, 1].into()
        }
    }
}
