//! Which subnet a namespace is on, and which network a subnet may have.
#![cfg(test)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "objects are written where they are used"
)]

use controller_index::{Access, Claimant, Defaults, Effect, Index, Settings};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use model::{Owner, PodKey, SubnetName, VpcName};
use serde_json::{Value, json};

/// The default VPC with `ovn-default`, and the VPC `tenant` for the namespace `t`.
fn cluster() -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: name("join"),
        },
        subnet: name("ovn-default"),
    });
    index.apply(&vpc("ovn-cluster", json!({})));
    index.apply(&vpc("tenant", json!({"namespaces": ["t"]})));
    index.apply(&subnet(
        "ovn-default",
        0,
        json!({"cidrBlock": "10.16.0.0/16"}),
    ));
    index
}

fn name(text: &str) -> SubnetName {
    SubnetName::new(text).unwrap()
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn vpc(name: &str, spec: Value) -> api::Vpc {
    object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": name}, "spec": spec,
    }))
}

/// A subnet that was created at that second.
fn subnet(name: &str, second: u8, spec: Value) -> api::Subnet {
    object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet",
        "metadata": {
            "name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        },
        "spec": spec,
    }))
}

fn vlan(name: &str) -> api::Vlan {
    object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vlan",
        "metadata": {"name": name}, "spec": {"id": 10, "provider": "p"},
    }))
}

fn accepted_as(mut subnet: api::Subnet, network: &str) -> api::Subnet {
    let annotations = subnet.metadata.annotations.get_or_insert_default();
    annotations.insert(api::annotation::ACCEPTED.to_owned(), network.to_owned());
    subnet
}

fn ending(mut subnet: api::Subnet) -> api::Subnet {
    subnet.metadata.deletion_timestamp = subnet.metadata.creation_timestamp.clone();
    subnet
}

fn namespace(name: &str, labels: Value) -> Namespace {
    object(json!({"metadata": {"name": name, "uid": "u", "labels": labels}}))
}

fn pod(namespace: &str) -> Pod {
    object(json!({
        "metadata": {"name": "p", "namespace": namespace, "uid": "u"},
        "spec": {"containers": []},
        "status": {"phase": "Pending"},
    }))
}

fn of(index: &Index, namespace: &str) -> String {
    index.subnet_of_namespace(namespace).to_string()
}

fn claimant(namespace: &str) -> Claimant {
    Claimant::Pod(PodKey::new(namespace, "p").unwrap())
}

#[test]
fn a_namespace_is_on_the_subnet_that_names_it_and_else_on_the_default_one() {
    let mut index = cluster();
    index.apply(&namespace("a", json!({})));
    assert_eq!(of(&index, "a"), "ovn-default");
    let spec = json!({"cidrBlock": "10.1.0.0/16", "namespaces": ["a"]});
    index.apply(&subnet("s", 1, spec.clone()));
    assert_eq!(
        (of(&index, "a"), of(&index, "b")),
        ("s".into(), "ovn-default".into())
    );
    index.delete(&subnet("s", 1, spec));
    assert_eq!(of(&index, "a"), "ovn-default");
}

#[test]
fn a_subnet_that_names_a_namespace_comes_before_one_that_selects_it() {
    let mut index = cluster();
    let selectors = json!([{"matchLabels": {"team": "red"}}]);
    let spec = json!({"cidrBlock": "10.1.0.0/16", "namespaceSelectors": selectors});
    index.apply(&subnet("selecting", 2, spec));
    index.apply(&namespace("a", json!({"team": "red"})));
    index.apply(&namespace("b", json!({"team": "blue"})));
    assert_eq!(
        (of(&index, "a"), of(&index, "b")),
        ("selecting".into(), "ovn-default".into())
    );
    let spec = json!({"cidrBlock": "10.2.0.0/16", "namespaces": ["a"]});
    index.apply(&subnet("naming", 1, spec));
    assert_eq!(of(&index, "a"), "naming");
    index.apply(&namespace("b", json!({"team": "red"})));
    assert_eq!(of(&index, "b"), "selecting");
}

#[test]
fn a_namespace_of_a_vpc_is_on_the_default_subnet_of_the_vpc() {
    let mut index = cluster();
    index.apply(&namespace("t", json!({})));
    assert_eq!(of(&index, "t"), "ovn-default");
    let spec = json!({"vpc": "tenant", "cidrBlock": "10.1.0.0/16"});
    index.apply(&subnet("one", 1, spec));
    assert_eq!(of(&index, "t"), "ovn-default");
    let spec = json!({"vpc": "tenant", "cidrBlock": "10.2.0.0/16", "default": true});
    index.apply(&subnet("two", 2, spec));
    assert_eq!(of(&index, "t"), "two");
    index.apply(&vpc(
        "tenant",
        json!({"namespaces": ["t"], "defaultSubnet": "one"}),
    ));
    assert_eq!(of(&index, "t"), "one");
}

#[test]
fn a_default_subnet_that_takes_no_pods_is_passed_over() {
    let of_plugin = json!({"vpc": "tenant", "cidrBlock": "10.3.0.0/16", "provider": "macvlan.d"});
    let network = json!({"vpc": "tenant", "cidrBlock": "10.3.0.0/16"});
    for unfit in [
        ending(subnet("one", 1, network)),
        subnet("one", 1, of_plugin),
    ] {
        let mut index = cluster();
        let spec = json!({"namespaces": ["t"], "defaultSubnet": "one"});
        index.apply(&vpc("tenant", spec));
        index.apply(&namespace("t", json!({})));
        let spec = json!({"vpc": "tenant", "cidrBlock": "10.2.0.0/16", "default": true});
        index.apply(&subnet("two", 2, spec));
        index.apply(&unfit);
        assert_eq!(of(&index, "t"), "two");
        index.apply(&ending(subnet(
            "two",
            2,
            json!({"vpc": "tenant", "cidrBlock": "10.2.0.0/16"}),
        )));
        assert_eq!(of(&index, "t"), "ovn-default");
    }
}

#[test]
fn a_vpc_is_told_why_its_default_subnet_is_none() {
    let mut index = cluster();
    let vpc_faults = |index: &Index, vpc: &str| {
        let faults = index.faults_of_vpc(&VpcName::new(vpc).unwrap()).iter();
        faults.map(|it| it.why.to_string()).collect::<Vec<_>>()
    };
    let spec = json!({"namespaces": ["t"], "defaultSubnet": "one"});
    index.apply(&vpc("tenant", spec));
    let own = json!({"vpc": "tenant", "cidrBlock": "10.1.0.0/16"});
    let foreign = json!({"cidrBlock": "10.1.0.0/16"});
    let of_plugin = json!({"vpc": "tenant", "cidrBlock": "10.1.0.0/16", "provider": "macvlan.d"});
    let told = |index: &Index, words: &str| {
        let faults = vpc_faults(index, "tenant");
        let expected = format!("spec.defaultSubnet is `one`: {words}");
        assert!(faults[0].starts_with(&expected), "{faults:?}");
    };
    told(&index, "there is no such subnet");
    index.apply(&subnet("one", 1, foreign));
    told(&index, "it is in VPC ovn-cluster");
    index.apply(&subnet("one", 1, of_plugin));
    told(&index, "it takes no pods");
    index.apply(&subnet("one", 1, own.clone()));
    assert_eq!(vpc_faults(&index, "tenant"), [""; 0]);
    index.apply(&ending(subnet("one", 1, own)));
    told(&index, "it takes no pods");

    index.apply(&vpc("ovn-cluster", json!({"defaultSubnet": "ovn-default"})));
    assert_eq!(vpc_faults(&index, "ovn-cluster"), [""; 0]);
    index.apply(&vpc("ovn-cluster", json!({"defaultSubnet": "one"})));
    let faults = vpc_faults(&index, "ovn-cluster");
    assert!(
        faults[0].contains("in this VPC it is ovn-default"),
        "{faults:?}"
    );
}

#[test]
fn of_two_default_subnets_of_a_vpc_the_second_is_told_which_is_the_default_one() {
    let spec = |net: u8| {
        let cidr = format!("10.{net}.0.0/16");
        json!({"vpc": "tenant", "cidrBlock": cidr, "default": true})
    };
    let mut index = cluster();
    index.apply(&subnet("b", 1, spec(1)));
    assert_eq!(told(&index, "b"), [""; 0]);
    index.apply(&subnet("a", 2, spec(2)));
    assert_eq!(told(&index, "a"), [""; 0]);
    assert_eq!(
        told(&index, "b"),
        [
            "spec.default is `true`: subnet a is the default one of VPC tenant; write false, or \
             name this one in spec.defaultSubnet of the VPC"
        ]
    );
    assert!(planned(&index, "b").is_some());
    assert_eq!(index.why_none(&claimant("t"), &name("b")), None);
    let spec = json!({"namespaces": ["t"], "defaultSubnet": "b"});
    index.apply(&vpc("tenant", spec));
    assert_eq!((told(&index, "a").len(), told(&index, "b").len()), (1, 0));
}

#[test]
fn a_vpc_that_names_no_namespaces_is_for_pods_of_all_that_name_its_subnets() {
    let mut index = cluster();
    index.apply(&vpc("open", json!({})));
    let spec = json!({"vpc": "open", "cidrBlock": "10.1.0.0/16"});
    index.apply(&subnet("s", 1, spec));
    assert_eq!(index.why_none(&claimant("a"), &name("s")), None);
    assert_eq!(of(&index, "a"), "ovn-default");
    index.apply(&vpc("open", json!({"namespaces": ["t"]})));
    assert!(index.why_none(&claimant("a"), &name("s")).is_some());
    assert_eq!(index.why_none(&claimant("t"), &name("s")), None);
}

#[test]
fn a_vpc_that_cannot_be_read_keeps_its_router_and_says_what_is_wrong() {
    for vpc_name in ["ovn-cluster", "tenant"] {
        let mut index = cluster();
        let before = index.inputs().clone();
        index.take_dirty();
        index.apply(&vpc(vpc_name, json!({"defaultSubnet": "A_b"})));
        assert_eq!(index.inputs(), &before);
        assert!(index.take_dirty().is_empty());
        let faults = index.faults_of_vpc(&VpcName::new(vpc_name).unwrap());
        let told = faults[0].why.to_string();
        for word in ["spec.defaultSubnet", "A_b", "lower-case"] {
            assert!(told.contains(word), "{told}");
        }
    }
}

#[test]
fn of_two_subnets_that_name_a_namespace_the_one_created_last_has_it_in_any_order() {
    let spec = |net: u8| json!({"cidrBlock": format!("10.{net}.0.0/16"), "namespaces": ["a"]});
    let subnets = [subnet("z-old", 1, spec(1)), subnet("new", 2, spec(2))];
    for order in [[0, 1], [1, 0]] {
        let mut index = cluster();
        for at in order {
            index.apply(&subnets[at]);
        }
        assert_eq!(of(&index, "a"), "new");
        assert_eq!(index.taken_by("a", &name("z-old")), Some(&name("new")));
        assert_eq!(index.taken_by("a", &name("new")), None);
        let loser = controller_index::Kept::Subnet(name("z-old"));
        assert!(index.take_kept().contains(&loser));
    }
}

#[test]
fn a_subnet_that_is_being_deleted_has_no_namespace_and_gives_no_address() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16", "namespaces": ["a"]});
    index.apply(&subnet("s", 1, spec.clone()));
    index.apply(&pod("a"));
    index.take_claims();
    index.apply(&ending(subnet("s", 1, spec)));
    assert_eq!(of(&index, "a"), "ovn-default");
    assert!(index.take_claims().contains(&claimant("a")));
    let why = index.why_none(&claimant("a"), &name("s")).unwrap();
    assert!(why.contains("being deleted"), "{why}");
    assert!(
        index.inputs().subnets.contains_key(&name("s")),
        "its rows stay"
    );
}

#[test]
fn a_vpc_other_than_the_default_one_has_to_name_the_namespaces_of_its_subnets() {
    let mut index = cluster();
    let spec = json!({"vpc": "tenant", "cidrBlock": "10.1.0.0/16", "namespaces": ["a", "t"]});
    index.apply(&subnet("s", 1, spec));
    assert_eq!(
        (of(&index, "a"), of(&index, "t")),
        ("ovn-default".into(), "s".into())
    );
    let faults = &index.acceptance(&name("s")).unwrap().faults;
    assert_eq!(faults.len(), 1);
    let told = faults[0].why.to_string();
    assert!(
        told.starts_with("spec.namespaces is `a`: VPC tenant is not for"),
        "{told}"
    );
    let why = index.why_none(&claimant("a"), &name("s")).unwrap();
    assert!(why.contains("not for namespace `a`"), "{why}");
    assert_eq!(index.why_none(&claimant("t"), &name("s")), None);
    index.apply(&vpc("tenant", json!({"namespaces": ["a", "t"]})));
    assert_eq!(of(&index, "a"), "s");
    assert!(index.acceptance(&name("s")).unwrap().faults.is_empty());
}

#[test]
fn pods_of_a_namespace_wait_until_it_is_seen_when_a_subnet_selects_by_labels() {
    let mut index = cluster();
    assert!(!index.awaits_namespace("a"));
    let spec = json!({"cidrBlock": "10.1.0.0/16", "namespaceSelectors": [{}]});
    index.apply(&subnet("s", 1, spec));
    assert!(index.awaits_namespace("a"));
    index.apply(&pod("a"));
    index.take_claims();
    index.apply(&namespace("a", json!({})));
    assert!(!index.awaits_namespace("a"));
    assert!(index.take_claims().contains(&claimant("a")));
}

#[test]
fn annotations_of_a_namespace_tell_cidr_and_excluded_addresses_of_its_subnet() {
    let mut index = cluster();
    let spec = json!({
        "cidrBlock": "10.1.0.1/16,fd00::/64", "excludeIps": ["10.1.0.10..10.1.0.20"],
        "namespaces": ["a"],
    });
    index.apply(&subnet("s", 1, spec));
    let annotations = index.binding_of("a").unwrap().annotations();
    let expected = [
        ("ovn.kubernetes.io/cidr", "10.1.0.0/16,fd00::/64"),
        (
            "ovn.kubernetes.io/exclude_ips",
            "10.1.0.10..10.1.0.20,10.1.0.1,fd00::1",
        ),
        ("ovn.kubernetes.io/logical_switch", "s"),
    ];
    let found: Vec<_> = annotations
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(found, expected);
}

fn planned(index: &Index, subnet: &str) -> Option<String> {
    let subnet = index.inputs().subnets.get(&name(subnet))?;
    Some(format!("{} {}", subnet.cidrs, subnet.gateways))
}

fn told(index: &Index, subnet: &str) -> Vec<String> {
    let faults = &index.acceptance(&name(subnet)).unwrap().faults;
    faults.iter().map(|fault| fault.why.to_string()).collect()
}

#[test]
fn of_two_new_subnets_that_overlap_the_one_created_first_is_planned_in_any_order() {
    let wide = subnet("wide", 2, json!({"cidrBlock": "10.0.0.0/12"}));
    let narrow = subnet("z-narrow", 1, json!({"cidrBlock": "10.1.0.0/16"}));
    for order in [[&wide, &narrow], [&narrow, &wide]] {
        let mut index = cluster();
        for object in order {
            index.apply(object);
        }
        assert_eq!(planned(&index, "z-narrow").unwrap(), "10.1.0.0/16 10.1.0.1");
        assert_eq!(planned(&index, "wide"), None);
        assert_eq!(
            told(&index, "wide"),
            [
                "spec.cidrBlock is `10.0.0.0/12`: it overlaps 10.1.0.0/16 of subnet z-narrow, which \
              had it first in VPC ovn-cluster; choose a CIDR that is free"
            ]
        );
        let why = index.why_none(&claimant("a"), &name("wide")).unwrap();
        assert!(why.contains("gives out no address"), "{why}");
        index.delete(&narrow);
        assert_eq!(planned(&index, "wide").unwrap(), "10.0.0.0/12 10.0.0.1");
    }
}

#[test]
fn an_accepted_subnet_keeps_its_network_when_it_or_another_is_edited_into_conflict() {
    let mut index = cluster();
    let first = subnet("first", 1, json!({"cidrBlock": "10.1.0.0/16"}));
    let second = subnet(
        "second",
        2,
        json!({"cidrBlock": "10.2.0.0/16", "gateway": "10.2.0.9"}),
    );
    index.apply(&accepted_as(
        first.clone(),
        "ovn-cluster 10.1.0.0/16 10.1.0.1",
    ));
    index.apply(&accepted_as(second, "ovn-cluster 10.2.0.0/16 10.2.0.9"));

    let edited = subnet("second", 2, json!({"cidrBlock": "10.1.128.0/17"}));
    index.apply(&accepted_as(edited, "ovn-cluster 10.2.0.0/16 10.2.0.9"));
    assert_eq!(planned(&index, "second").unwrap(), "10.2.0.0/16 10.2.0.9");
    assert_eq!(told(&index, "second").len(), 1);
    assert_eq!(told(&index, "first").len(), 0);

    let edited = subnet("first", 1, json!({"cidrBlock": "10.2.0.0/16"}));
    index.apply(&accepted_as(edited, "ovn-cluster 10.1.0.0/16 10.1.0.1"));
    assert_eq!(planned(&index, "first").unwrap(), "10.1.0.0/16 10.1.0.1");
    assert_eq!(told(&index, "first").len(), 1);

    index.apply(&accepted_as(first, "ovn-cluster 10.1.0.0/16 10.1.0.1"));
    let elsewhere = subnet("second", 2, json!({"cidrBlock": "10.3.0.0/16"}));
    index.apply(&accepted_as(elsewhere, "ovn-cluster 10.2.0.0/16 10.2.0.9"));
    assert_eq!(planned(&index, "second").unwrap(), "10.3.0.0/16 10.3.0.1");
    assert_eq!(told(&index, "second").len(), 0);
}

/// Edits of a subnet of 10.1.0.0/16 that cannot be, and what is told of each.
fn impossible_edits() -> [(Value, [&'static str; 3]); 9] {
    [
        (
            json!({"vpc": "Tenant-A"}),
            ["spec.vpc", "`Tenant-A`", "lower-case"],
        ),
        (
            json!({"vpc": "nowhere"}),
            ["spec.vpc", "`nowhere`", "`ovn-cluster`"],
        ),
        (
            json!({"vpc": "tenant"}),
            ["spec.vpc", "`tenant`", "delete the subnet"],
        ),
        (
            json!({"cidrBlock": "nonsense"}),
            ["spec.cidrBlock", "`nonsense`", "a pair of both families"],
        ),
        (json!({"cidrBlock": ""}), ["spec.cidrBlock", "``", "empty"]),
        (
            json!({"cidrBlock": "10.1.0.0/31"}),
            ["spec.cidrBlock", "`10.1.0.0/31`", "at most /30"],
        ),
        (
            json!({"cidrBlock": "10.1.0.0/16,fd00::/127"}),
            ["spec.cidrBlock", "fd00::/127 has no address", "/126"],
        ),
        (
            json!({"gateway": "10.9.0.1"}),
            ["spec.gateway", "`10.9.0.1`", "inside 10.1.0.0/16"],
        ),
        (
            json!({"provider": "macvlan.d"}),
            ["spec.provider", "`macvlan.d`", "write it"],
        ),
    ]
}

#[test]
fn an_accepted_subnet_that_is_edited_into_what_cannot_be_keeps_its_rows_and_says_so() {
    let spec = |edit: &Value| {
        let mut spec = json!({"cidrBlock": "10.1.0.0/16"});
        spec.as_object_mut()
            .unwrap()
            .extend(edit.as_object().unwrap().clone());
        spec
    };
    let accepted = "ovn-cluster 10.1.0.0/16 10.1.0.1 ovn uid";
    let object = |edit: &Value| {
        let mut object = accepted_as(subnet("s", 1, spec(edit)), accepted);
        object.metadata.uid = Some("uid".to_owned());
        object
    };
    let mut index = cluster();
    index.apply(&object(&json!({})));
    let before = index.inputs().clone();
    for (edit, words) in impossible_edits() {
        let mut anew = cluster();
        for index in [&mut index, &mut anew] {
            index.take_dirty();
            index.apply(&object(&edit));
            assert_eq!(index.inputs(), &before, "{edit}");
            let told = told(index, "s").join("; ");
            for word in words {
                assert!(told.contains(word), "{told}");
            }
            let why = index.why_none(&claimant("a"), &name("s")).unwrap();
            assert!(why.contains("gives out no address"), "{why}");
        }
        assert!(index.take_dirty().is_empty(), "{edit}");
        let tenant = VpcName::new("tenant").unwrap();
        assert_eq!(index.subnets_in(&tenant).count(), 0);
    }
    index.apply(&object(&json!({})));
    assert_eq!(told(&index, "s"), [""; 0]);
}

#[test]
fn a_copy_of_a_subnet_is_not_accepted_as_the_other_one() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16", "vpc": "tenant"});
    let mut copy = accepted_as(
        subnet("copy", 2, spec),
        "ovn-cluster 10.1.0.0/16 10.1.0.1 ovn other",
    );
    copy.metadata.uid = Some("uid".to_owned());
    index.apply(&copy);
    assert_eq!(told(&index, "copy"), [""; 0]);
    let subnet = &index.inputs().subnets[&name("copy")];
    assert_eq!(subnet.vpc.as_str(), "tenant");
}

#[test]
fn a_subnet_without_room_for_pods_is_told_what_to_write() {
    for cidr in [
        "10.1.0.0/31",
        "10.1.0.0/32",
        "fd00::/127",
        "10.1.0.0/24,fd00::/128",
    ] {
        for gateway in ["", "10.1.0.1"] {
            let mut index = cluster();
            index.apply(&subnet(
                "s",
                1,
                json!({"cidrBlock": cidr, "gateway": gateway}),
            ));
            assert_eq!(planned(&index, "s"), None);
            let (_, rejection) = index.rejected().first_key_value().unwrap();
            let told = rejection.why.to_string();
            for word in [
                "spec.cidrBlock",
                cidr,
                "at most /30 in IPv4 and /126 in IPv6",
            ] {
                assert!(told.contains(word), "{told}");
            }
        }
    }
}

#[test]
fn subnets_of_different_vpcs_vlans_and_providers_may_have_the_same_addresses() {
    let mut index = cluster();
    index.reset(&[vlan("v1"), vlan("v2")]);
    let cidr = "10.1.0.0/16";
    let underlay = |vlan| json!({"cidrBlock": cidr, "vlan": vlan, "underlayGateway": true});
    let specs = [
        json!({"cidrBlock": cidr}),
        json!({"cidrBlock": cidr, "vpc": "tenant"}),
        underlay("v1"),
        underlay("v2"),
        json!({"cidrBlock": cidr, "provider": "macvlan.default"}),
        json!({"cidrBlock": cidr, "provider": "ipvlan.default"}),
    ];
    for (at, spec) in specs.into_iter().enumerate() {
        let at = u8::try_from(at).unwrap();
        let name = format!("s{at}");
        index.apply(&subnet(&name, at, spec));
        assert_eq!(told(&index, &name), [""; 0]);
    }
    index.apply(&subnet("late", 9, underlay("v2")));
    assert_eq!(told(&index, "late").len(), 1);
}

#[test]
fn no_subnet_of_the_default_vpc_contains_the_address_of_the_api_server() {
    let mut index = cluster().with_api_server("10.96.0.1".parse().ok());
    let spec = json!({"cidrBlock": "10.96.0.0/12"});
    index.apply(&subnet("s", 1, spec.clone()));
    assert_eq!(planned(&index, "s"), None);
    assert!(told(&index, "s")[0].contains("10.96.0.1, the address of the Kubernetes API server"));
    let mut other = spec;
    other["vpc"] = json!("tenant");
    index.apply(&subnet("s", 1, other));
    assert_eq!(told(&index, "s"), [""; 0]);
}

#[test]
fn a_range_that_is_no_range_blocks_a_new_subnet_and_closes_an_old_one() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16", "excludeIps": ["10.1.0.9..10.1.0.2"]});
    let bad = subnet("s", 1, spec);
    index.apply(&bad);
    assert_eq!(planned(&index, "s"), None);
    assert!(told(&index, "s")[0].starts_with("spec.excludeIps[0] is `10.1.0.9..10.1.0.2`"));
    index.apply(&accepted_as(bad, "ovn-cluster 10.1.0.0/16 10.1.0.1"));
    assert_eq!(planned(&index, "s").unwrap(), "10.1.0.0/16 10.1.0.1");
    assert!(index.why_none(&claimant("a"), &name("s")).is_some());
}

#[test]
fn a_routing_table_is_for_one_subnet_of_a_vpc() {
    let mut index = cluster();
    let spec = |net: u8, table: u16| {
        json!({
            "cidrBlock": format!("10.{net}.0.0/16"), "externalEgressGateway": "192.0.2.254",
            "policyRoutingPriority": 1001, "policyRoutingTableID": table,
        })
    };
    index.apply(&subnet("late", 2, spec(2, 1001)));
    index.apply(&subnet("z", 1, spec(1, 1001)));
    index.apply(&subnet("other", 3, spec(3, 1002)));
    assert_eq!(
        (told(&index, "z").len(), told(&index, "other").len()),
        (0, 0)
    );
    let told = told(&index, "late");
    assert!(
        told[0].contains("`1001`: subnet z has it already"),
        "{told:?}"
    );
    let faults = &index.acceptance(&name("late")).unwrap().faults;
    assert_eq!(faults[0].effect, Effect::Told);
    assert!(planned(&index, "late").is_some());
}

#[test]
fn a_subnet_of_a_vpc_that_is_not_there_gives_no_address() {
    let mut index = cluster();
    index.apply(&subnet(
        "s",
        1,
        json!({"cidrBlock": "10.1.0.0/16", "vpc": "later"}),
    ));
    let why = index.why_none(&claimant("a"), &name("s")).unwrap();
    assert!(
        why.contains("spec.vpc is `later`: there is no such VPC"),
        "{why}"
    );
    index.apply(&vpc("later", json!({})));
    assert_eq!(index.why_none(&claimant("a"), &name("s")), None);
}

#[test]
fn logical_gateway_is_the_opposite_of_underlay_gateway() {
    let connected = |spec: Value| {
        let mut index = cluster();
        index.apply(&subnet("s", 1, spec));
        let subnet = &index.inputs().subnets[&name("s")];
        subnet.router_link == controller_plan::RouterLink::Connected
    };
    let with =
        |field: &str, value: bool| json!({"cidrBlock": "10.1.0.0/16", "vlan": "v", field: value});
    assert!(connected(with("underlayGateway", false)));
    assert!(!connected(with("underlayGateway", true)));
    assert!(connected(with("logicalGateway", true)));
    assert!(!connected(with("logicalGateway", false)));
    assert!(connected(
        json!({"cidrBlock": "10.1.0.0/16", "logicalGateway": false})
    ));
}

/// In whatever VPC it is.
#[test]
fn a_live_subnet_leaves_its_router_for_a_physical_gateway_and_comes_back() {
    for vpc in ["ovn-cluster", "tenant"] {
        let mut index = cluster();
        index.apply(&vlan("v"));
        let with = |underlay: bool| {
            let cidr = "10.1.0.0/16";
            let spec =
                json!({"vpc": vpc, "cidrBlock": cidr, "vlan": "v", "underlayGateway": underlay});
            subnet("s", 1, spec)
        };
        let rows = |index: &mut Index| {
            assert!(index.take_dirty().contains(&Owner::Subnet(name("s"))));
            let planned = controller_plan::plan(index.inputs(), &Owner::Subnet(name("s")));
            let keys = planned.rows.keys().map(|key| format!("{key:?}"));
            keys.collect::<Vec<_>>().join(" ")
        };
        index.apply(&with(false));
        let connected = rows(&mut index);
        let ports = [format!("s-{vpc}"), format!("{vpc}-s")];
        assert!(ports.iter().all(|it| connected.contains(it)), "{connected}");
        index.apply(&with(true));
        let alone = rows(&mut index);
        assert!(!ports.iter().any(|it| alone.contains(it)), "{alone}");
        assert!(!alone.contains("RouterPolicy"), "{alone}");
        index.apply(&with(false));
        assert_eq!(rows(&mut index), connected);
    }
}

fn access(index: &Index, subnet: &str) -> Access {
    index.inputs().subnets[&name(subnet)].access.clone()
}

#[test]
fn a_private_subnet_goes_without_the_networks_that_cannot_be_read_or_reached_and_says_which() {
    let mut index = cluster();
    let allowed = json!(["10.2.0.9/16", "10.3.0.1", "fd00:2::/64", "nonsense"]);
    let mut spec = json!({"cidrBlock": "10.1.0.0/16", "allowSubnets": allowed, "private": true});
    index.apply(&subnet("s", 1, spec.clone()));
    let allowed = ["10.2.0.0/16".parse().unwrap()].into();
    assert_eq!(access(&index, "s"), Access::Private { allowed });
    assert_eq!(
        told(&index, "s"),
        [
            "spec.allowSubnets[1] is `10.3.0.1`: `10.3.0.1` is not a CIDR; write \
             `<address>/<prefix length>`",
            "spec.allowSubnets[2] is `fd00:2::/64`: the subnet has 10.1.0.0/16 alone, so it has \
             no effect; remove it, or give the subnet a CIDR of that family",
            "spec.allowSubnets[3] is `nonsense`: `nonsense` is not a CIDR; write \
             `<address>/<prefix length>`",
        ]
    );
    assert_eq!(index.why_none(&claimant("a"), &name("s")), None);
    spec["private"] = json!(false);
    index.apply(&subnet("s", 1, spec));
    assert_eq!(access(&index, "s"), Access::Open);
}

#[test]
fn the_subnet_of_the_nodes_is_never_private_and_says_so() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "100.64.0.0/16", "private": true});
    index.apply(&subnet("join", 1, spec));
    assert_eq!(
        told(&index, "join"),
        ["spec.private is `true`: the subnet of the nodes is never private; write false"]
    );
}

#[test]
fn a_subnet_whose_vlan_does_not_exist_says_so_and_gives_out_no_address() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16", "vlan": "v1", "namespaces": ["a"]});
    index.apply(&subnet("s", 1, spec));
    let fault = &index.acceptance(&name("s")).unwrap().faults[0];
    assert_eq!(
        (fault.effect, fault.why.field.as_str()),
        (Effect::Closes, "spec.vlan")
    );
    assert!(fault.why.to_string().contains("`v1`") && fault.why.cause.contains("create it"));
    let why = index.why_none(&claimant("a"), &name("s")).unwrap();
    assert!(why.contains("there is no such Vlan"), "{why}");

    index.apply(&vlan("v1"));
    assert_eq!(told(&index, "s"), [""; 0]);
    assert_eq!(index.why_none(&claimant("a"), &name("s")), None);
    index.delete(&vlan("v1"));
    assert_eq!(told(&index, "s").len(), 1);
    assert!(
        index.inputs().subnets.contains_key(&name("s")),
        "its rows stay"
    );
}

#[test]
fn a_subnet_of_another_plugin_needs_no_vlan() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16", "vlan": "v1", "provider": "macvlan.default"});
    index.apply(&subnet("s", 1, spec));
    assert_eq!(told(&index, "s"), [""; 0]);
}

#[test]
fn a_former_gateway_is_known_as_long_as_a_pod_has_it() {
    let running = |gateway: &str| {
        let mut pod = pod("a");
        let keys = [
            ("allocated", "true"),
            ("logical_switch", "s"),
            ("ip_address", "10.1.0.5"),
            ("mac_address", "00:00:00:00:00:05"),
            ("gateway", gateway),
        ];
        let keys = keys.map(|(k, v)| (format!("ovn.kubernetes.io/{k}"), v.to_owned()));
        pod.metadata.annotations = Some(keys.into());
        pod
    };
    let excludes = json!(["10.1.0.1", "10.1.0.9"]);
    let spec = json!({"cidrBlock": "10.1.0.0/16", "gateway": "10.1.0.9", "excludeIps": excludes});
    let edited = subnet("s", 1, spec);
    for order in [0, 1] {
        let mut index = cluster();
        let known = |index: &Index| {
            let former = index.former_gateways(&name("s")).into_iter();
            former.map(|it| it.to_string()).collect::<Vec<_>>()
        };
        if order == 0 {
            index.apply(&running("10.1.0.1"));
            index.apply(&edited);
        } else {
            index.apply(&edited);
            index.apply(&running("10.1.0.1"));
        }
        assert_eq!(known(&index), ["10.1.0.1"]);
        index.apply(&running("10.1.0.77"));
        assert_eq!(known(&index), [""; 0], "a pod may have that address");
        index.apply(&running("10.1.0.1"));
        index.delete(&running("10.1.0.1"));
        assert_eq!(known(&index), [""; 0]);
    }
}

#[test]
fn a_subnet_of_another_plugin_has_no_rows_and_no_namespace_and_is_judged_as_others_are() {
    let mut index = cluster();
    let spec =
        |cidr: &str| json!({"cidrBlock": cidr, "provider": "macvlan.default", "namespaces": ["a"]});
    index.apply(&subnet("first", 1, spec("172.17.0.0/24")));
    assert_eq!(told(&index, "first"), [""; 0]);
    assert_eq!(planned(&index, "first"), None);
    assert_eq!(of(&index, "a"), "ovn-default");
    index.apply(&subnet("second", 2, spec("172.17.0.128/25")));
    let told = told(&index, "second");
    assert!(
        told[0].contains("overlaps 172.17.0.0/24 of subnet first"),
        "{told:?}"
    );
}

#[test]
fn who_is_outside_after_an_edit_is_named_until_it_goes() {
    let record = |pod: &str, address: &str| -> api::Ip {
        object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "IP", "metadata": {"name": format!("{pod}.a")},
            "spec": {"podName": pod, "namespace": "a", "subnet": "s", "ipAddress": address,
                     "macAddress": "00:00:00:00:00:09"},
        }))
    };
    let wide = subnet("s", 1, json!({"cidrBlock": "10.1.0.0/16"}));
    let narrow = subnet("s", 1, json!({"cidrBlock": "10.1.0.0/24"}));
    let (inside, outside) = (record("in", "10.1.0.5"), record("out", "10.1.7.5"));
    let mut index = cluster();
    index.reset(&[inside, outside.clone()]);
    index.apply(&wide);
    assert_eq!(told(&index, "s"), [""; 0]);
    index.apply(&narrow);
    let words = told(&index, "s").join("; ");
    assert!(
        words.contains("a/out (10.1.7.5)") && words.contains("delete"),
        "{words}"
    );
    assert!(!words.contains("a/in"), "{words}");
    assert_eq!(index.why_none(&claimant("a"), &name("s")), None);

    index.delete(&outside);
    assert_eq!(told(&index, "s"), [""; 0]);
    index.apply(&outside);
    assert_eq!(told(&index, "s").len(), 1);
    index.apply(&wide);
    assert_eq!(told(&index, "s"), [""; 0]);
}

#[test]
fn a_gateway_that_somebody_has_is_told_and_waits_until_it_is_free_in_any_order() {
    let spec = json!({"cidrBlock": "10.1.0.0/16", "gateway": "10.1.0.9"});
    let edited = accepted_as(subnet("s", 1, spec), "ovn-cluster 10.1.0.0/16 10.1.0.1");
    let record: api::Ip = object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "IP", "metadata": {"name": "p.d"},
        "spec": {"podName": "p", "namespace": "d", "subnet": "s", "ipAddress": "10.1.0.9",
                 "macAddress": "00:00:00:00:00:09"},
    }));
    let mut one = cluster();
    one.apply(&edited);
    let free = planned(&one, "s");
    assert_eq!(free.as_deref(), Some("10.1.0.0/16 10.1.0.9"));
    one.apply(&record);
    let mut other = cluster();
    other.apply(&record);
    other.apply(&edited);
    for index in [&one, &other] {
        assert_eq!(planned(index, "s").as_deref(), Some("10.1.0.0/16 10.1.0.1"));
        let faults = told(index, "s");
        for word in [
            "spec.gateway",
            "`10.1.0.9`",
            "d/p",
            "stays 10.1.0.1",
            "delete",
        ] {
            assert!(faults[0].contains(word), "{word}: {faults:?}");
        }
        assert!(index.why_none(&claimant("x"), &name("s")).is_some());
    }
    one.delete(&record);
    assert_eq!(planned(&one, "s"), free);
    assert_eq!(told(&one, "s"), [""; 0]);
}
