//! Gateway slots: addresses of the join subnet that stand for gateways, not for nodes.

use model::address::number;
use model::{AddressRange, Cidr};

/// The most slots that one CIDR gives away.
const MOST: u128 = 4096;
/// A CIDR with fewer hosts has no slots: its gateway and its nodes need them all.
const FEWEST_HOSTS: u128 = 4;

/// The addresses of the join subnet's `cidr` that are kept for gateway slots: the highest
/// sixteenth of its hosts, at least one and at most 4096. `None` when there is no room (`/30` and
/// `/126` or longer).
///
/// Written into the join subnet's `excludeIps`, so no node gets such an address for its `ovn0`.
/// Where the gateway lies in the range, it is no slot.
pub fn slot_range(cidr: Cidr) -> Option<AddressRange> {
    let hosts = cidr.hosts()?;
    let (first, last) = (number(hosts.start()), number(hosts.end()));
    let count = (last - first).saturating_add(1);
    if count < FEWEST_HOSTS {
        return None;
    }
    let slots = (count / 16).clamp(1, MOST);
    let start = cidr.family().address(last - (slots - 1))?;
    AddressRange::new(start, hosts.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClaimKey, Ipam, Request, SubnetPool, Succession, Uid, Wish};
    use model::{DualStack, NodeName};
    use proptest::prelude::*;

    fn slots(cidr: &str) -> Option<String> {
        slot_range(cidr.parse().unwrap()).map(|range| range.to_string())
    }

    #[test]
    fn the_default_join_subnets_give_their_highest_addresses() {
        assert_eq!(
            slots("100.64.0.0/16").unwrap(),
            "100.64.240.0..100.64.255.254"
        );
        assert_eq!(
            slots("fd00:100:64::/112").unwrap(),
            "fd00:100:64::f000..fd00:100:64::fffe"
        );
    }

    #[test]
    fn a_huge_network_gives_4096_slots() {
        assert_eq!(
            slots("fd00::/64").unwrap(),
            "fd00::ffff:ffff:ffff:efff..fd00::ffff:ffff:ffff:fffe"
        );
        assert_eq!(
            slots("10.0.0.0/8").unwrap(),
            "10.255.239.255..10.255.255.254"
        );
    }

    #[test]
    fn a_small_network_gives_one_slot_and_a_tiny_one_none() {
        assert_eq!(slots("10.0.0.0/29").unwrap(), "10.0.0.6");
        assert_eq!(slots("10.0.0.0/27").unwrap(), "10.0.0.30");
        for cidr in ["10.0.0.0/30", "10.0.0.0/31", "10.0.0.0/32", "fd00::/126"] {
            assert_eq!(slots(cidr), None, "{cidr}");
        }
    }
    proptest! {
        #[test]
        fn slots_are_at_most_a_sixteenth_at_the_upper_end_of_the_hosts(len in 0..=128_u8) {
            let cidr: Cidr = format!("::/{len}").parse().unwrap();
            let hosts = cidr.hosts().map_or(0, |it| number(it.end()) - number(it.start()) + 1);
            match slot_range(cidr) {
                None => prop_assert!(hosts < FEWEST_HOSTS),
                Some(range) => {
                    let slots = number(range.end()) - number(range.start()) + 1;
                    prop_assert_eq!(slots, (hosts / 16).clamp(1, 4096));
                    prop_assert_eq!(range.end(), cidr.hosts().unwrap().end());
                }
            }
        }
    }

    #[test]
    fn a_node_never_gets_a_slot_and_a_gateway_may_ask_for_it() {
        let cidr: Cidr = "100.64.0.0/28".parse().unwrap();
        let range = slot_range(cidr).unwrap();
        let join = SubnetPool {
            cidrs: DualStack::from_values([cidr]).unwrap(),
            excludes: vec![range],
            ..SubnetPool::default()
        };
        let mut ipam = Ipam::default();
        ipam.set_subnet(
            "join".parse().unwrap(),
            "ovn-cluster".parse().unwrap(),
            join,
        );
        let request = |node: u8| {
            let node = NodeName::new(format!("n{node}")).unwrap();
            let (key, uid) = (ClaimKey::from(&node), Uid::new(node.as_str()));
            Request::new(key, uid, "join".parse().unwrap(), Succession::Inherit)
        };
        let mut nodes = (0..20).map_while(|node| ipam.allocate(&request(node)).ok());
        assert!(nodes.all(|node| !range.contains(node.addresses.v4.unwrap())));
        let slot = DualStack::from_values([range.start()]).unwrap();
        let gateway = request(99).with_wish(Wish::Addresses(slot));
        assert_eq!(ipam.allocate(&gateway).unwrap().addresses, slot);
    }
}
