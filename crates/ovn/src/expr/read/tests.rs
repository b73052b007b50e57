use proptest::prelude::*;

use super::super::{between_networks, destination_in, from_network, sent_back, source_in_group};
use super::*;

/// What OVN reads, and what it does not: `e2e/tests/lab_match.rs` asks it.
const GOOD: &str = include_str!("good.txt");
const BAD: &str = include_str!("bad.txt");

#[test]
fn what_ovn_reads_is_read_and_the_rest_is_told() {
    for text in GOOD.lines() {
        let reading = read(text);
        assert!(reading.is_ok(), "{text}: {reading:?}");
        assert_eq!(reading.unwrap().unknown, BTreeSet::new(), "{text}");
    }
    for text in BAD.lines().chain([""]) {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn the_reason_says_what_to_mend() {
    for (text, reason) in [
        ("ip4.src == 10.0.1.0/33", "`10.0.1.0/33` is no network"),
        (
            "ip4 && ip6 || tcp",
            "`&&` and `||` stand side by side; put one of the two in parentheses",
        ),
        ("inport == \"a", "a quote has no end"),
        ("(ip4", "a `)` is missing at the end"),
        ("ip4.src == {10.0.1.1", "a `{` has no `}`"),
        ("ip4 and tcp", "`and` cannot stand where it does"),
        ("ip4.src ==", "it ends too early"),
        ("ip4 § tcp", "`§` means nothing in an expression"),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), reason, "{text}");
    }
    let deep = format!("{}ip4{}", "(".repeat(5000), ")".repeat(5000));
    assert!(read(&deep).is_err());
}

#[test]
fn a_field_that_ovn_does_not_have_is_known_by_its_name() {
    let reading = read("ip4.source == 10.0.1.1 && ipv4").unwrap();
    assert_eq!(
        reading.unknown,
        ["ip4.source", "ipv4"].map(str::to_owned).into()
    );
}

#[test]
fn destinations_are_known_as_far_as_they_are_named() {
    let of = |text| {
        let it = read(text).unwrap();
        let all: Vec<String> = it.destinations.iter().map(Cidr::to_string).collect();
        (all.join(" "), it.has_other_destinations)
    };
    assert_eq!(of("ip4.src == 10.0.1.1"), (String::new(), false));
    assert_eq!(
        of("ip4.dst == {10.0.1.1, 10.2.0.0/16}"),
        ("10.0.1.1/32 10.2.0.0/16".into(), false)
    );
    assert_eq!(of("ip4.dst == 10.2.3.4/16"), ("10.2.0.0/16".into(), false));
    assert_eq!(of("ip6.dst == fd00::/64"), ("fd00::/64".into(), false));
    assert_eq!(of("ip4.dst != 10.0.1.1"), (String::new(), true));
    assert_eq!(of("!(ip4.dst == 10.0.1.1)"), ("10.0.1.1/32".into(), true));
    assert_eq!(of("ip4.dst == $friends"), (String::new(), true));
}

#[test]
fn what_we_build_ourselves_can_be_read() {
    let (one, other): (Cidr, Cidr) = (
        "10.0.0.0/8".parse().unwrap(),
        "10.1.0.0/16".parse().unwrap(),
    );
    for text in [
        destination_in(one),
        from_network(one),
        between_networks(one, other),
        source_in_group("node.a", model::IpFamily::V6),
        sent_back(),
    ] {
        assert_eq!(read(&text).unwrap().unknown, BTreeSet::new(), "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_that_users_write_makes_it_fail(text in "\\PC{0,60}") {
        let _unread = read(&text);
    }

    #[test]
    fn parts_of_expressions_never_make_it_fail(
        parts in prop::collection::vec(prop::sample::select(
            &["ip4", "ip4.dst", "(", ")", "{", "}", "[", "]", "1", "10.0.0.1", "..", "&&", "||",
              "!", "==", "<", "\"", "$a", "@", ",", "is_chassis_resident"][..]), 0..24),
    ) {
        let _unread = read(&parts.join(" "));
    }
}
