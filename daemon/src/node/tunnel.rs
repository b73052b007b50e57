//! The link that carries tunnels: chosen, told to OVN, and on the userspace datapath taken over.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use daemon_plan::tunnel::{
    self, Hop, InvalidPattern, Nic, Record, TUNNEL_BRIDGE, TunnelBridge, TunnelProblem,
};
use daemon_plan::{TunnelInputs, TunnelRule, TunnelState, tunnel_state};
use linux::link::{self, Admin, Desired, End, InvalidLinkName};
use linux::nft::Family;
use linux::route::{self, Route, Routes};
use linux::{LinkName, address};
use model::Provider;

use super::journal::{self, Journal};
use super::settled::Settled;
use crate::host::{self, Host};
use crate::object::Node;
use crate::ovs;

/// Keeps the tunnels of this node.
#[derive(Debug)]
pub(crate) struct Tunnel {
    iface: Option<String>,
    pod_ip: Option<IpAddr>,
    api_server: Option<SocketAddr>,
    journal: Journal,
    silenced: Settled<LinkName>,
}

/// The link that the tunnels run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carrier {
    pub(crate) address: IpAddr,
    /// In bytes.
    pub(crate) mtu: u32,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
    #[error(transparent)]
    Problem(#[from] TunnelProblem),
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Host(#[from] host::Error),
    #[error(transparent)]
    Kernel(#[from] linux::Error),
    #[error(transparent)]
    Ovs(#[from] ovs::Error),
    #[error(transparent)]
    Name(#[from] InvalidLinkName),
    #[error("Open vSwitch has not made bridge {0} yet; see that ovs-vswitchd runs on this node")]
    NoBridge(&'static str),
    #[error("no Node object yet that may name the tunnel's link; see that the API server answers")]
    NoNode,
}

/// The annotation of a node that names its link.
const ANNOTATION: &str = "tunnel_interface";

// === impl Tunnel ===

impl Tunnel {
    /// `iface` and `pod_ip` as the arguments say, where the API server is, and the folder that
    /// outlives the daemon.
    pub(crate) fn new(
        iface: Option<String>,
        pod_ip: Option<IpAddr>,
        api_server: Option<SocketAddr>,
        state: &Path,
    ) -> Self {
        Self {
            iface,
            pod_ip,
            api_server,
            journal: Journal::new(state),
            silenced: Settled::default(),
        }
    }

    /// Brings the tunnels to what they should be. Returns what carries them, `None` where Open
    /// vSwitch was told by somebody else, and the number of changes.
    pub(crate) async fn reconcile(
        &mut self,
        host: &Host,
        node: Option<&Node>,
    ) -> Result<(Option<Carrier>, usize), Error> {
        let record = self.journal.read()?;
        let rule = self.rule(node, record.as_ref())?;
        let addresses = node.map(|node| node.addresses.clone());
        let inputs = TunnelInputs {
            rule,
            pod_ip: self.pod_ip,
            datapath: host.ovs.datapath()?,
            nics: nics(host).await?,
            record,
            management: self.management(addresses.unwrap_or_default()),
        };
        let Some(state) = tunnel_state(&inputs)? else {
            return Ok((None, 0));
        };
        let made = self.apply(host, &state, inputs.record.as_ref()).await?;
        let carrier = Carrier {
            address: state.address,
            mtu: state.mtu,
        };
        Ok((Some(carrier), made))
    }

    /// A link that was taken over is kept until the Node object says otherwise: without it nobody
    /// would reach the API server that has the object.
    fn rule(&self, node: Option<&Node>, record: Option<&Record>) -> Result<TunnelRule, Error> {
        let key = Provider::Ovn.annotation(ANNOTATION);
        let annotation = match (node, record) {
            (Some(node), _) => node.annotations.get(&key).cloned(),
            (None, Some(record)) => Some(record.nic.to_string()),
            (None, None) if self.iface.is_none() && self.pod_ip.is_none() => None,
            (None, None) => return Err(Error::NoNode),
        };
        let (annotation, iface) = (annotation.as_deref(), self.iface.as_deref());
        Ok(TunnelRule::new(annotation, iface, self.pod_ip)?)
    }

    fn management(&self, mut addresses: BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        addresses.extend(self.api_server.and_then(source_to));
        addresses
    }

    async fn apply(
        &mut self,
        host: &Host,
        state: &TunnelState,
        recorded: Option<&Record>,
    ) -> Result<usize, Error> {
        let mut made = 0;
        if let Some(record) = &state.give_back {
            made += give_back(host, record).await?;
            self.journal.remove()?;
        }
        if let Some(bridge) = &state.bridge {
            if recorded != Some(&bridge.record) {
                self.journal.write(&bridge.record)?;
            }
            made += self.take_over(host, bridge).await?;
        }
        Ok(made + host.tunnel_address(state.address).await?)
    }

    /// The addresses are on the bridge before they leave the link.
    async fn take_over(&mut self, host: &Host, wanted: &TunnelBridge) -> Result<usize, Error> {
        let (nic, name) = (&wanted.record.nic, LinkName::new(TUNNEL_BRIDGE)?);
        let mut made = 0;
        if !self.silenced.holds(nic) {
            let silence = tunnel::silence(nic);
            made += host.kernel.table(Family::Netdev, Some(&silence)).await?;
            self.silenced.found(nic.clone());
        }
        made += host.take_over(wanted).await?;
        // vswitchd takes the port down to give it its MAC, and IPv6 addresses go with that
        let link = link::observe(&host.kernel.netlink, &name).await?;
        if link.is_none_or(|link| link.mac != Some(wanted.record.mac)) {
            return Err(Error::NoBridge(TUNNEL_BRIDGE));
        }
        let up = |name: &LinkName, mtu| End {
            name: name.clone(),
            link: Desired {
                mtu,
                admin: Some(Admin::Up),
                ..Desired::default()
            },
        };
        made += host.kernel.link(&up(&name, Some(wanted.mtu))).await?;
        if let Some(setting) = daemon_plan::Datapath::Netdev.tx_checksum() {
            made += host.kernel.tx_checksum(&name, setting).await?;
        }
        let addresses = wanted.record.addresses.iter().copied().collect();
        made += host.kernel.addresses(&name, &addresses).await?;
        made += host.kernel.link(&up(nic, None)).await?;
        made += host.kernel.addresses(nic, &BTreeSet::new()).await?;
        Ok(made + add_routes(host, &name, &wanted.record).await?)
    }
}

/// Gives the link back what the bridge took from it.
pub(crate) async fn give_back(host: &Host, record: &Record) -> Result<usize, Error> {
    let mut made = host.dissolve().await?;
    made += host.kernel.table(Family::Netdev, None).await?;
    let netlink = &host.kernel.netlink;
    let Some(link) = link::observe(netlink, &record.nic).await? else {
        // somebody took the link itself away
        return Ok(made);
    };
    let there = address::observe(netlink, link.index).await?;
    let back = there.into_iter().chain(record.addresses.iter().copied());
    made += host.kernel.addresses(&record.nic, &back.collect()).await?;
    Ok(made + add_routes(host, &record.nic, record).await?)
}

/// The recorded routes that `link` lacks.
async fn add_routes(host: &Host, link: &LinkName, record: &Record) -> Result<usize, Error> {
    let there = route::observe_others(&host.kernel.netlink).await?;
    let recorded = record.routes.iter().map(|hop| Route {
        destination: hop.destination,
        gateway: hop.gateway,
        link: link.clone(),
    });
    let missing: Vec<_> = recorded.filter(|route| !there.contains(route)).collect();
    for route in &missing {
        route::add_static(&host.kernel.netlink, route).await?;
    }
    Ok(missing.len())
}

/// The links that may carry tunnels, in the kernel's order.
async fn nics(host: &Host) -> Result<Vec<Nic>, Error> {
    let netlink = &host.kernel.netlink;
    let routes = route::observe_others(netlink).await?;
    let mut nics = Vec::new();
    for (name, link) in link::list(netlink).await? {
        let is_ours = link.alias.as_deref() == Some(link::MARK);
        let Some(mac) = link.mac.filter(|_| !is_ours) else {
            continue;
        };
        nics.push(Nic {
            mac,
            mtu: link.mtu,
            addresses: address::list(netlink, link.index).await?,
            routes: hops(&routes, &name),
            name,
        });
    }
    Ok(nics)
}

fn hops(routes: &Routes, link: &LinkName) -> BTreeSet<Hop> {
    let by_link = routes.iter().filter(|route| route.link == *link);
    let hops = by_link.map(|route| Hop {
        destination: route.destination,
        gateway: route.gateway,
    });
    hops.collect()
}

/// The address that packets to `peer` leave with, by the kernel's routes. Nothing is sent.
fn source_to(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
