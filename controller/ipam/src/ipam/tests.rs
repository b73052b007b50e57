//! The examples that Kube-OVN's own tests fix, and what the operations promise beyond them.

use std::net::IpAddr;

use model::{AddressRange, IpFamily, MacAddr, SubnetName, VpcName};

use crate::error::Role;
use crate::{
    AllocateError, Claim, ClaimKey, Claimant, Conflict, Ipam, Request, SubnetPool, Succession, Uid,
    Usage, Wish,
};

// === builders ===

fn name(text: &str) -> SubnetName {
    text.parse().unwrap()
}

fn vpc(text: &str) -> VpcName {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

fn pool(cidrs: &str) -> SubnetPool {
    SubnetPool {
        cidrs: cidrs.parse().unwrap(),
        ..SubnetPool::default()
    }
}

impl SubnetPool {
    fn gateway(self, gateways: &str) -> Self {
        let gateways = gateways.parse().unwrap();
        Self { gateways, ..self }
    }

    fn exclude(mut self, ranges: &[&str]) -> Self {
        let ranges = ranges.iter().map(|it| it.parse::<AddressRange>().unwrap());
        self.excludes.extend(ranges);
        self
    }

    fn forbid(mut self, address: &str) -> Self {
        self.forbidden.insert(ip(address));
        self
    }
}

/// One subnet, `s` in the VPC `v`.
fn ipam(pool: SubnetPool) -> Ipam {
    let mut ipam = Ipam::default();
    ipam.set_subnet(name("s"), vpc("v"), pool);
    ipam
}

/// Any address of `s` for the pod `key`, whose UID is its name too; a namesake is gone.
fn pod(key: &str) -> Request {
    Request::new(
        ClaimKey::new(key),
        Uid::new(key),
        name("s"),
        Succession::Replace,
    )
}

impl Request {
    fn at(self, addresses: &str) -> Self {
        let addresses = addresses.parse().unwrap();
        self.with_wish(Wish::Addresses(addresses))
    }

    fn one_of(self, pool: &[&str]) -> Self {
        self.with_wish(Wish::OneOf(pool.iter().map(|it| ip(it)).collect()))
    }

    fn uid(self, uid: &str) -> Self {
        Self {
            uid: Uid::new(uid),
            ..self
        }
    }

    fn inheriting(self) -> Self {
        Self {
            succession: Succession::Inherit,
            ..self
        }
    }

    fn in_subnet(self, subnet: &str) -> Self {
        Self {
            subnet: name(subnet),
            ..self
        }
    }
}

impl Ipam {
    /// The addresses that the request gets, as text.
    fn get(&mut self, request: &Request) -> Result<String, AllocateError> {
        self.allocate(request).map(|it| it.addresses.to_string())
    }

    fn drop_pod(&mut self, key: &str) {
        self.release(&ClaimKey::new(key), &Uid::new(key)).unwrap();
    }

    fn available(&self, family: IpFamily) -> u128 {
        self.usage(&name("s"), family).available
    }
}

fn record(key: &str, addresses: &str) -> Claim {
    Claim {
        key: ClaimKey::new(key),
        uid: Some(Uid::new(key)),
        subnet: name("s"),
        addresses: addresses.parse().unwrap(),
        mac: MacAddr::from_name(key),
    }
}

fn conflict(address: &str, holder: &str) -> AllocateError {
    AllocateError::AddressConflict {
        subnet: name("s"),
        address: ip(address),
        holder: ClaimKey::new(holder),
    }
}

fn reserved(address: &str, role: Role) -> AllocateError {
    AllocateError::AddressReserved {
        subnet: name("s"),
        address: ip(address),
        role,
    }
}

fn full(cidr: &str) -> AllocateError {
    AllocateError::NoAvailableAddress {
        subnet: name("s"),
        cidr: cidr.parse().unwrap(),
    }
}

// === claim C1: the examples of the specification ===

const EXCLUDES: [&str; 4] = [
    "10.16.0.1",
    "10.16.0.10..10.16.0.20",
    "10.16.0.15..10.16.0.23",
    "10.16.0.4",
];

#[test]
fn c1_addresses_are_handed_out_upward_around_what_is_excluded() {
    let mut ipam = ipam(pool("10.16.0.0/16").exclude(&EXCLUDES));
    let got: Vec<_> = (0..9)
        .map(|number| ipam.get(&pod(&format!("pod{number}"))).unwrap())
        .collect();
    let expected = [2, 3, 5, 6, 7, 8, 9, 24, 25].map(|host| format!("10.16.0.{host}"));
    assert_eq!(got, expected);
}

#[test]
fn c1_static_and_random_addresses_share_a_subnet() {
    let mut ipam = ipam(pool("10.16.0.0/16").exclude(&EXCLUDES));
    assert_eq!(ipam.get(&pod("pod1").at("10.16.0.2")).unwrap(), "10.16.0.2");
    assert_eq!(ipam.get(&pod("pod1")).unwrap(), "10.16.0.2");
    assert_eq!(ipam.get(&pod("pod2")).unwrap(), "10.16.0.3");
    assert_eq!(
        ipam.get(&pod("pod3").at("10.16.0.2")),
        Err(conflict("10.16.0.2", "pod1"))
    );
    ipam.drop_pod("pod1");
    assert_eq!(ipam.get(&pod("pod3").at("10.16.0.2")).unwrap(), "10.16.0.2");
    ipam.set_subnet(name("s"), vpc("v"), pool("10.16.0.0/16"));
    assert_eq!(ipam.get(&pod("pod5")).unwrap(), "10.16.0.1");
}

#[test]
fn c1_the_same_holds_for_ipv6() {
    let mut ipam = ipam(pool("fd00::/112").exclude(&["fd00::1", "fd00::4..fd00::a"]));
    assert_eq!(ipam.get(&pod("pod1").at("fd00::2")).unwrap(), "fd00::2");
    assert_eq!(ipam.get(&pod("pod2")).unwrap(), "fd00::3");
    assert_eq!(ipam.get(&pod("pod3")).unwrap(), "fd00::b");
    assert_eq!(
        ipam.get(&pod("pod4").at("fd00::2")),
        Err(conflict("fd00::2", "pod1"))
    );
}

#[test]
fn c1_a_released_address_waits_for_a_full_lap() {
    for (cidr, turns) in [
        ("10.16.0.0/30", ["10.16.0.1", "10.16.0.2", "10.16.0.1"]),
        ("fd00::/126", ["fd00::1", "fd00::2", "fd00::1"]),
    ] {
        let mut ipam = ipam(pool(cidr));
        for turn in turns {
            assert_eq!(ipam.get(&pod("pod1")).unwrap(), turn);
            ipam.drop_pod("pod1");
        }
    }
}

#[test]
fn c1_another_cidr_is_handed_out_from_its_beginning() {
    let mut ipam = ipam(pool("10.16.0.0/16").exclude(&["10.16.0.1"]));
    ipam.get(&pod("pod1")).unwrap();
    ipam.set_subnet(
        name("s"),
        vpc("v"),
        pool("10.17.0.0/16").exclude(&["10.17.0.1"]),
    );
    assert_eq!(ipam.get(&pod("pod2")).unwrap(), "10.17.0.2");
    assert_eq!(ipam.get(&pod("pod1")).unwrap(), "10.16.0.2");
}

#[test]
fn c1_what_is_available_is_the_hosts_without_gateway_and_excluded() {
    for (pool, expected) in [
        (pool("11.10.0.0/16").gateway("11.10.0.1"), 65533),
        (pool("19.0.0.0/31"), 0),
        (pool("19.0.0.0/32"), 0),
        (
            pool("29.0.0.0/30")
                .gateway("29.0.0.1")
                .exclude(&["30.0.0.1..30.0.0.9"]),
            1,
        ),
        (
            pool("179.17.0.0/24")
                .gateway("179.17.0.1")
                .exclude(&["179.17.0.0..179.17.0.10"]),
            244,
        ),
    ] {
        assert_eq!(
            ipam(pool.clone()).available(IpFamily::V4),
            expected,
            "{pool:?}"
        );
    }
}

#[test]
fn c1_an_ipv6_subnet_counts_as_the_api_shows_it() {
    let usage = ipam(pool("fd00::/64").gateway("fd00::1")).usage(&name("s"), IpFamily::V6);
    assert_eq!(usage.available, (1 << 64) - 3);
    assert_eq!(usage.available_ips().to_string(), "18446744073709552000");
    assert_eq!(usage.using_ips().to_string(), "0");
}

#[test]
fn c1_a_pool_gives_exactly_its_addresses_in_its_order_and_then_none() {
    let entries = ["10.16.0.31", "10.16.0.32", "10.16.0.30"];
    let mut ipam = ipam(pool("10.16.0.0/16"));
    for (number, entry) in entries.iter().enumerate() {
        let request = pod(&format!("web-{number}")).one_of(&entries);
        assert_eq!(ipam.get(&request).unwrap(), *entry);
    }
    let late = pod("late").one_of(&entries);
    assert_eq!(
        ipam.get(&late),
        Err(AllocateError::PoolExhausted {
            subnet: name("s"),
            pool: entries.map(ip).to_vec(),
            cause: Some(Box::new(conflict("10.16.0.30", "web-2"))),
        })
    );
    ipam.drop_pod("web-1");
    assert_eq!(ipam.get(&late).unwrap(), "10.16.0.32");
}

#[test]
fn c1_the_ordinal_of_a_stateful_set_picks_its_pool_entry() {
    let entries = ["10.16.0.31", "10.16.0.32", "10.16.0.30"].map(ip);
    let mut ipam = ipam(pool("10.16.0.0/16"));
    for (ordinal, entry) in entries.iter().enumerate().rev() {
        let request = pod(&format!("db-{ordinal}")).with_wish(Wish::pool_entry(&entries, ordinal));
        assert_eq!(ipam.get(&request).unwrap(), entry.to_string());
    }
    let beyond = pod("db-3").with_wish(Wish::pool_entry(&entries, 3));
    assert_eq!(
        ipam.get(&beyond),
        Err(AllocateError::PoolExhausted {
            subnet: name("s"),
            pool: Vec::new(),
            cause: None
        })
    );
}

#[test]
fn c1_an_excluded_address_can_be_had_on_request() {
    let mut ipam = ipam(pool("10.16.0.0/16").exclude(&["10.16.0.1..10.16.0.9"]));
    assert_eq!(ipam.get(&pod("pod1").at("10.16.0.5")).unwrap(), "10.16.0.5");
    let pool_of_two = pod("pod2").one_of(&["10.16.0.5", "10.16.0.6"]);
    assert_eq!(ipam.get(&pool_of_two).unwrap(), "10.16.0.6");
    ipam.drop_pod("pod1");
    assert_eq!(ipam.get(&pod("pod3")).unwrap(), "10.16.0.10");
}

// === what cannot be had ===

#[test]
fn gateway_network_broadcast_and_node_addresses_are_given_to_nobody() {
    let mut ipam = ipam(
        pool("10.16.0.0/29")
            .gateway("10.16.0.1")
            .forbid("10.16.0.2"),
    );
    for (address, role) in [
        ("10.16.0.0", Role::Network),
        ("10.16.0.1", Role::Gateway),
        ("10.16.0.2", Role::Node),
        ("10.16.0.7", Role::Broadcast),
    ] {
        assert_eq!(
            ipam.get(&pod("pod1").at(address)),
            Err(reserved(address, role))
        );
    }
    assert_eq!(ipam.get(&pod("pod1")).unwrap(), "10.16.0.3");
}

#[test]
fn r10_the_address_of_a_node_is_skipped_also_when_the_node_comes_later() {
    let mut ipam = ipam(pool("10.16.0.0/29"));
    assert_eq!(ipam.get(&pod("pod1")).unwrap(), "10.16.0.1");
    ipam.set_subnet(
        name("s"),
        vpc("v"),
        pool("10.16.0.0/29").forbid("10.16.0.2"),
    );
    assert_eq!(ipam.get(&pod("pod2")).unwrap(), "10.16.0.3");
}

#[test]
fn an_address_of_another_subnet_or_family_is_out_of_range() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    for address in ["10.17.0.5", "fd00::5"] {
        let error = ipam.get(&pod("pod1").at(address)).unwrap_err();
        assert_eq!(
            error,
            AllocateError::AddressOutOfRange {
                subnet: name("s"),
                address: ip(address),
                cidrs: "10.16.0.0/16".parse().unwrap(),
            }
        );
    }
}

#[test]
fn an_unknown_subnet_is_named() {
    let error = Ipam::default().get(&pod("pod1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "subnet `s` does not exist; create it or name another"
    );
}

#[test]
fn an_error_names_subnet_address_holder_and_remedy() {
    assert_eq!(
        conflict("10.16.0.2", "pod1").to_string(),
        "10.16.0.2 of subnet `s` is held by `pod1`; choose another address or delete the holder"
    );
    assert_eq!(
        reserved("10.16.0.1", Role::Gateway).to_string(),
        "10.16.0.1 is the gateway of subnet `s`; choose another address"
    );
}

// === dual stack ===

#[test]
fn a_dual_subnet_gives_both_families_and_a_static_one_leaves_the_other_random() {
    let mut ipam = ipam(pool("10.16.0.0/16,fd00::/64").gateway("10.16.0.1,fd00::1"));
    assert_eq!(ipam.get(&pod("pod1")).unwrap(), "10.16.0.2,fd00::2");
    assert_eq!(
        ipam.get(&pod("pod2").at("fd00::9")).unwrap(),
        "10.16.0.3,fd00::9"
    );
    assert_eq!(
        ipam.get(&pod("pod3").one_of(&["10.16.0.9"])).unwrap(),
        "10.16.0.9,fd00::3"
    );
}

#[test]
fn nothing_is_taken_when_one_family_is_full() {
    let mut ipam = ipam(pool("10.16.0.0/16,fd00::/126"));
    ipam.get(&pod("pod1")).unwrap();
    ipam.get(&pod("pod2")).unwrap();
    let before = ipam.clone();
    assert_eq!(ipam.get(&pod("pod3")), Err(full("fd00::/126")));
    assert_eq!(ipam, before);
}

// === one name, several objects ===

#[test]
fn a_claim_is_inherited_by_the_next_pod_of_a_stateful_set() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    let first = ipam.allocate(&pod("db-0")).unwrap();
    let second = ipam.allocate(&pod("db-0").uid("new").inheriting()).unwrap();
    assert_eq!(second.addresses, first.addresses);
    assert_eq!(second.mac, first.mac);
    assert_eq!(second.uid, Some(Uid::new("new")));
}

#[test]
fn an_address_that_the_subnet_lost_is_not_inherited() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.get(&pod("db-0")).unwrap();
    ipam.set_subnet(name("s"), vpc("v"), pool("10.17.0.0/16"));
    let request = pod("db-0").uid("new").inheriting();
    assert_eq!(ipam.get(&request).unwrap(), "10.17.0.1");
}

#[test]
fn an_heir_gets_the_family_that_the_subnet_gained() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.get(&pod("db-0").at("10.16.0.7")).unwrap();
    ipam.set_subnet(name("s"), vpc("v"), pool("10.16.0.0/16,fd00::/64"));
    assert_eq!(ipam.get(&pod("db-0")).unwrap(), "10.16.0.7");
    let request = pod("db-0").uid("new").inheriting();
    assert_eq!(ipam.get(&request).unwrap(), "10.16.0.7,fd00::1");
}

#[test]
fn a_replaced_claim_gives_its_address_back() {
    let mut ipam = ipam(pool("10.16.0.0/29"));
    assert_eq!(ipam.get(&pod("web")).unwrap(), "10.16.0.1");
    assert_eq!(ipam.get(&pod("web").uid("new")).unwrap(), "10.16.0.2");
    assert_eq!(ipam.available(IpFamily::V4), 5);
}

#[test]
fn a_replaced_claim_s_address_is_used_where_it_is_the_only_one() {
    let mut ipam = ipam(pool("10.16.0.0/30").gateway("10.16.0.1"));
    assert_eq!(ipam.get(&pod("web")).unwrap(), "10.16.0.2");
    assert_eq!(ipam.get(&pod("web").uid("new")).unwrap(), "10.16.0.2");
    assert_eq!(ipam.get(&pod("other")), Err(full("10.16.0.0/30")));
}

#[test]
fn two_living_objects_of_one_port_name_are_refused() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.get(&pod("node-n1.x")).unwrap();
    let request = Request {
        succession: Succession::Refuse,
        ..pod("node-n1.x").uid("another")
    };
    assert_eq!(
        ipam.get(&request).unwrap_err().to_string(),
        "the port name `node-n1.x` belongs to another object with the UID node-n1.x; rename one of \
         the two"
    );
}

#[test]
fn r04_a_late_release_of_a_former_pod_does_not_free_its_successor_s_claim() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.get(&pod("web")).unwrap();
    let second = ipam.allocate(&pod("web").uid("new")).unwrap();
    assert_eq!(ipam.release(&ClaimKey::new("web"), &Uid::new("web")), None);
    assert_eq!(ipam.claim(&ClaimKey::new("web")), Some(&second));
    let released = ipam.release(&ClaimKey::new("web"), &Uid::new("new"));
    assert_eq!(released, Some(second));
    assert_eq!(ipam.release(&ClaimKey::new("web"), &Uid::new("new")), None);
}

#[test]
fn a_request_that_asks_for_something_else_moves_the_claim() {
    let mut ipam = ipam(pool("10.16.0.0/16,fd00::/64"));
    ipam.set_subnet(name("t"), vpc("v"), pool("10.17.0.0/16"));
    assert_eq!(ipam.get(&pod("web")).unwrap(), "10.16.0.1,fd00::1");
    assert_eq!(
        ipam.get(&pod("web").at("10.16.0.9")).unwrap(),
        "10.16.0.9,fd00::1"
    );
    assert_eq!(ipam.get(&pod("web").in_subnet("t")).unwrap(), "10.17.0.1");
    let usage = ipam.usage(&name("s"), IpFamily::V4);
    assert_eq!((usage.used, usage.available), (0, 65534));
}

// === MAC addresses ===

#[test]
fn a_name_gets_the_same_mac_in_every_life() {
    let mut one = ipam(pool("10.16.0.0/16"));
    let first = one.allocate(&pod("web")).unwrap().mac;
    one.drop_pod("web");
    let mut other = ipam(pool("10.17.0.0/16"));
    assert_eq!(other.allocate(&pod("web")).unwrap().mac, first);
    assert_eq!(first.octets()[..3], MacAddr::PREFIX);
}

#[test]
fn a_mac_in_use_in_the_vpc_is_passed_over() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.set_subnet(name("t"), vpc("v"), pool("10.17.0.0/16"));
    let wanted = MacAddr::from_name("web");
    let squatter = pod("squatter").in_subnet("t").with_mac(wanted);
    ipam.allocate(&squatter).unwrap();
    let chosen = ipam.allocate(&pod("web")).unwrap().mac;
    assert_ne!(chosen, wanted);
    assert_eq!(
        ipam.allocate(&pod("late").with_mac(chosen)),
        Err(AllocateError::MacConflict {
            subnet: name("s"),
            mac: chosen,
            holder: ClaimKey::new("web"),
        })
    );
}

#[test]
fn another_vpc_may_use_the_same_mac() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.set_subnet(name("t"), vpc("other"), pool("10.16.0.0/16"));
    let fixed = mac("00:00:00:53:6B:BB");
    ipam.allocate(&pod("a").with_mac(fixed)).unwrap();
    let elsewhere = pod("b").in_subnet("t").with_mac(fixed);
    assert_eq!(ipam.allocate(&elsewhere).unwrap().mac, fixed);
}

#[test]
fn the_mac_of_the_router_is_given_to_nobody() {
    let router_mac = Some(MacAddr::from_name("web"));
    let mut ipam = ipam(SubnetPool {
        router_mac,
        ..pool("10.16.0.0/16")
    });
    let chosen = ipam.allocate(&pod("web")).unwrap().mac;
    assert_ne!(Some(chosen), router_mac);
    let wanted = pod("other").with_mac(MacAddr::from_name("web"));
    assert!(matches!(
        ipam.allocate(&wanted),
        Err(AllocateError::MacReserved { .. })
    ));
}

// === records and edits ===

#[test]
fn r03_a_restored_claim_is_never_handed_out_again() {
    let mut ipam = Ipam::default();
    ipam.restore(record("sts-0", "10.16.0.1")).unwrap();
    ipam.set_subnet(name("s"), vpc("v"), pool("10.16.0.0/16"));
    ipam.restore(record("web", "10.16.0.2")).unwrap();
    assert_eq!(ipam.get(&pod("new")).unwrap(), "10.16.0.3");
    assert_eq!(ipam.get(&pod("sts-0")).unwrap(), "10.16.0.1");
}

#[test]
fn of_two_records_of_one_address_the_first_one_counts() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.restore(record("first", "10.16.0.1")).unwrap();
    let conflict = ipam.restore(record("second", "10.16.0.1")).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "10.16.0.1 of subnet `s` is recorded for `first` (UID first) and for `second` (UID \
         second); `first` (UID first) keeps it, delete or recreate the other"
    );
    assert_eq!(ipam.claims().count(), 1);
}

#[test]
fn of_two_records_of_one_port_the_first_one_counts() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.restore(record("web", "10.16.0.1")).unwrap();
    let other = Claim {
        uid: Some(Uid::new("other")),
        ..record("web", "10.16.0.1")
    };
    let claimant = Claimant::from(&other);
    assert_eq!(
        ipam.restore(other),
        Err(Conflict::Name {
            holder: Claimant::from(&record("web", "10.16.0.1")),
            claimant
        })
    );
}

#[test]
fn a_record_without_uid_belongs_to_whoever_asks_under_its_name() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    let anonymous = Claim {
        uid: None,
        ..record("web", "10.16.0.9")
    };
    ipam.restore(anonymous.clone()).unwrap();
    assert_eq!(ipam.get(&pod("web")).unwrap(), "10.16.0.9");
    ipam.restore(anonymous).unwrap();
    assert_eq!(
        ipam.claim(&ClaimKey::new("web")),
        Some(&record("web", "10.16.0.9"))
    );
}

#[test]
fn r08_an_edit_never_hands_out_an_address_in_use() {
    let mut ipam = ipam(pool("10.16.0.0/29"));
    for key in ["a", "b", "c"] {
        ipam.get(&pod(key)).unwrap();
    }
    ipam.drop_pod("a");
    ipam.get(&pod("d").at("10.16.0.1")).unwrap();
    for edit in [
        pool("10.16.0.0/29").exclude(&["10.16.0.1..10.16.0.4"]),
        pool("10.17.0.0/29"),
        pool("10.16.0.0/29"),
    ] {
        ipam.set_subnet(name("s"), vpc("v"), edit);
    }
    let got: Vec<_> = (4..7)
        .map(|number| ipam.get(&pod(&format!("pod{number}"))).unwrap())
        .collect();
    assert_eq!(got, ["10.16.0.4", "10.16.0.5", "10.16.0.6"]);
    assert_eq!(ipam.get(&pod("late")), Err(full("10.16.0.0/29")));
}

#[test]
fn an_address_goes_on_resting_through_an_edit() {
    let mut ipam = ipam(pool("10.16.0.0/29"));
    ipam.get(&pod("a")).unwrap();
    ipam.drop_pod("a");
    ipam.set_subnet(
        name("s"),
        vpc("v"),
        pool("10.16.0.0/29").exclude(&["10.16.0.2"]),
    );
    assert_eq!(ipam.get(&pod("b")).unwrap(), "10.16.0.3");
}

#[test]
fn the_claims_of_a_removed_subnet_count_when_it_comes_back() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    ipam.get(&pod("web")).unwrap();
    ipam.remove_subnet(&name("s"));
    let used = Usage {
        available: 0,
        used: 1,
    };
    assert_eq!(ipam.usage(&name("s"), IpFamily::V4), used);
    assert!(matches!(
        ipam.get(&pod("late")),
        Err(AllocateError::UnknownSubnet { .. })
    ));
    ipam.set_subnet(name("s"), vpc("v"), pool("10.16.0.0/16"));
    assert_eq!(ipam.get(&pod("late")).unwrap(), "10.16.0.2");
    let holders: Vec<_> = ipam
        .holders(&name("s"))
        .map(|(address, key)| format!("{address} {key}"))
        .collect();
    assert_eq!(holders, ["10.16.0.1 web", "10.16.0.2 late"]);
}

#[test]
fn a_claim_without_address_of_a_family_does_not_count_in_it() {
    let mut ipam = ipam(pool("10.16.0.0/16,fd00::/64"));
    ipam.restore(record("old", "10.16.0.9")).unwrap();
    let used = |family| ipam.usage(&name("s"), family).used;
    assert_eq!(IpFamily::ALL.map(used), [1, 0]);
}
