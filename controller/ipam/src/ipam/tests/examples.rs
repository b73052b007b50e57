//! Claim C1: the examples that Kube-OVN's own tests fix. All of them hold here.
//!
//! Beyond them two things differ on purpose. Kube-OVN splits a range of free addresses when one is
//! taken from its middle, and moves the halves to the end of its list; here the lowest address
//! comes first always. And an excluded address that is in use is subtracted once from what is
//! available, not twice.

use super::*;

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

/// The ranges .2-.3, .5-.9 and .24-.255.254.
#[test]
fn c1_overlapping_excludes_are_subtracted_once() {
    let mut ipam = ipam(pool("10.16.0.0/16").exclude(&EXCLUDES));
    assert_eq!(ipam.available(IpFamily::V4), 2 + 5 + (65534 - 23));
    let last = pod("last").at("10.16.255.254");
    assert_eq!(ipam.get(&last).unwrap(), "10.16.255.254");
    assert_eq!(ipam.available(IpFamily::V4), 2 + 5 + (65534 - 23) - 1);
}

#[test]
fn c1_a_range_of_one_address_counts_as_one_and_what_is_no_host_counts_for_nothing() {
    for (excludes, expected) in [
        (&["10.16.0.5..10.16.0.5"][..], 253),
        (&["10.16.0.5", "10.16.0.5..10.16.0.5"], 253),
        (&["10.16.0.0", "10.16.0.255"], 254),
        (&["10.15.255.250..10.16.0.3"], 251),
        (&["10.16.0.250..10.17.0.0"], 249),
        (&["10.17.0.1..10.17.0.9", "fd00::1"], 254),
        (&["0.0.0.0..255.255.255.255"], 0),
    ] {
        let ipam = ipam(pool("10.16.0.0/24").exclude(excludes));
        assert_eq!(ipam.available(IpFamily::V4), expected, "{excludes:?}");
    }
    let degenerate: AddressRange = "10.16.0.5..10.16.0.5".parse().unwrap();
    assert_eq!(degenerate.to_string(), "10.16.0.5");
    assert!("10.16.0.9..10.16.0.1".parse::<AddressRange>().is_err());
}

#[test]
fn c1_what_is_no_cidr_is_refused() {
    for text in [
        "1.1.1.1/64",
        "fd00::/130",
        "fd00::g/120",
        "1.1.1.1/64,fd00::g/120",
    ] {
        assert!(text.parse::<CidrPair>().is_err(), "{text}");
    }
}

#[test]
fn r07_a_slash_31_has_no_address_and_a_slash_30_two_without_its_gateway() {
    for (pool, v4, v6) in [
        (pool("10.0.0.0/31"), 0, 0),
        (pool("10.0.0.0/32"), 0, 0),
        (pool("fd00::/127"), 0, 0),
        (pool("10.0.0.0/30"), 2, 0),
        (pool("10.0.0.0/30").gateway("10.0.0.1"), 1, 0),
        (
            pool("10.0.0.0/30,fd00::/64").gateway("10.0.0.1,fd00::1"),
            1,
            (1 << 64) - 3,
        ),
    ] {
        let ipam = ipam(pool.clone());
        let available = (ipam.available(IpFamily::V4), ipam.available(IpFamily::V6));
        assert_eq!(available, (v4, v6), "{pool:?}");
    }
}

/// A port takes one address of each family: as many ports fit as the smaller family has addresses.
#[test]
fn r07_a_dual_subnet_holds_as_many_ports_as_its_smaller_family() {
    let mut ipam = ipam(pool("10.0.0.0/29,fd00::/64").gateway("10.0.0.1,fd00::1"));
    let ports = (0..).map_while(|number| ipam.get(&pod(&format!("p{number}"))).ok());
    assert_eq!(ports.count(), 5);
    let usage = |family| ipam.usage(&name("s"), family);
    assert_eq!((usage(IpFamily::V4).used, usage(IpFamily::V6).used), (5, 5));
    assert_eq!(usage(IpFamily::V4).available, 0);
    assert_eq!(usage(IpFamily::V6).available, (1 << 64) - 3 - 5);
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
fn c1_each_lap_goes_through_the_whole_subnet() {
    let mut ipam = ipam(pool("10.16.0.0/29"));
    for host in (1..=6).cycle().take(18) {
        assert_eq!(ipam.get(&pod("pod1")).unwrap(), format!("10.16.0.{host}"));
        ipam.drop_pod("pod1");
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
