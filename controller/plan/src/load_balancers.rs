//! The load balancers of a VPC: four rows, shared by its switches, that hold the VIPs of services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use model::{Owner, VpcName, load_balancer};
use ovn::nb::{self, load_balancer as lb, logical_switch as ls};
use ovn::{Row, RowKey};

use crate::{Affinity, Inputs, Planned, Protocol, RouterLink};

/// One of the rows: OVN's protocol and hash fields are per row, not per VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Balancer {
    protocol: Protocol,
    affinity: Affinity,
}

/// Services exist in the default VPC alone.
pub(crate) fn plan(inputs: &Inputs, name: &VpcName) -> Planned {
    let mut planned = Planned::default();
    if *name != inputs.settings.default_vpc || !inputs.vpcs.contains_key(name) {
        return planned;
    }
    let owner = Owner::LoadBalancers(name.clone());
    let switches = switches(inputs);
    for balancer in Balancer::ALL {
        let row = Row::new(&nb::LOAD_BALANCER)
            .with(lb::NAME, balancer.name())
            .with(lb::PROTOCOL, Some(balancer.protocol()))
            .with(lb::SELECTION_FIELDS, balancer.selection_fields())
            .with(lb::VIPS, vips(inputs, balancer));
        let row = switches
            .iter()
            .cloned()
            .fold(row, |row, switch| row.linked(switch, ls::LOAD_BALANCER));
        planned.row(
            &owner,
            RowKey::LoadBalancer(balancer.name().to_owned()),
            row,
        );
    }
    planned
}

/// Every switch of the default VPC that its router is the gateway of, but that of the nodes: from
/// there services are reached by way of the node's own proxy.
fn switches(inputs: &Inputs) -> Vec<RowKey> {
    let settings = &inputs.settings;
    let balanced = inputs.subnets.iter().filter(|(name, subnet)| {
        **name != settings.join
            && inputs.is_in_default_vpc(subnet)
            && subnet.router_link == RouterLink::Connected
    });
    balanced
        .map(|(name, _)| RowKey::LogicalSwitch(name.to_string()))
        .collect()
}

/// The row's entries. A VIP without backends has none, and the node's proxy answers for it. Where
/// two services claim one VIP the first by name has it.
fn vips(inputs: &Inputs, balancer: Balancer) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    let services = inputs
        .services
        .values()
        .filter(|service| service.affinity == balancer.affinity);
    let vips = services.flat_map(|service| &service.vips);
    for (vip, backends) in
        vips.filter(|(vip, backends)| vip.protocol == balancer.protocol && !backends.is_empty())
    {
        entries
            .entry(vip.address.to_string())
            .or_insert_with(|| join(backends));
    }
    entries
}

fn join(backends: &BTreeSet<SocketAddr>) -> String {
    let texts: Vec<_> = backends.iter().map(SocketAddr::to_string).collect();
    texts.join(",")
}

// === impl Balancer ===

impl Balancer {
    const ALL: [Self; 4] = [
        Self::new(Protocol::Tcp, Affinity::None),
        Self::new(Protocol::Udp, Affinity::None),
        Self::new(Protocol::Tcp, Affinity::ClientIp),
        Self::new(Protocol::Udp, Affinity::ClientIp),
    ];

    const fn new(protocol: Protocol, affinity: Affinity) -> Self {
        Self { protocol, affinity }
    }

    const fn name(self) -> &'static str {
        match (self.protocol, self.affinity) {
            (Protocol::Tcp, Affinity::None) => load_balancer::TCP,
            (Protocol::Udp, Affinity::None) => load_balancer::UDP,
            (Protocol::Tcp, Affinity::ClientIp) => load_balancer::TCP_SESSION,
            (Protocol::Udp, Affinity::ClientIp) => load_balancer::UDP_SESSION,
        }
    }

    fn protocol(self) -> String {
        match self.protocol {
            Protocol::Tcp => "tcp".to_owned(),
            Protocol::Udp => "udp".to_owned(),
        }
    }

    /// What the choice of a backend depends on; by default all that tells connections apart.
    fn selection_fields(self) -> BTreeSet<String> {
        match self.affinity {
            Affinity::None => BTreeSet::new(),
            Affinity::ClientIp => BTreeSet::from(["ip_src".to_owned()]),
        }
    }
}
