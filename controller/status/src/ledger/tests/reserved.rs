//! VIPs and pools.

use super::*;
use crate::writer::reserve::vip_patch;

fn vip(name: &str, spec: &Value) -> api::Vip {
    serde_json::from_value(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vip",
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "spec": spec,
    }))
    .unwrap()
}

fn ip_pool(name: &str, ips: &[&str], namespaces: &[&str]) -> api::IpPool {
    let spec = api::IpPoolSpec {
        subnet: "ovn-default".to_owned(),
        ips: ips.iter().map(|it| (*it).to_owned()).collect(),
        namespaces: namespaces.iter().map(|it| (*it).to_owned()).collect(),
        ..Default::default()
    };
    api::IpPool::new(name, spec)
}

/// The record and the VIP, once the decision is carried out.
fn reserve(index: &mut Index, vip: &api::Vip, recorded: &Recorded) -> api::Ip {
    let object = created(recorded);
    index.apply(&object);
    index.apply(&patched(vip, &vip_patch(recorded)));
    object
}

fn recorded(decisions: &[Decision]) -> &Recorded {
    let [Decision::Record(recorded)] = decisions else {
        panic!("{decisions:?}")
    };
    recorded
}

#[test]
fn a_vip_reserves_an_address_that_no_pod_gets_until_it_is_deleted() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let object = vip("lb", &json!({"subnet": "ovn-default"}));
    index.apply(&object);
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(recorded(&decisions).addresses.to_string(), "10.16.0.2");
    let record = reserve(&mut index, &object, recorded(&decisions));
    assert_eq!(decide_all(&mut ledger, &mut index), []);

    index.apply(&pod("a").annotated("ip_address", "10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(refusal(&decisions).message.contains("`vip-lb`"));

    index.delete(&object);
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(
        matches!(decisions.as_slice(), [Decision::Forget { .. }]),
        "{decisions:?}"
    );
    index.delete(&record);
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.2")]);
}

#[test]
fn a_vip_gets_the_address_and_the_mac_that_it_names_or_is_told_who_has_it() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&record("a", "uid-a", "10.16.0.9"));
    index.apply(&pod("a").phase("Running").allocated("10.16.0.9").build());
    decide_all(&mut ledger, &mut index);
    let spec =
        json!({"subnet": "ovn-default", "v4ip": "10.16.0.8", "macAddress": "00:00:00:11:22:33"});
    index.apply(&vip("good", &spec));
    let decisions = decide_all(&mut ledger, &mut index);
    let good = recorded(&decisions);
    assert_eq!(good.addresses.to_string(), "10.16.0.8");
    assert_eq!(good.mac.to_string(), "00:00:00:11:22:33");
    assert_eq!(good.pod_type(), "Vip");

    index.apply(&vip(
        "bad",
        &json!({"subnet": "ovn-default", "v4ip": "10.16.0.9"}),
    ));
    let decisions = decide_all(&mut ledger, &mut index);
    let message = &refusal(&decisions).message;
    assert!(
        message.contains("`a.default`") && message.contains("10.16.0.9"),
        "{message}"
    );
}

#[test]
fn r03_another_leader_knows_the_vips_before_its_first_choice() {
    let mut index = cluster();
    let object = vip("lb", &json!({"subnet": "ovn-default"}));
    index.apply(&object);
    let decisions = decide_all(&mut Ledger::default(), &mut index);
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").build());
    reserve(&mut index, &object, recorded(&decisions));
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.3")]);
    let usages = ledger.usages(&index).unwrap();
    assert_eq!(
        usages[&SubnetName::new("ovn-default").unwrap()]
            .v4
            .unwrap()
            .used,
        2
    );
}

#[test]
fn a_vip_waits_for_its_subnet() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&vip("lb", &json!({"subnet": "later"})));
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(refusal(&decisions).message.contains("`later`"));
    let spec = api::SubnetSpec {
        cidr_block: "10.20.0.0/16".to_owned(),
        ..Default::default()
    };
    index.apply(&api::Subnet::new("later", spec));
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(recorded(&decisions).addresses.to_string(), "10.20.0.2");
}

#[test]
fn a_vip_whose_address_is_edited_keeps_it_and_says_so() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let object = vip("lb", &json!({"subnet": "ovn-default"}));
    index.apply(&object);
    let decisions = decide_all(&mut ledger, &mut index);
    reserve(&mut index, &object, recorded(&decisions));
    let mut edited = vip(
        "lb",
        &json!({"subnet": "ovn-default", "v4ip": "10.16.0.77"}),
    );
    edited.status = Some(api::VipStatus {
        v4_ip: "10.16.0.2".to_owned(),
        mac: recorded(&decisions).mac.to_string(),
        ..Default::default()
    });
    index.apply(&edited);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    let rejections = index.take_rejections();
    let text = rejections[0].1.why.to_string();
    for word in ["spec.v4ip", "10.16.0.77", "10.16.0.2", "delete"] {
        assert!(text.contains(word), "{text}");
    }
}

/// It is settled with the one, not written again and again for the other.
#[test]
fn a_vip_that_is_edited_to_another_subnet_stays_in_its_own() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let object = vip("lb", &json!({"subnet": "ovn-default"}));
    let (given, _) = given(&mut ledger, &mut index, &object);
    let mut edited = vip("lb", &json!({"subnet": "join"}));
    edited.status = Some(api::VipStatus {
        v4_ip: given.addresses.to_string(),
        mac: given.mac.to_string(),
        ..Default::default()
    });
    index.apply(&edited);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    index.apply(&pod("a").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.3")]);
}

#[test]
fn a_pool_serves_its_namespaces_and_those_who_name_it_and_nobody_else() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&ip_pool("red", &["10.16.0.2", "10.16.0.8/30"], &["red"]));
    index.apply(&pod("a").build());
    index.apply(&pod("b").annotated("ip_pool", "red").build());
    index.apply(&pod("c").with("metadata", "namespace", "red").build());
    index.apply(&pod("d").annotated("ip_address", "10.16.0.9").build());
    let decisions = decide_all(&mut ledger, &mut index);
    let message = &refusal(&decisions).message;
    assert!(
        message.contains("`red`") && message.contains("10.16.0.9"),
        "{message}"
    );
    let got: Vec<_> = decisions
        .into_iter()
        .filter(|it| !matches!(it, Decision::Refuse(_)))
        .collect();
    let mut got = addresses(&got);
    got.sort();
    let red = |pod: &str, address: &str| (format!("pod red/{pod}"), address.to_owned());
    assert_eq!(
        got,
        [
            pair("a", "10.16.0.3"),
            pair("b", "10.16.0.2"),
            red("c", "10.16.0.8")
        ]
    );
}

#[test]
fn a_pod_waits_for_the_pool_that_it_names() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").annotated("ip_pool", "blue").build());
    let decisions = decide_all(&mut ledger, &mut index);
    let message = &refusal(&decisions).message;
    assert!(
        message.contains("`blue`") && message.contains("create it"),
        "{message}"
    );
    index.apply(&ip_pool("blue", &["10.16.0.50..10.16.0.60"], &[]));
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.50")]);
}

#[test]
fn a_pool_that_is_deleted_gives_its_free_addresses_back_to_the_subnet() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let pool = ip_pool("red", &["10.16.0.2..10.16.0.3"], &[]);
    index.apply(&pool);
    let pods = [
        pod("a").annotated("ip_pool", "red").build(),
        pod("b").build(),
    ];
    index.apply(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    index.delete(&pool);
    index.apply(&pods[1]);
    settle(&mut ledger, &mut index, &pods);
    assert_eq!(address_of(&index, "a").unwrap(), "10.16.0.2");
    assert_eq!(address_of(&index, "b").unwrap(), "10.16.0.3");
}

/// What the VIP was given, and its record.
fn given(ledger: &mut Ledger, index: &mut Index, object: &api::Vip) -> (Recorded, api::Ip) {
    index.apply(object);
    let decisions = decide_all(ledger, index);
    let given = recorded(&decisions).clone();
    let record = reserve(index, object, &given);
    (given, record)
}

#[test]
fn a_vip_that_is_edited_into_nonsense_keeps_its_record_and_says_so() {
    let object = vip("lb", &json!({"subnet": "ovn-default"}));
    for (field, value) in [
        ("macAddress", "x"),
        ("v4ip", "nonsense"),
        ("v6ip", "10.16.0.9"),
    ] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        let (given, record) = given(&mut ledger, &mut index, &object);
        let mut edited = vip("lb", &json!({"subnet": "ovn-default", field: value}));
        edited.status = Some(api::VipStatus {
            v4_ip: given.addresses.to_string(),
            mac: given.mac.to_string(),
            ..Default::default()
        });
        let mut anew = cluster();
        anew.apply(&record);
        for (ledger, index) in [
            (&mut ledger, &mut index),
            (&mut Ledger::default(), &mut anew),
        ] {
            index.apply(&edited);
            index.apply(&pod("a").build());
            let decisions = decide_all(ledger, index);
            assert_eq!(addresses(&decisions), [pair("a", "10.16.0.3")], "{field}");
            let rejections = index.take_rejections();
            let told = rejections[0].1.why.to_string();
            assert!(told.contains(field) && told.contains(value), "{told}");
        }
        index.delete(&edited);
        let decisions = decide_all(&mut ledger, &mut index);
        assert!(
            matches!(decisions.as_slice(), [Decision::Forget { .. }]),
            "{decisions:?}"
        );
    }
}

#[test]
fn a_new_vip_of_nonsense_gets_nothing() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&vip(
        "lb",
        &json!({"subnet": "ovn-default", "macAddress": "x"}),
    ));
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    assert_eq!(index.take_rejections().len(), 1);
}

#[test]
fn a_pool_that_is_edited_into_nonsense_keeps_its_addresses_for_those_who_name_it() {
    for garbled in ["10.16.0.5..10.16.0.2", "nonsense", ""] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        let mut pool = ip_pool("red", &[garbled, "10.16.0.9"], &[]);
        pool.status = Some(api::IpPoolStatus {
            v4_available_range: "10.16.0.2,10.16.0.4..10.16.0.5".to_owned(),
            v4_using_range: "10.16.0.3".to_owned(),
            ..Default::default()
        });
        index.apply(&pool);
        index.apply(&pod("a").build());
        let named = |it| pod(it).annotated("ip_pool", "red").build();
        index.apply(&named("b"));
        let decisions = decide_all(&mut ledger, &mut index);
        let mut got = addresses(&decisions);
        got.sort();
        assert_eq!(got, [pair("a", "10.16.0.6"), pair("b", "10.16.0.2")]);
        let told = index.take_rejections()[0].1.why.to_string();
        assert!(
            told.contains("spec.ips") && told.contains(garbled),
            "{told}"
        );
    }
}

#[test]
fn r10_an_address_of_a_node_is_given_to_nobody_in_the_overlay_of_the_nodes_alone() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&api::Vpc::new("tenant", api::VpcSpec::default()));
    let specs = [
        json!({}),
        json!({"vpc": "tenant"}),
        json!({"underlayGateway": true}),
    ];
    for (number, mut spec) in specs.into_iter().enumerate() {
        let node: core::Node = serde_json::from_value(json!({
            "metadata": {"name": format!("n{number}"), "uid": format!("uid-n{number}")},
            "status": {"addresses": [
                {"type": "InternalIP", "address": format!("10.2{number}.0.2")},
            ]},
        }))
        .unwrap();
        index.apply(&node);
        spec["cidrBlock"] = json!(format!("10.2{number}.0.0/16"));
        let spec = serde_json::from_value(spec).unwrap();
        let subnet = format!("s{number}");
        index.apply(&api::Subnet::new(&subnet, spec));
        let pod = pod(&format!("p{number}")).annotated("logical_switch", &subnet);
        index.apply(&pod.build());
    }
    let mut got = addresses(&decide_all(&mut ledger, &mut index));
    got.retain(|(claimant, _)| claimant.starts_with("pod"));
    got.sort();
    let expected = [
        ("p0", "10.20.0.3"),
        ("p1", "10.21.0.2"),
        ("p2", "10.22.0.2"),
    ];
    assert_eq!(got, expected.map(|(pod, address)| pair(pod, address)));
}
