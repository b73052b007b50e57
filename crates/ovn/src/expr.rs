//! Match expressions of logical flows (ovn-sb(5), `Logical_Flow.match`).
//!
//! Built from parsed values only, so that no text of a user can end an operand early. What users
//! write as a whole expression is read, to tell them what OVN tells nobody.

mod fields;
mod read;

use std::net::IpAddr;

use model::{Cidr, IpFamily, NodeName};

pub use read::{Reading, Unreadable, read};

/// Packets to an address of `cidr`.
pub fn destination_in(cidr: Cidr) -> String {
    format!("{}.dst == {cidr}", cidr.family().ovn_match())
}

/// Packets from an address of `cidr`.
pub fn source_in(cidr: Cidr) -> String {
    format!("{}.src == {cidr}", cidr.family().ovn_match())
}

/// Packets to `address`.
pub fn destination_is(address: IpAddr) -> String {
    format!("{}.dst == {address}", IpFamily::of(address).ovn_match())
}

/// What the switch port `port` sends, but for what finds neighbours in IPv4.
pub fn sent_by(port: &str) -> String {
    format!(r#"inport == "{port}" && ip"#)
}

/// What leaves the switch by its port `port`, with the same exception.
pub fn sent_to(port: &str) -> String {
    format!(r#"outport == "{port}" && ip"#)
}

/// Packets from `address`.
pub fn source_is(address: IpAddr) -> String {
    format!("{}.src == {address}", IpFamily::of(address).ovn_match())
}

/// Packets from an address of `cidr`, written as Kube-OVN writes it in ACLs, so that its rows are
/// known again; the same for the other two.
pub fn from_network(cidr: Cidr) -> String {
    let word = cidr.family().ovn_match();
    format!("{word}.src=={cidr}")
}

/// Packets inside `cidr`.
pub fn inside_network(cidr: Cidr) -> String {
    between(cidr, cidr)
}

/// Packets from one network to the other, in both directions. Both are of one family.
pub fn between_networks(one: Cidr, other: Cidr) -> String {
    format!("({}) || ({})", between(one, other), between(other, one))
}

/// Packets that a switch sends back to the port they came from, as those of a pod to itself by way of
/// a load balancer: they come from the address of the service.
pub fn sent_back() -> String {
    "flags.loopback == 1 && ip".to_owned()
}

fn between(from: Cidr, to: Cidr) -> String {
    let word = to.family().ovn_match();
    format!("{} && {word}.dst=={to}", from_network(from))
}

/// Packets from an address of a port in the group `port_group`.
///
/// OVN keeps the address sets `<group>_ip4` and `<group>_ip6` for each port group.
pub fn source_in_group(port_group: &str, family: IpFamily) -> String {
    source_in_set(&address_set(port_group, family), family)
}

/// Packets from an address in the set `address_set`.
pub fn source_in_set(address_set: &str, family: IpFamily) -> String {
    format!("{}.src == ${address_set}", family.ovn_match())
}

/// The name of the set of a family's addresses of something: that which OVN gives the addresses of
/// a port group.
pub fn address_set(stem: &str, family: IpFamily) -> String {
    format!("{stem}_{}", family.ovn_match())
}

/// The port group of the pods whose traffic leaves by `node`.
///
/// OVN's identifiers have no `-`, and names of nodes have no `_`, so replacing one by the other
/// keeps different nodes apart.
pub fn node_port_group(node: &NodeName) -> String {
    format!("node.{}", node.as_str().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_names_the_family() {
        assert_eq!(
            destination_in("10.0.0.0/8".parse().unwrap()),
            "ip4.dst == 10.0.0.0/8"
        );
        assert_eq!(
            destination_is("fd00::1".parse().unwrap()),
            "ip6.dst == fd00::1"
        );
        assert_eq!(
            source_in_group("node.a", IpFamily::V6),
            "ip6.src == $node.a_ip6"
        );
    }

    #[test]
    fn two_nodes_never_share_a_port_group() {
        let group = |name: &str| node_port_group(&NodeName::new(name).unwrap());
        assert_ne!(group("a-b"), group("a.b"));
        assert!(!group("a-b").contains('-'));
    }
}
