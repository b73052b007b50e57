//! Who is where on the cluster's two networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use model::DualStack;
use testkit::{
    Families, Netns,
    netns::named,
    network::{MANAGEMENT, TUNNEL, add_address, plug, unplug},
    node::{MANAGEMENT_NIC, TUNNEL_NIC},
};

/// The start of the names of all network namespaces of the cluster.
const PREFIX: &str = "kubeovn-";
const SWITCH: &str = "switch";
const OUTSIDE: &str = "outside";
const CONTROL: &str = "control";

const OUTSIDE_HOST: u8 = 1;
const CONTROL_HOST: u8 = 2;
const FIRST_NODE_HOST: u8 = 11;

/// The addresses of the outside host that are in no network of the nodes (RFC 5737, RFC 3849).
pub(crate) const OUTSIDE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const OUTSIDE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// The namespace of a part of the cluster.
pub(crate) fn netns(part: &str) -> Netns {
    Netns::lasting(&format!("{PREFIX}{part}"))
}

/// Where the API server is.
pub(crate) fn control() -> Netns {
    netns(CONTROL)
}

/// A host that is no part of Kubernetes.
pub(crate) fn outside() -> Netns {
    netns(OUTSIDE)
}

/// The addresses of the API server.
pub(crate) fn control_addresses(families: Families) -> DualStack<IpAddr> {
    families.host(MANAGEMENT, CONTROL_HOST)
}

/// The addresses of a node on `eth0`, from 0 on.
pub(crate) fn node_addresses(families: Families, number: u8) -> DualStack<IpAddr> {
    families.host(MANAGEMENT, FIRST_NODE_HOST + number)
}

/// The names of the namespaces that exist.
pub(crate) fn present() -> Result<Vec<String>> {
    named(PREFIX)
}

/// Makes the switches, the control plane's namespace and the outside host.
pub(crate) fn lay_out(families: Families) -> Result<()> {
    let switch = make(SWITCH)?;
    for bridge in [MANAGEMENT.bridge, TUNNEL.bridge] {
        switch.ip([format!("link add {bridge} up type bridge")])?;
    }
    let outside = make(OUTSIDE)?;
    join(&outside, families, OUTSIDE_HOST)?;
    let behind = [OUTSIDE_V4, OUTSIDE_V6];
    outside.ip(behind.map(|address| format!("address add {address} dev lo")))?;
    let control = make(CONTROL)?;
    join(&control, families, CONTROL_HOST)?;
    route_by_outside(&control, families)
}

/// Makes the namespace of a node: `eth0` with its default route, `eth1` for tunnels.
pub(crate) fn lay_out_node(name: &str, families: Families, number: u8) -> Result<()> {
    let host = FIRST_NODE_HOST + number;
    let node = make(name)?;
    join(&node, families, host)?;
    route_by_outside(&node, families)?;
    plug(&node, TUNNEL_NIC, host, &netns(SWITCH), TUNNEL)?;
    let addresses = families.host(TUNNEL, host);
    node.ip(addresses
        .values()
        .map(|address| add_address(TUNNEL_NIC, *address)))
}

/// Takes a node's namespace away with all that was made in it, and its plugs out of the switches.
pub(crate) fn take_away_node(name: &str, number: u8) -> Result<()> {
    netns(name).delete()?;
    let host = FIRST_NODE_HOST + number;
    let switch = netns(SWITCH);
    // the kernel would get there by itself, but some time later
    [MANAGEMENT, TUNNEL]
        .iter()
        .try_for_each(|network| unplug(host, &switch, *network))
}

/// Deletes every namespace of the cluster.
pub(crate) fn remove() -> Result<()> {
    present()?
        .iter()
        .try_for_each(|name| Netns::lasting(name).delete())
}

fn make(part: &str) -> Result<Netns> {
    Netns::create_lasting(&format!("{PREFIX}{part}"))
}

fn join(netns: &Netns, families: Families, host: u8) -> Result<()> {
    plug(
        netns,
        MANAGEMENT_NIC,
        host,
        &self::netns(SWITCH),
        MANAGEMENT,
    )?;
    let addresses = families.host(MANAGEMENT, host);
    netns.ip(addresses
        .values()
        .map(|address| add_address(MANAGEMENT_NIC, *address)))
}

fn route_by_outside(netns: &Netns, families: Families) -> Result<()> {
    let gateways = families.host(MANAGEMENT, OUTSIDE_HOST);
    netns.ip(gateways
        .values()
        .map(|gateway| format!("route add default via {gateway}")))
}
