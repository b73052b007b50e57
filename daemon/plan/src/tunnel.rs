//! The link that carries the tunnels of this node, and what becomes of it.
//!
//! The kernel's datapath tunnels over the link as it is. The userspace one routes tunnels by the
//! address of a bridge, so there the link becomes a port of [`TUNNEL_BRIDGE`], and the bridge takes
//! over its addresses, its MAC and its MTU. What the link had is recorded first, on disk: from
//! then on the record says which addresses there should be, whoever dies in between.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use linux::LinkName;
use linux::nft::{Base, Chain, Hook, Kind, Policy, Table};
use model::{Cidr, IpFamily, MacAddr};
use regex::Regex;

use crate::Datapath;

/// The bridge that has the tunnel's link on the userspace datapath.
pub const TUNNEL_BRIDGE: &str = "br-phy";

/// Links that are never the tunnel's, whatever pattern they match.
const NEVER: [&str; 6] = [
    "lo",
    crate::node::OVN0,
    crate::port::INTEGRATION_BRIDGE,
    TUNNEL_BRIDGE,
    "ovs-system",
    "ovs-netdev",
];

/// How the link is found.
#[derive(Debug, Clone)]
pub enum TunnelRule {
    /// Not at all: what Open vSwitch was started with counts.
    Given,
    Named(Pattern),
    /// It has this address.
    Holder(IpAddr),
}

/// The name of a link, or a list of regular expressions joined by commas, none of them anchored.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// The text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no list of names or regular expressions of links: {reason}")]
pub struct InvalidPattern {
    text: String,
    reason: String,
}

/// A link that may carry tunnels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    pub name: LinkName,
    pub mac: MacAddr,
    pub mtu: u32,
    /// In the kernel's order, without link-local ones.
    pub addresses: Vec<IpNet>,
    /// Those that the kernel does not make for the addresses.
    pub routes: BTreeSet<Hop>,
}

/// A route by a link that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    pub destination: Cidr,
    pub gateway: Option<IpAddr>,
}

/// What a link had when the bridge took it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub nic: LinkName,
    pub mac: MacAddr,
    pub addresses: Vec<IpNet>,
    pub routes: BTreeSet<Hop>,
}

/// All that the choice depends on.
#[derive(Debug, Clone)]
pub struct TunnelInputs {
    pub rule: TunnelRule,
    /// This node's address, which is the tunnel's where the link has it.
    pub pod_ip: Option<IpAddr>,
    pub datapath: Datapath,
    /// In the kernel's order.
    pub nics: Vec<Nic>,
    pub record: Option<Record>,
    /// Addresses by which the node and the API server reach each other.
    pub management: BTreeSet<IpAddr>,
}

/// What the node's tunnels should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelState {
    pub address: IpAddr,
    /// Of the link, in bytes.
    pub mtu: u32,
    pub bridge: Option<TunnelBridge>,
    /// A link that a bridge took over and that is to get back what it had.
    pub give_back: Option<Record>,
}

/// The bridge and its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelBridge {
    pub record: Record,
    pub mtu: u32,
}

/// Why there can be no tunnels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelProblem {
    #[error(
        "no link matches `{0}`; correct --iface, or the annotation \
         ovn.kubernetes.io/tunnel_interface of the node"
    )]
    NoMatch(String),
    #[error("no link has the node's address {0}; name the tunnel's link in --iface")]
    NoHolder(IpAddr),
    #[error("link {0} has no address; give it one, or name another in --iface")]
    NoAddress(LinkName),
    #[error(
        "link {nic} has {address}, by which the node and the API server reach each other, and the \
         userspace datapath would take it over; name another link in --iface"
    )]
    Management { nic: LinkName, address: IpAddr },
}

/// What the inputs ask for; `None` where tunnels are left as they are.
///
/// # Errors
/// When the rule finds no link that can be used.
pub fn tunnel_state(inputs: &TunnelInputs) -> Result<Option<TunnelState>, TunnelProblem> {
    let Some(nic) = choose(inputs)? else {
        return Ok(None);
    };
    let addresses = addresses(nic, inputs.record.as_ref());
    let address = tunnel_address(&addresses, inputs.pod_ip);
    let address = address.ok_or_else(|| TunnelProblem::NoAddress(nic.name.clone()))?;
    let bridge = match inputs.datapath {
        Datapath::System => None,
        Datapath::Netdev => Some(bridge(nic, addresses, inputs)?),
    };
    let is_kept = |record: &&Record| bridge.is_some() && record.nic == nic.name;
    let give_back = inputs.record.as_ref().filter(|record| !is_kept(record));
    Ok(Some(TunnelState {
        address,
        mtu: nic.mtu,
        bridge,
        give_back: give_back.cloned(),
    }))
}

fn choose(inputs: &TunnelInputs) -> Result<Option<&Nic>, TunnelProblem> {
    let eligible = |nic: &&Nic| !NEVER.contains(&nic.name.as_str());
    let mut nics = inputs.nics.iter().filter(eligible);
    match &inputs.rule {
        TunnelRule::Given => Ok(None),
        TunnelRule::Named(pattern) => {
            let named = nics.clone().find(|nic| nic.name.as_str() == pattern.text);
            let found =
                named.or_else(|| nics.find(|nic| pattern.regex.is_match(nic.name.as_str())));
            let problem = || TunnelProblem::NoMatch(pattern.text.clone());
            found.map(Some).ok_or_else(problem)
        }
        TunnelRule::Holder(address) => {
            let has = |nic: &&Nic| {
                let addresses = addresses(nic, inputs.record.as_ref());
                addresses.iter().any(|net| net.addr() == *address)
            };
            let found = nics.find(has);
            found.map(Some).ok_or(TunnelProblem::NoHolder(*address))
        }
    }
}

/// What the link has, or had. Somebody may have given it addresses after it was recorded: those of
/// a family that are not all in the record replace the recorded ones of that family. Fewer than
/// recorded are what a move has left.
fn addresses(nic: &Nic, record: Option<&Record>) -> Vec<IpNet> {
    let recorded = record.filter(|record| record.nic == nic.name);
    let recorded = recorded.map_or(&[][..], |record| &record.addresses);
    let of = |family, addresses: &[IpNet]| -> Vec<IpNet> {
        let of_family = |net: &&IpNet| IpFamily::of(net.addr()) == family;
        addresses.iter().filter(of_family).copied().collect()
    };
    let by_family = IpFamily::ALL.into_iter().flat_map(|family| {
        let (now, then) = (of(family, &nic.addresses), of(family, recorded));
        if now.iter().all(|net| then.contains(net)) {
            then
        } else {
            now
        }
    });
    by_family.collect()
}

/// What the link has and had. They go with the addresses, and who made them may not do so again.
fn routes(nic: &Nic, record: Option<&Record>) -> BTreeSet<Hop> {
    let recorded = record.filter(|record| record.nic == nic.name);
    let recorded = recorded.into_iter().flat_map(|record| &record.routes);
    let is_replaced = |then: &&Hop| {
        let mut now = nic.routes.iter();
        now.any(|now| now.destination == then.destination)
    };
    let kept = recorded.filter(|then| !is_replaced(then));
    kept.chain(&nic.routes).copied().collect()
}

/// The node's own address where the link has it, else its first, IPv4 before IPv6.
fn tunnel_address(addresses: &[IpNet], pod_ip: Option<IpAddr>) -> Option<IpAddr> {
    let mut of_link = addresses.iter().map(IpNet::addr);
    let own = of_link.clone().find(|address| Some(*address) == pod_ip);
    own.or_else(|| of_link.next())
}

fn bridge(
    nic: &Nic,
    addresses: Vec<IpNet>,
    inputs: &TunnelInputs,
) -> Result<TunnelBridge, TunnelProblem> {
    let mut of_link = addresses.iter().map(IpNet::addr);
    if let Some(address) = of_link.find(|address| inputs.management.contains(address)) {
        let nic = nic.name.clone();
        return Err(TunnelProblem::Management { nic, address });
    }
    let record = Record {
        nic: nic.name.clone(),
        mac: nic.mac,
        addresses,
        routes: routes(nic, inputs.record.as_ref()),
    };
    let mtu = nic.mtu;
    Ok(TunnelBridge { record, mtu })
}

/// What keeps the kernel from hearing, and answering, what a link of a userspace bridge receives:
/// Open vSwitch takes the frames before this hook.
pub fn silence(nic: &LinkName) -> Table {
    let chain = Chain {
        base: Base {
            kind: Kind::Filter,
            hook: Hook::Ingress(nic.clone()),
            priority: 0,
            policy: Policy::Drop,
        },
        rules: Vec::new(),
    };
    Table {
        chains: [(nic.to_string(), chain)].into(),
        sets: BTreeMap::new(),
    }
}

// === impl TunnelRule ===

impl TunnelRule {
    /// The node's annotation goes before the flag, and both before the node's address.
    ///
    /// # Errors
    /// When the text that counts is no pattern.
    pub fn new(
        annotation: Option<&str>,
        iface: Option<&str>,
        pod_ip: Option<IpAddr>,
    ) -> Result<Self, InvalidPattern> {
        let texts = [annotation, iface].into_iter().flatten();
        let mut texts = texts.filter(|text| !text.is_empty());
        match (texts.next(), pod_ip) {
            (Some(text), _) => Pattern::new(text).map(Self::Named),
            (None, Some(address)) => Ok(Self::Holder(address)),
            (None, None) => Ok(Self::Given),
        }
    }
}

// === impl Pattern ===

impl Pattern {
    fn new(text: &str) -> Result<Self, InvalidPattern> {
        let parts = text.split(',').map(|part| format!("({})", part.trim()));
        let joined = parts.collect::<Vec<_>>().join("|");
        let regex = Regex::new(&joined).map_err(|error| InvalidPattern {
            text: text.to_owned(),
            reason: error.to_string(),
        })?;
        let text = text.to_owned();
        Ok(Self { text, regex })
    }
}

#[cfg(test)]
mod tests;
