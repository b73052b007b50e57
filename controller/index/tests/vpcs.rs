//! What is made of the routes, policies and peerings of VPCs, and what their users must mend.
#![cfg(test)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "objects are written where they are used"
)]

use controller_index::{Defaults, Index, Settings};
use model::{Owner, SubnetName, VpcName};
use serde_json::{Value, json};

fn index() -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: name("ovn-cluster"),
            join: SubnetName::new("join").unwrap(),
        },
        subnet: SubnetName::new("ovn-default").unwrap(),
    });
    index.apply(&vpc("ovn-cluster", json!({})));
    index.apply(&subnet("ovn-default", "ovn-cluster", "10.16.0.0/16"));
    index
}

/// The VPC `a` with a subnet, and what its user wants.
fn with(spec: Value) -> Index {
    let mut index = index();
    let gateways = "10.0.1.1,fd00:1::1";
    index.apply(&accepted("one", "a", "10.0.1.0/24,fd00:1::/64", gateways));
    index.apply(&vpc("a", spec));
    index
}

fn name(text: &str) -> VpcName {
    VpcName::new(text).unwrap()
}

fn vpc(name: &str, spec: Value) -> api::Vpc {
    let metadata = json!({"name": name, "uid": "u"});
    let object = json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": metadata, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn subnet(name: &str, vpc: &str, cidr: &str) -> api::Subnet {
    let spec = api::SubnetSpec {
        vpc: vpc.to_owned(),
        cidr_block: cidr.to_owned(),
        ..Default::default()
    };
    api::Subnet::new(name, spec)
}

fn accepted(name: &str, vpc: &str, cidr: &str, gateway: &str) -> api::Subnet {
    let mut subnet = subnet(name, vpc, cidr);
    let record = format!("{vpc} {cidr} {gateway}");
    let annotations = [(api::annotation::ACCEPTED.to_owned(), record)];
    subnet.metadata.annotations = Some(annotations.into());
    subnet
}

fn routes(index: &Index, vpc: &str) -> Vec<String> {
    let routes = index.inputs().vpcs[&name(vpc)].routes.iter();
    routes
        .map(|it| format!("{} {} via {}", it.policy.word(), it.prefix, it.nexthop))
        .collect()
}

fn policies(index: &Index, vpc: &str) -> Vec<String> {
    let policies = index.inputs().vpcs[&name(vpc)].policies.keys();
    policies
        .map(|it| format!("{} {}", it.priority, it.matches))
        .collect()
}

fn peers(index: &Index, vpc: &str) -> Vec<String> {
    let peerings = index.inputs().vpcs[&name(vpc)].peerings.iter();
    peerings
        .map(|(remote, addresses)| format!("{remote} {addresses}"))
        .collect()
}

fn told(index: &Index, vpc: &str) -> Vec<String> {
    let faults = index.faults_of_vpc(&name(vpc)).iter();
    faults.map(|fault| fault.why.to_string()).collect()
}

fn peering(remote: &str, address: &str) -> Value {
    json!({"vpcPeerings": [{"remoteVpc": remote, "localConnectIP": address}]})
}

fn linked(one: &str, other: &str) -> Index {
    let mut index = with(peering("b", one));
    index.apply(&vpc("b", peering("a", other)));
    index
}

#[test]
fn routes_are_read_with_their_policy_and_single_addresses_are_networks() {
    let index = with(json!({"staticRoutes": [
        {"cidr": "0.0.0.0/0", "nextHopIP": "10.0.1.254"},
        {"cidr": "0.0.0.0/0", "nextHopIP": "10.0.1.253", "policy": "policyDst"},
        {"cidr": "10.0.1.7", "nextHopIP": "10.0.1.254", "policy": "policySrc"},
        {"cidr": "fd00:9::1/64", "nextHopIP": "fd00:1::fe"},
    ]}));
    assert_eq!(
        routes(&index, "a"),
        [
            "dst-ip 0.0.0.0/0 via 10.0.1.253",
            "dst-ip 0.0.0.0/0 via 10.0.1.254",
            "dst-ip fd00:9::/64 via fd00:1::fe",
            "src-ip 10.0.1.7/32 via 10.0.1.254",
        ]
    );
    assert!(told(&index, "a").is_empty());
}

#[test]
fn a_wrong_route_is_told_with_its_place_and_its_neighbours_are_planned() {
    let good = json!({"cidr": "10.9.0.0/16", "nextHopIP": "10.0.1.254"});
    let index = with(json!({"staticRoutes": [
        {"cidr": "10.9.0.0/33", "nextHopIP": "10.0.1.254"},
        {"cidr": "10.9.0.0/16", "nextHopIP": "10.0.1"},
        {"cidr": "10.9.0.0/16", "nextHopIP": "fd00:1::fe"},
        {"cidr": "10.9.0.0/16", "nextHopIP": "10.0.1.254", "policy": "policyBoth"},
        good, good,
        {"cidr": "10.8.0.0/16", "nextHopIP": "10.7.0.1"},
    ]}));
    assert_eq!(routes(&index, "a"), ["dst-ip 10.9.0.0/16 via 10.0.1.254"]);
    let faults = told(&index, "a");
    let expected = [
        "spec.staticRoutes[0].cidr is `10.9.0.0/33`: `10.9.0.0/33` is not a CIDR; write",
        "spec.staticRoutes[1].nextHopIP is `10.0.1`: invalid IP address",
        "spec.staticRoutes[2].nextHopIP is `fd00:1::fe`: it is of another family than 10.9.0.0/16",
        "spec.staticRoutes[3].policy is `policyBoth`: write policyDst or policySrc",
        "spec.staticRoutes[5] is `10.9.0.0/16 via 10.0.1.254`: spec.staticRoutes[4] says it already",
        "spec.staticRoutes[6].nextHopIP is `10.7.0.1`: no subnet and no peering of this VPC",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.starts_with(expected), "{fault}");
    }
}

#[test]
fn a_next_hop_is_found_when_its_subnet_comes_and_missed_when_it_goes() {
    let route = json!({"staticRoutes": [{"cidr": "0.0.0.0/0", "nextHopIP": "10.0.2.9"}]});
    let mut index = with(route);
    assert_eq!(told(&index, "a").len(), 1);
    index.apply(&subnet("two", "a", "10.0.2.0/24"));
    assert!(told(&index, "a").is_empty());
    index.delete(&subnet("two", "a", "10.0.2.0/24"));
    assert_eq!(told(&index, "a").len(), 1);
}

#[test]
fn the_default_vpc_has_routes_too_but_keeps_its_default_route() {
    let mut index = index();
    index.apply(&vpc(
        "ovn-cluster",
        json!({"staticRoutes": [
            {"cidr": "0.0.0.0/0", "nextHopIP": "10.16.0.9"},
            {"cidr": "192.0.2.0/24", "nextHopIP": "10.16.0.9"},
            {"cidr": "0.0.0.0/0", "nextHopIP": "10.16.0.9", "policy": "policySrc"},
        ]}),
    ));
    assert_eq!(
        routes(&index, "ovn-cluster"),
        [
            "dst-ip 192.0.2.0/24 via 10.16.0.9",
            "src-ip 0.0.0.0/0 via 10.16.0.9"
        ]
    );
    let faults = told(&index, "ovn-cluster");
    assert!(
        faults[0].starts_with("spec.staticRoutes[0].cidr is `0.0.0.0/0`: the default route"),
        "{faults:?}"
    );
}

#[test]
fn a_wrong_policy_is_told_with_its_place_and_its_neighbours_are_planned() {
    let index = with(json!({"policyRoutes": [
        {"priority": 0, "match": "ip4", "action": "drop"},
        {"priority": 40000, "match": "ip4", "action": "drop"},
        {"priority": 7, "match": "  ", "action": "drop"},
        {"priority": 7, "match": "ip4\n|| ip6", "action": "drop"},
        {"priority": 7, "match": "ip4", "action": "lose"},
        {"priority": 7, "match": "ip4", "action": "reroute"},
        {"priority": 7, "match": "ip4", "action": "reroute", "nextHopIP": "10.0.1.9,fd00:1::9"},
        {"priority": 7, "match": "ip4", "action": "drop"},
        {"priority": 7, "match": " ip4 ", "action": "allow"},
        {"priority": 8, "match": "ip4", "action": "reroute", "nextHopIP": "10.0.1.9, 10.0.1.8"},
        {"priority": 9, "match": "ip4", "action": "reroute", "nextHopIP": "10.7.0.1"},
        {"priority": 9, "match": "ip4 && (tcp || udp", "action": "drop"},
        {"priority": 9, "match": "ip4.source == 10.0.1.5", "action": "drop"},
    ]}));
    assert_eq!(
        policies(&index, "a"),
        ["7 ip4", "8 ip4", "9 ip4.source == 10.0.1.5"]
    );
    let faults = told(&index, "a");
    let expected = [
        "spec.policyRoutes[0].priority is `0`: write 1 to 32767",
        "spec.policyRoutes[1].priority is `40000`: write 1 to 32767",
        "spec.policyRoutes[2].match is ``: write an expression of OVN in one line",
        "spec.policyRoutes[3].match is `ip4\\n|| ip6`: write an expression",
        "spec.policyRoutes[4].action is `lose`: write one of allow, drop, reroute",
        "spec.policyRoutes[5].nextHopIP is ``: it must not be empty",
        "spec.policyRoutes[6].nextHopIP is `10.0.1.9,fd00:1::9`: next hops of both families",
        "spec.policyRoutes[11].match is `ip4 && (tcp || udp`: OVN cannot read it: a `)` is missing",
        "spec.policyRoutes[8].match is `7 ip4`: spec.policyRoutes[7] says it already",
        "spec.policyRoutes[9].match is `ip4`: this VPC has no route to other networks than those",
        "spec.policyRoutes[10].nextHopIP is `10.7.0.1`: no subnet and no peering",
        "spec.policyRoutes[12].match is `ip4.source == 10.0.1.5`: OVN 25.03 has no field `ip4.source`",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.starts_with(expected), "{fault}");
    }
}

#[test]
fn a_policy_for_packets_that_no_route_takes_as_far_is_told_until_one_does() {
    let policy = |matches: &str| json!([{"priority": 9, "match": matches, "action": "reroute", "nextHopIP": "10.0.1.9"}]);
    let route = |cidr: &str| json!([{"cidr": cidr, "nextHopIP": "10.0.1.254"}]);
    let source = json!([{"cidr": "10.0.1.7", "nextHopIP": "10.0.1.9", "policy": "policySrc"}]);
    for (matches, routes, expected) in [
        (
            "ip4.src == 10.0.1.7",
            json!([]),
            Some("to other networks than those"),
        ),
        (
            "ip4.src == 10.0.1.7",
            route("10.9.0.0/16"),
            Some("to other networks"),
        ),
        ("ip4.src == 10.0.1.7", route("0.0.0.0/0"), None),
        ("ip4.src == 10.0.1.7", source, None),
        (
            "ip4.dst == 10.9.1.0/24",
            json!([]),
            Some("no route to 10.9.1.0/24"),
        ),
        (
            "ip4.dst == {10.9.1.1, 10.8.1.1}",
            route("10.9.0.0/16"),
            Some("no route to 10.8.1.1/32"),
        ),
        ("ip4.dst == 10.9.1.0/24", route("10.9.0.0/16"), None),
        ("ip4.dst == 10.0.1.7", json!([]), None),
        ("ip4.dst == $some", json!([]), None),
    ] {
        let index = with(json!({"policyRoutes": policy(matches), "staticRoutes": routes}));
        assert_eq!(policies(&index, "a").len(), 1, "{matches}");
        let faults = told(&index, "a");
        assert_eq!(faults.len(), usize::from(expected.is_some()), "{faults:?}");
        let is_told = expected.is_none_or(|it| faults[0].contains(it));
        assert!(is_told, "{faults:?}");
    }
    let mut index = index();
    index.apply(&vpc(
        "ovn-cluster",
        json!({"policyRoutes": [
            {"priority": 9, "match": "ip4", "action": "reroute", "nextHopIP": "10.16.0.9"},
        ]}),
    ));
    assert_eq!(told(&index, "ovn-cluster"), [""; 0]);
}

#[test]
fn a_policy_with_a_priority_of_ours_is_not_planned() {
    let drop = |priority: u16| json!({"priority": priority, "match": "ip4", "action": "drop"});
    let mut index = index();
    let all = [29000, 29001, 29302, 30000, 31000, 31001].map(drop);
    index.apply(&vpc("ovn-cluster", json!({"policyRoutes": all})));
    let planned = policies(&index, "ovn-cluster");
    assert_eq!(planned, ["29001 ip4", "31001 ip4"]);
    assert_eq!(told(&index, "ovn-cluster").len(), 4);

    let sources = json!([{"cidr": "10.0.1.7", "nextHopIP": "10.0.1.9", "policy": "policySrc"}]);
    let all = [3, 4, 31000].map(drop);
    let index = with(json!({"staticRoutes": sources, "policyRoutes": all}));
    assert_eq!(policies(&index, "a"), ["4 ip4", "31000 ip4"]);
    let faults = told(&index, "a");
    let expected = "spec.policyRoutes[0].priority is `3`: static routes with policySrc need those up to \
                    3; choose a greater one";
    assert_eq!(faults, [expected]);
}

#[test]
fn two_vpcs_that_name_each_other_are_linked_and_both_are_planned_again() {
    let mut index = with(peering("b", "169.254.0.1/30,fd00:ff::1/64"));
    index.take_dirty();
    let missing = told(&index, "a");
    assert_eq!(
        missing,
        ["spec.vpcPeerings[0].remoteVpc is `b`: there is no such VPC; create it or name another"]
    );
    index.apply(&vpc("b", json!({})));
    assert!(told(&index, "a")[0].contains("VPC b does not name this one; add a to its"));
    assert!(peers(&index, "a").is_empty());
    index.take_dirty();
    let back = vpc("b", peering("a", "169.254.0.2/30,fd00:ff::2/64"));
    index.apply(&back);
    assert_eq!(peers(&index, "a"), ["b 169.254.0.1/30,fd00:ff::1/64"]);
    assert_eq!(peers(&index, "b"), ["a 169.254.0.2/30,fd00:ff::2/64"]);
    let dirty = index.take_dirty();
    for vpc in ["a", "b"] {
        assert!(told(&index, vpc).is_empty(), "{:?}", told(&index, vpc));
        assert!(dirty.contains(&Owner::Vpc(name(vpc))), "{dirty:?}");
    }
    assert_eq!(controller_plan::check(index.inputs()), []);
    index.delete(&back);
    assert!(peers(&index, "a").is_empty());
    assert!(index.take_dirty().contains(&Owner::Vpc(name("a"))));
}

#[test]
fn a_route_to_the_other_end_of_a_link_has_its_next_hop() {
    let mut index = linked("169.254.0.1/30", "169.254.0.2/30");
    let mut spec = peering("b", "169.254.0.1/30");
    spec["staticRoutes"] = json!([{"cidr": "10.0.2.0/24", "nextHopIP": "169.254.0.2"}]);
    index.apply(&vpc("a", spec));
    assert!(told(&index, "a").is_empty());
    assert_eq!(routes(&index, "a"), ["dst-ip 10.0.2.0/24 via 169.254.0.2"]);
}

#[test]
fn ends_that_do_not_fit_are_told_and_not_planned() {
    for (one, other, expected) in [
        (
            "169.254.0.1/30",
            "169.254.0.6/30",
            "in another network than",
        ),
        (
            "169.254.0.1/30",
            "169.254.0.2/29",
            "in another network than",
        ),
        ("169.254.0.1/30", "169.254.0.1/30", "the other end has it"),
        (
            "169.254.0.1/30,fd00:ff::1/64",
            "169.254.0.2/30",
            "in another network than",
        ),
        (
            "10.0.1.9/30",
            "10.0.1.10/30",
            "overlaps 10.0.1.0/24,fd00:1::/64 of subnet one",
        ),
        (
            "169.254.0.0/30",
            "169.254.0.2/30",
            "the network itself or its broadcast address",
        ),
        ("169.254.0.1", "169.254.0.2/30", "not one value or a pair"),
    ] {
        let index = linked(one, other);
        let faults = told(&index, "a");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(
            faults[0].starts_with("spec.vpcPeerings[0].localConnectIP is ")
                && faults[0].contains(expected),
            "{faults:?}"
        );
        assert_eq!(told(&index, "b").len(), 1, "{:?}", told(&index, "b"));
        assert!(peers(&index, "a").is_empty() && peers(&index, "b").is_empty());
    }
}

#[test]
fn a_vpc_is_not_linked_to_itself_nor_twice_to_another() {
    let index = with(peering("a", "169.254.0.1/30"));
    assert!(told(&index, "a")[0].contains("it is this VPC itself"));
    let mut index = linked("169.254.0.1/30", "169.254.0.2/30");
    let twice = json!({"vpcPeerings": [
        {"remoteVpc": "b", "localConnectIP": "169.254.0.1/30"},
        {"remoteVpc": "b", "localConnectIP": "169.254.0.5/30"},
    ]});
    index.apply(&vpc("a", twice));
    assert_eq!(peers(&index, "a"), ["b 169.254.0.1/30"]);
    assert!(told(&index, "a")[0].contains("spec.vpcPeerings[0] says it already"));
}

#[test]
fn who_was_first_has_a_network_that_a_link_and_a_subnet_want() {
    let mut index = linked("169.254.0.1/30", "169.254.0.2/30");
    index.apply(&subnet("late", "a", "169.254.0.0/16"));
    let why = &index
        .acceptance(&SubnetName::new("late").unwrap())
        .unwrap()
        .faults[0]
        .why;
    assert!(
        why.to_string()
            .contains("169.254.0.0/30, by which VPC a is linked to b"),
        "{why}"
    );
    assert_eq!(peers(&index, "a").len(), 1);

    let mut index = with(json!({}));
    index.apply(&accepted("early", "a", "169.254.0.0/16", "169.254.0.1"));
    index.apply(&vpc("a", peering("b", "169.254.0.1/30")));
    index.apply(&vpc("b", peering("a", "169.254.0.2/30")));
    assert!(told(&index, "a")[0].contains("it overlaps 169.254.0.0/16 of subnet early"));
    assert!(told(&index, "b")[0].contains("in VPC a it overlaps"));
    let early = SubnetName::new("early").unwrap();
    assert!(index.inputs().subnets.contains_key(&early));
}

#[test]
fn a_link_never_has_the_port_of_a_subnet_or_of_another_link() {
    let mut index = linked("169.254.0.1/30", "169.254.0.2/30");
    index.apply(&subnet("b", "a", "10.0.9.0/24"));
    assert!(told(&index, "a")[0].contains("subnet b has a port of the name"));
    assert!(peers(&index, "a").is_empty());
    assert_eq!(controller_plan::check(index.inputs()), []);

    let mut index = self::index();
    for (one, other, network) in [("a", "b-c", "169.254.0"), ("a-b", "c", "169.254.1")] {
        index.apply(&vpc(one, peering(other, &format!("{network}.1/30"))));
        index.apply(&vpc(other, peering(one, &format!("{network}.2/30"))));
    }
    assert_eq!(peers(&index, "a").len(), 1);
    assert!(peers(&index, "a-b").is_empty());
    assert!(told(&index, "a-b")[0].contains("the link of VPC a to b-c has a port of the name"));
    assert_eq!(controller_plan::check(index.inputs()), []);
}
