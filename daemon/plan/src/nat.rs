//! What the node translates and lets through, as rules of nftables.

use std::collections::BTreeMap;

use linux::LinkName;
use linux::nft::{
    Base, Chain, Hook, Kind, Match, Member, Policy, Rule, Set, Table, Verdict, guest,
};
use model::{CidrPair, IpFamily};

use crate::Encapsulation;

/// Networks of the default VPC that are reached through its router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlay {
    pub networks: CidrPair,
    /// Whether what leaves the cluster from there gets the node's address.
    pub nat_outgoing: bool,
}

/// Of source translation (nft(8), `srcnat`).
const SOURCE_NAT: i32 = 100;

/// Our table of translations. `link` is the node's port.
///
/// Packets of pods to the outside are routed by OVN to the node's port, and by the kernel from
/// there. What comes from elsewhere and goes to a pod gets the address of that port, as the answer
/// would else leave by the pod's node, which may be another.
pub fn translation(overlay: &[Overlay], link: &LinkName) -> Table {
    let mut sets = BTreeMap::new();
    let mut rules = Vec::new();
    for family in IpFamily::ALL {
        let all = || overlay.iter();
        let with_nat = all().filter(|overlay| overlay.nat_outgoing);
        let (subnets, nat) = (set_name("subnets", family), set_name("nat", family));
        sets.insert(subnets.clone(), networks(family, all()));
        sets.insert(nat.clone(), networks(family, with_nat));
        rules.extend(masquerade(family, &subnets, nat, link));
    }
    let base = Base {
        kind: Kind::Nat,
        hook: Hook::Postrouting,
        priority: SOURCE_NAT,
        policy: Policy::Accept,
    };
    let chain = Chain { base, rules };
    Table {
        chains: [("postrouting".to_owned(), chain)].into(),
        sets,
    }
}

fn masquerade(family: IpFamily, subnets: &str, nat: String, link: &LinkName) -> [Rule; 2] {
    let to = |member| Match::Destination(family, member, subnets.to_owned());
    let out = Rule {
        matches: vec![Match::Source(family, Member::In, nat), to(Member::NotIn)],
        verdict: Verdict::Masquerade,
    };
    let into = Rule {
        matches: vec![
            Match::OutLink(link.clone()),
            Match::SourceElsewhere,
            to(Member::In),
        ],
        verdict: Verdict::Masquerade,
    };
    [out, into]
}

fn set_name(stem: &str, family: IpFamily) -> String {
    let number = match family {
        IpFamily::V4 => 4,
        IpFamily::V6 => 6,
    };
    format!("{stem}{number}")
}

fn networks<'a>(family: IpFamily, overlay: impl Iterator<Item = &'a Overlay>) -> Set {
    let networks = overlay.flat_map(|overlay| overlay.networks.values().copied());
    Set::new(family, networks.collect::<Vec<_>>())
}

/// What must pass where somebody else drops: packets from and to the node's port `link`, and
/// tunnels.
pub fn passage(link: &LinkName, encapsulation: Encapsulation) -> guest::Desired {
    let accept = |condition| Rule {
        matches: vec![condition],
        verdict: Verdict::Accept,
    };
    let tunnel = encapsulation.udp_port().map(Match::UdpPort);
    let from = Match::InLink(link.clone());
    guest::Desired {
        input: [from.clone()]
            .into_iter()
            .chain(tunnel)
            .map(accept)
            .collect(),
        forward: vec![accept(from), accept(Match::OutLink(link.clone()))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(networks: &str, nat_outgoing: bool) -> Overlay {
        Overlay {
            networks: networks.parse().unwrap(),
            nat_outgoing,
        }
    }

    fn ovn0() -> LinkName {
        LinkName::new("ovn0").unwrap()
    }

    fn elements(table: &Table, set: &str) -> Vec<String> {
        let elements = &table.sets[set].elements;
        elements.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_subnets_with_nat_are_translated_and_never_to_another_subnet() {
        let subnets = [
            overlay("10.16.0.0/16,fd00:10::/64", true),
            overlay("10.17.0.0/16", false),
            overlay("100.64.0.0/16,fd00:64::/64", false),
        ];
        let table = translation(&subnets, &ovn0());
        assert_eq!(elements(&table, "nat4"), ["10.16.0.0/16"]);
        assert_eq!(elements(&table, "nat6"), ["fd00:10::/64"]);
        assert_eq!(elements(&table, "subnets4").len(), 3);
        let matches = &table.chains["postrouting"].rules[0].matches;
        let other = Match::Destination(IpFamily::V4, Member::NotIn, "subnets4".to_owned());
        assert_eq!(matches[1], other);
    }

    #[test]
    fn the_order_of_subnets_does_not_matter() {
        let mut subnets = ["10.16.0.0/16", "10.17.0.0/16"].map(|cidr| overlay(cidr, true));
        let one = translation(&subnets, &ovn0());
        subnets.reverse();
        assert_eq!(translation(&subnets, &ovn0()), one);
    }

    #[test]
    fn one_rule_a_direction_passes_and_the_tunnels_port() {
        let passage = passage(&ovn0(), Encapsulation::Vxlan);
        assert_eq!(passage.forward.len(), 2);
        assert_eq!(passage.input[1].matches, [Match::UdpPort(4789)]);
    }
}
