//! A port of a pod.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{DualStack, MacAddr, NodeName, Owner, PortKey};
use ovn::nb::{self, logical_switch as ls, logical_switch_port as lsp, port_group as pg};
use ovn::{Row, RowKey, expr};

use crate::inputs::{Port, Subnet};
use crate::{GatewayMode, Inputs, Planned, PortSecurity, north, shared};

pub(crate) fn plan(inputs: &Inputs, key: &PortKey) -> Planned {
    let mut planned = Planned::default();
    let Some(port) = inputs.ports.get(key) else {
        return planned;
    };
    let owner = Owner::Port(key.clone());
    let subnet = inputs
        .subnets
        .get(&port.subnet)
        .filter(|s| inputs.router_of(s).is_some());
    let Some(subnet) = subnet else {
        let message = format!(
            "its address is recorded in subnet `{}`, which does not exist; create it or delete the pod",
            port.subnet
        );
        planned.problem(&owner, "SubnetNotFound", message);
        return planned;
    };
    if let Some(node) = node_of_that_name(inputs, key) {
        let message = format!(
            "the port's name `{}` is that of node {node}; rename the pod",
            key.lsp()
        );
        planned.problem(&owner, "NameConflict", message);
        return planned;
    }
    let mut row = Row::new(&nb::LOGICAL_SWITCH_PORT)
        .with(lsp::NAME, key.lsp())
        .with(lsp::ADDRESSES, addresses(port.mac, &port.addresses))
        .with(lsp::OPTIONS, version(port))
        .linked(RowKey::LogicalSwitch(port.subnet.to_string()), ls::PORTS);
    let shared = shared::addresses(inputs, key, port, &mut planned);
    if port.security == PortSecurity::On {
        let secured = secured_addresses(port, subnet, &shared);
        row = row.with(lsp::PORT_SECURITY, secured);
    }
    if let Some(group) = gateway_group(inputs, port, subnet) {
        row = row.linked(RowKey::PortGroup(group), pg::PORTS);
    }
    planned.row(&owner, RowKey::LogicalSwitchPort(key.lsp()), row);
    north::plan(inputs, key, port, subnet, &mut planned);
    planned
}

fn version(port: &Port) -> BTreeMap<String, String> {
    let uid = Some(port.uid.clone()).filter(|uid| !uid.is_empty());
    uid.map(|uid| ("iface-id-ver".to_owned(), uid))
        .into_iter()
        .collect()
}

/// The node whose port has the name that the pod's would have: node `n1.x` has that of pod
/// `node-n1` in namespace `x`. Nodes are there before their pods.
fn node_of_that_name<'a>(inputs: &'a Inputs, key: &PortKey) -> Option<&'a NodeName> {
    let name = NodeName::of_lsp(&key.lsp())?;
    let (name, node) = inputs.nodes.get_key_value(&name)?;
    (node.is_joined() && inputs.join().is_some()).then_some(name)
}

/// `<mac> <v4> [<v6>]`, the one element of `addresses` (ovn-nb(5), `Logical_Switch_Port`).
pub(crate) fn addresses(mac: MacAddr, addresses: &DualStack<IpAddr>) -> BTreeSet<String> {
    let texts = addresses.values().map(IpAddr::to_string);
    BTreeSet::from([std::iter::once(mac.to_string())
        .chain(texts)
        .collect::<Vec<_>>()
        .join(" ")])
}

/// `<mac> <v4>/<len> [<v6>/<len>] [<shared>...]`: with the prefix length, broadcasts of the subnet
/// pass too.
fn secured_addresses(port: &Port, subnet: &Subnet, shared: &BTreeSet<IpAddr>) -> BTreeSet<String> {
    let texts = port
        .addresses
        .iter()
        .filter_map(|(family, address)| Some(subnet.cidrs.get(family)?.with_host(*address)));
    let words: Vec<_> = std::iter::once(port.mac.to_string())
        .chain(texts)
        .chain(shared.iter().map(IpAddr::to_string))
        .collect();
    BTreeSet::from([words.join(" ")])
}

/// The port group by which the pod's traffic leaves through its own node.
fn gateway_group(inputs: &Inputs, port: &Port, subnet: &Subnet) -> Option<String> {
    let distributed =
        inputs.is_led_to_nodes(subnet) && subnet.gateway_mode == GatewayMode::Distributed;
    let name = port.node.as_ref().filter(|_| distributed)?;
    let node = inputs.nodes.get(name)?;
    (node.is_joined() && inputs.join().is_some()).then(|| expr::node_port_group(name))
}
