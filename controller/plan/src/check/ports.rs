//! Ports: what is on a switch, and which router it is at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{Cidr, MacAddr, SubnetName, VpcName};
use ovn::nb::{logical_router_port as lrp, logical_switch_port as lsp};
use ovn::{Row, RowKey, Rows};

use super::{Finding, Rule};
use crate::Inputs;

/// The ports of a plan.
pub(super) struct Ports<'a> {
    on_switches: Vec<SwitchPort<'a>>,
    /// By the names of routers.
    networks: BTreeMap<&'a str, Vec<Cidr>>,
}

/// A port of a switch. What leads to a router has the router port's addresses.
struct SwitchPort<'a> {
    key: &'a RowKey,
    switch: Option<&'a str>,
    router: Option<&'a str>,
    macs: BTreeSet<MacAddr>,
    addresses: BTreeSet<IpAddr>,
}

// === impl Ports ===

impl<'a> Ports<'a> {
    pub(super) fn of(rows: &'a Rows) -> Self {
        let on_switches = rows
            .iter()
            .filter(|(key, _)| matches!(key, RowKey::LogicalSwitchPort(_)));
        let mut networks: BTreeMap<&str, Vec<Cidr>> = BTreeMap::new();
        for (key, row) in rows {
            if let (RowKey::LogicalRouterPort(_), Some(router)) = (key, parent(row)) {
                let cidrs = texts(row)
                    .into_iter()
                    .filter_map(|text| text.parse::<Cidr>().ok());
                networks.entry(router).or_default().extend(cidrs);
            }
        }
        Self {
            on_switches: on_switches
                .map(|(key, row)| SwitchPort::of(key, row, rows))
                .collect(),
            networks,
        }
    }

    pub(super) fn check_peers(&self, rows: &Rows) -> Vec<Finding> {
        let mut findings = Vec::new();
        for port in &self.on_switches {
            let peer = rows.get(port.key).and_then(peer);
            if let Some(peer) = peer.filter(|_| port.router.is_none()) {
                let message = format!("it leads to router port {peer}, which is not planned");
                findings.push(Finding::new(Rule::Peer, port.key, message));
            }
        }
        findings
    }

    /// Ports of two routers that are linked name each other and are in the same networks.
    pub(super) fn check_links(rows: &Rows) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (key, row) in rows {
            let Some(peer) = row.get(lrp::PEER).flatten() else {
                continue;
            };
            let other = rows.get(&RowKey::LogicalRouterPort(peer.clone()));
            let message = match other {
                None => format!("it is linked to router port {peer}, which is not planned"),
                Some(other) if !is_linked_to(other, key) => {
                    format!("it is linked to router port {peer}, which is not linked to it")
                }
                Some(other) if !are_neighbours(row, other) => {
                    format!("router port {peer}, which it is linked to, is not in its networks")
                }
                Some(_) => continue,
            };
            findings.push(Finding::new(Rule::Peer, key, message));
        }
        findings
    }

    pub(super) fn check_addresses(&self) -> Vec<Finding> {
        let placed = self
            .on_switches
            .iter()
            .filter_map(|port| Some((port, port.switch?)));
        let held = placed.flat_map(|(port, switch)| {
            let addresses = port.addresses.iter();
            addresses.map(move |address| (port.key, (switch, *address)))
        });
        let message = |(switch, address): &(&str, IpAddr), other: &RowKey| {
            format!("{address} on switch {switch} is also that of {other}")
        };
        shared(Rule::UniqueAddress, held, message)
    }

    pub(super) fn check_macs(&self, inputs: &Inputs) -> Vec<Finding> {
        let placed = self
            .on_switches
            .iter()
            .filter_map(|port| Some((port, vpc_of(inputs, port.switch?)?)));
        let held = placed.flat_map(|(port, vpc)| {
            let macs = port.macs.iter();
            macs.map(move |mac| (port.key, (vpc, *mac)))
        });
        let message = |(vpc, mac): &(&VpcName, MacAddr), other: &RowKey| {
            format!("MAC {mac} in VPC {vpc} is also that of {other}")
        };
        shared(Rule::UniqueMac, held, message)
    }

    /// Whether a port with that address is on a switch of the router.
    pub(super) fn reach(&self, router: &str, address: IpAddr) -> bool {
        let here = self
            .on_switches
            .iter()
            .filter(|port| port.router == Some(router));
        let switches: BTreeSet<&str> = here.filter_map(|port| port.switch).collect();
        self.on_switches
            .iter()
            .filter(|port| port.switch.is_some_and(|it| switches.contains(it)))
            .any(|port| port.addresses.contains(&address))
    }

    /// Whether the router is in a network with that address.
    pub(super) fn connects(&self, router: &str, address: IpAddr) -> bool {
        let networks = self.networks.get(router).into_iter().flatten();
        networks.into_iter().any(|cidr| cidr.contains(address))
    }
}

// === impl SwitchPort ===

impl<'a> SwitchPort<'a> {
    fn of(key: &'a RowKey, row: &'a Row, rows: &'a Rows) -> Self {
        let peer = peer(row).and_then(|name| rows.get(&RowKey::LogicalRouterPort(name)));
        let texts = texts(peer.unwrap_or(row));
        let words = || texts.iter().flat_map(|text| text.split([' ', '/']));
        Self {
            key,
            switch: parent(row),
            router: peer.and_then(parent),
            macs: peer
                .and_then(|peer| peer.get(lrp::MAC))
                .iter()
                .map(String::as_str)
                .chain(words())
                .filter_map(|word| word.parse().ok())
                .collect(),
            addresses: words().filter_map(|word| word.parse().ok()).collect(),
        }
    }
}

/// A finding for each row that has what another has.
fn shared<'a, T: Ord>(
    rule: Rule,
    held: impl Iterator<Item = (&'a RowKey, T)>,
    message: impl Fn(&T, &RowKey) -> String,
) -> Vec<Finding> {
    let mut holders: BTreeMap<T, &RowKey> = BTreeMap::new();
    let mut findings = Vec::new();
    for (key, what) in held {
        if let Some(other) = holders.get(&what) {
            findings.push(Finding::new(rule, key, message(&what, other)));
        } else {
            holders.insert(what, key);
        }
    }
    findings
}

/// The texts that hold a port's addresses.
fn texts(row: &Row) -> BTreeSet<String> {
    let addresses = row.get(lsp::ADDRESSES);
    addresses
        .or_else(|| row.get(lrp::NETWORKS))
        .unwrap_or_default()
}

/// The router port that a switch port is for.
fn peer(row: &Row) -> Option<String> {
    row.get(lsp::OPTIONS)?.remove("router-port")
}

fn is_linked_to(row: &Row, key: &RowKey) -> bool {
    let peer = row.get(lrp::PEER).flatten();
    peer.is_some_and(|peer| *key == RowKey::LogicalRouterPort(peer))
}

/// Whether two router ports have other addresses in the same networks.
fn are_neighbours(one: &Row, other: &Row) -> bool {
    let (one, other) = (texts(one), texts(other));
    let networks = |texts: &BTreeSet<String>| -> BTreeSet<Cidr> {
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    };
    one.is_disjoint(&other) && networks(&one) == networks(&other)
}

/// The switch or the router of a port.
fn parent(row: &Row) -> Option<&str> {
    row.links().iter().find_map(|link| {
        if let RowKey::LogicalSwitch(name) | RowKey::LogicalRouter(name) = &link.parent {
            Some(name.as_str())
        } else {
            None
        }
    })
}

fn vpc_of<'a>(inputs: &'a Inputs, switch: &str) -> Option<&'a VpcName> {
    let name = SubnetName::new(switch).ok()?;
    inputs.subnets.get(&name).map(|subnet| &subnet.vpc)
}
