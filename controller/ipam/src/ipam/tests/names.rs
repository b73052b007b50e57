//! One name and several objects; the MAC address that belongs to a name.

use super::*;

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
fn a_mac_that_was_exchanged_is_free() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    let (former, later) = (mac("00:00:00:00:00:0A"), mac("00:00:00:00:00:0B"));
    ipam.allocate(&pod("a").with_mac(former)).unwrap();
    ipam.allocate(&pod("a").with_mac(later)).unwrap();
    let heir = ipam.allocate(&pod("b").with_mac(former));
    assert_eq!(heir.unwrap().mac, former);
}

#[test]
fn a_mac_stays_taken_while_the_subnet_of_its_holder_is_unknown() {
    let mut ipam = ipam(pool("10.16.0.0/16"));
    let fixed = mac("00:00:00:00:00:0A");
    ipam.set_subnet(name("t"), vpc("v"), pool("10.17.0.0/16"));
    let holder = pod("a").in_subnet("t").with_mac(fixed);
    ipam.allocate(&holder).unwrap();
    ipam.remove_subnet(&name("t"));
    assert!(ipam.allocate(&pod("b").with_mac(fixed)).is_err());
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
