//! What the operations promise.

mod examples;
mod names;
mod pools;

use std::net::IpAddr;

use model::{AddressRange, CidrPair, IpFamily, MacAddr, SubnetName, VpcName};

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
