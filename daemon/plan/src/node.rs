//! `ovn0`, the node's own port on the join switch, and the routes to pods through it.

use linux::LinkName;
use linux::address::Addresses;
use linux::link::{Admin, Desired, InvalidLinkName};
use linux::nft::{self, guest};
use linux::offload::TxChecksum;
use linux::route::{Route, Routes};
use linux::sysctl::{Key, Settings};
use linux::table::Hop;
use model::{Cidr, NodeName};

use crate::allocation::Allocation;
use crate::datapath::Datapath;
use crate::mtu::Encapsulation;
use crate::nat::{self, Overlay};
use crate::port::{Port, PortKind, external_ids, key};
use crate::redirect::{RedirectInputs, Redirection, redirection};

/// The name of the node's port.
pub const OVN0: &str = "ovn0";

/// All that the state of a node depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInputs {
    pub node: NodeName,
    /// The node's port on the join switch.
    pub allocation: Allocation,
    pub datapath: Datapath,
    pub mtu: u32,
    pub encapsulation: Encapsulation,
    pub overlay: Vec<Overlay>,
    pub redirect: RedirectInputs,
}

/// What the node should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    pub port: Port,
    pub link: Desired,
    pub tx_checksum: Option<TxChecksum>,
    pub addresses: Addresses,
    pub routes: Routes,
    pub settings: Settings,
    /// Our table of nftables.
    pub translation: nft::Table,
    /// Our rules in chains that drop by policy.
    pub passage: guest::Desired,
    /// Our rules, and our routes in the tables that they lead to.
    pub redirection: Redirection,
}

/// The state of the node that the inputs describe.
///
/// # Errors
/// Never: `ovn0` is a name that the kernel takes.
pub fn node_state(inputs: &NodeInputs) -> Result<NodeState, InvalidLinkName> {
    let name = LinkName::new(OVN0)?;
    let allocation = &inputs.allocation;
    let routes = routes(inputs, &name);
    let cluster = cluster(allocation, &routes, &name);
    Ok(NodeState {
        port: Port {
            name: name.clone(),
            kind: PortKind::Internal,
            mtu_request: Some(inputs.mtu),
            external_ids: external_ids([
                (key::IFACE_ID, inputs.node.lsp()),
                (key::IP, allocation.addresses.to_string()),
            ]),
        },
        link: Desired {
            mac: Some(allocation.mac),
            mtu: Some(inputs.mtu),
            alias: None,
            admin: Some(Admin::Up),
        },
        tx_checksum: inputs.datapath.tx_checksum(),
        addresses: allocation.interface_addresses(),
        routes,
        settings: settings(allocation, &name),
        translation: nat::translation(&inputs.overlay, &name),
        passage: nat::passage(&name, inputs.encapsulation),
        redirection: redirection(&inputs.redirect, &cluster, &name),
    })
}

/// Each overlay network by the gateway of the join switch; that switch itself is on the link.
fn routes(inputs: &NodeInputs, link: &LinkName) -> Routes {
    let allocation = &inputs.allocation;
    let is_joined = |cidr: &Cidr| allocation.networks.values().any(|network| network == cidr);
    let route = |cidr: &Cidr| {
        allocation.addresses.get(cidr.family())?;
        Some(Route {
            destination: *cidr,
            gateway: Some(*allocation.gateways.get(cidr.family())?),
            link: link.clone(),
        })
    };
    let networks = inputs.overlay.iter();
    let networks = networks.flat_map(|overlay| overlay.networks.values());
    let remote = networks.filter(|cidr| !is_joined(cidr));
    remote.filter_map(route).collect()
}

/// The ways to the networks of the cluster: the routes, and the join switch on the link.
fn cluster(allocation: &Allocation, routes: &Routes, link: &LinkName) -> Vec<(Cidr, Hop)> {
    let remote = routes.iter().map(|route| {
        let link = route.link.clone();
        let hop = route.gateway.map_or_else(
            || Hop::Link(link.clone()),
            |it| Hop::Gateway(it, link.clone()),
        );
        (route.destination, hop)
    });
    let joined = allocation.networks.values();
    let joined = joined.map(|cidr| (*cidr, Hop::Link(link.clone())));
    remote.chain(joined).collect()
}

/// The node routes between its network and `ovn0`, in the families that the join switch has.
fn settings(allocation: &Allocation, link: &LinkName) -> Settings {
    let on = |key| (key, "1".to_owned());
    let v4 = allocation.addresses.v4.map(|_| on(Key::ipv4_forward()));
    let v6 = allocation.addresses.v6.map(|_| {
        let enabled = (Key::disable_ipv6(link), "0".to_owned());
        [on(Key::ipv6_forward()), enabled]
    });
    v4.into_iter().chain(v6.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::MacAddr;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn subnet(networks: &str) -> Overlay {
        Overlay {
            networks: networks.parse().unwrap(),
            nat_outgoing: true,
        }
    }

    fn inputs(addresses: &str, overlay: &[&str]) -> NodeInputs {
        NodeInputs {
            node: NodeName::new("n1").unwrap(),
            allocation: Allocation {
                mac: MacAddr::new([0, 0, 0, 1, 2, 3]),
                addresses: addresses.parse().unwrap(),
                networks: "100.64.0.0/16,fd00:100:64::/112".parse().unwrap(),
                gateways: "100.64.0.1,fd00:100:64::1".parse().unwrap(),
            },
            datapath: Datapath::System,
            mtu: 1400,
            encapsulation: Encapsulation::Geneve,
            overlay: overlay.iter().map(|text| subnet(text)).collect(),
            redirect: RedirectInputs::default(),
        }
    }

    fn routes(inputs: &NodeInputs) -> Vec<String> {
        let state = node_state(inputs).unwrap();
        let text = |route: &Route| format!("{} by {}", route.destination, route.gateway.unwrap());
        state.routes.iter().map(text).collect()
    }

    #[test]
    fn every_overlay_network_but_join_is_routed_to_the_join_gateway() {
        let overlay = ["100.64.0.0/16,fd00:100:64::/112", "10.16.0.0/16,fd01::/64"];
        assert_eq!(
            routes(&inputs("100.64.0.2,fd00:100:64::2", &overlay)),
            ["10.16.0.0/16 by 100.64.0.1", "fd01::/64 by fd00:100:64::1"]
        );
    }

    #[test]
    fn a_family_that_the_node_lacks_has_no_route_and_no_setting() {
        let inputs = inputs("fd00:100:64::2", &["10.16.0.0/16,fd01::/64"]);
        assert_eq!(routes(&inputs), ["fd01::/64 by fd00:100:64::1"]);
        let settings = node_state(&inputs).unwrap().settings;
        assert!(!settings.contains_key(&Key::ipv4_forward()));
        assert!(settings.contains_key(&Key::ipv6_forward()));
    }

    #[test]
    fn ovn0_is_an_internal_port_bound_to_the_node() {
        let port = node_state(&inputs("100.64.0.2", &[])).unwrap().port;
        assert_eq!(port.kind, PortKind::Internal);
        assert_eq!(port.iface_id(), "node-n1");
    }

    proptest! {
        #[test]
        fn the_order_of_subnets_does_not_matter(nets in vec(0_u8..20, 0..8)) {
            let texts: Vec<String> = nets.iter().map(|net| format!("10.{net}.0.0/16")).collect();
            let overlay: Vec<&str> = texts.iter().map(String::as_str).collect();
            let mut reversed = overlay.clone();
            reversed.reverse();
            prop_assert_eq!(
                node_state(&inputs("100.64.0.2", &overlay)),
                node_state(&inputs("100.64.0.2", &reversed))
            );
        }
    }
}
