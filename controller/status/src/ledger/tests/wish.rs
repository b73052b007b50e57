//! What users ask for by annotations, and what they are told.

use super::*;

/// What is wrong with the pod, as its user is told.
fn told(index: &mut Index) -> Vec<String> {
    let rejections = index.take_rejections().into_iter();
    rejections
        .map(|(_, rejection)| rejection.why.to_string())
        .collect()
}

#[test]
fn c1_pods_of_a_deployment_share_a_pool_and_one_more_waits_for_its_turn() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let pooled = |name| pod(name).annotated("ip_pool", "10.16.0.31, 10.16.0.32,10.16.0.30");
    let pods: Vec<_> = ["a", "b", "c", "late"]
        .map(|name| pooled(name).build())
        .to_vec();
    for pod in &pods {
        index.apply(pod);
    }
    let decisions = settle(&mut ledger, &mut index, &pods);
    assert_eq!(refusal(&decisions).claimant, claimant("late"));
    let message = &refusal(&decisions).message;
    for word in [
        "10.16.0.31, 10.16.0.32, 10.16.0.30",
        "ovn-default",
        "extend",
        "`c.default`",
    ] {
        assert!(message.contains(word), "{message}");
    }
    let got = ["a", "b", "c"].map(|pod| address_of(&index, pod).unwrap());
    assert_eq!(got, ["10.16.0.31", "10.16.0.32", "10.16.0.30"]);

    index.delete(&pods[1]);
    settle(&mut ledger, &mut index, &pods);
    assert_eq!(address_of(&index, "late").unwrap(), "10.16.0.32");
}

#[test]
fn a_pod_whose_static_address_was_taken_gets_it_when_the_holder_is_gone() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let pods = [
        pod("a").build(),
        pod("b").annotated("ip_address", "10.16.0.2").build(),
    ];
    index.apply(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    index.apply(&pods[1]);
    let decisions = settle(&mut ledger, &mut index, &pods);
    let message = &refusal(&decisions).message;
    for word in ["10.16.0.2", "ovn-default", "`a.default`", "choose another"] {
        assert!(message.contains(word), "{message}");
    }
    index.delete(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    assert_eq!(address_of(&index, "b").unwrap(), "10.16.0.2");
}

#[test]
fn a_pod_whose_mac_was_taken_in_another_subnet_gets_it_when_the_holder_is_gone() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let spec = api::SubnetSpec {
        cidr_block: "10.20.0.0/16".to_owned(),
        ..Default::default()
    };
    index.apply(&api::Subnet::new("other", spec));
    let with_mac = |name, subnet, address| {
        let object = pod(name).annotated("mac_address", "00:00:00:aa:bb:cc");
        let object = object.annotated("logical_switch", subnet);
        object.annotated("ip_address", address).build()
    };
    let pods = [
        with_mac("a", "other", "10.20.0.7"),
        with_mac("b", "ovn-default", "10.16.0.7"),
    ];
    index.apply(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    index.apply(&pods[1]);
    let decisions = settle(&mut ledger, &mut index, &pods);
    let message = &refusal(&decisions).message;
    assert!(
        message.contains("00:00:00:AA:BB:CC") || message.contains("00:00:00:aa:bb:cc"),
        "{message}"
    );
    assert!(message.contains("`a.default`"), "{message}");
    index.delete(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    assert_eq!(address_of(&index, "b").unwrap(), "10.16.0.7");
}

#[test]
fn an_address_counts_before_a_pool() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let both = pod("a")
        .annotated("ip_address", "10.16.0.9")
        .annotated("ip_pool", "10.16.0.7");
    index.apply(&both.build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.9")]);
}

#[test]
fn a_mac_counts_only_beside_an_address_or_a_pool() {
    let wanted: MacAddr = "00:00:00:aa:bb:cc".parse().unwrap();
    for (key, value, is_given) in [
        ("ip_address", "10.16.0.9", true),
        ("ip_pool", "10.16.0.9", true),
        ("ip_pool", "", false),
    ] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        let object = pod("a").annotated("mac_address", &wanted.to_string());
        index.apply(&object.annotated(key, value).build());
        let decisions = decide_all(&mut ledger, &mut index);
        let [Decision::Record(recorded)] = decisions.as_slice() else {
            panic!("{decisions:?}")
        };
        assert_eq!(recorded.mac == wanted, is_given, "{key} {value}");
    }
}

#[test]
fn an_invalid_annotation_is_told_with_field_value_and_remedy_and_gives_no_address() {
    for (key, value, words) in [
        (
            "ip_address",
            "10.16.0.999",
            ["ip_address", "10.16.0.999", "address"],
        ),
        (
            "ip_address",
            "10.16.0.5/16",
            ["ip_address", "10.16.0.5/16", "address"],
        ),
        (
            "ip_address",
            "10.16.0.5,10.16.0.6",
            ["ip_address", "10.16.0.6", "one"],
        ),
        (
            "mac_address",
            "00:00:00:00:00",
            ["mac_address", "00:00:00:00:00", "pairs"],
        ),
        ("ip_pool", "10.16.0.5,", ["ip_pool", "10.16.0.5,", "commas"]),
        ("ip_pool", "10.16.0.5,x", ["ip_pool", "`x`", "commas"]),
        (
            "logical_switch",
            "No Name",
            ["logical_switch", "No Name", "lower-case"],
        ),
        ("ingress_rate", "fast", ["ingress_rate", "fast", "Mbit/s"]),
        ("egress_rate", "-1", ["egress_rate", "-1", "Mbit/s"]),
        ("cidr", "10.16.0.0", ["cidr", "10.16.0.0", "/"]),
    ] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        index.apply(&pod("a").annotated(key, value).build());
        assert_eq!(decide_all(&mut ledger, &mut index), [], "{key} {value}");
        let told = told(&mut index);
        assert_eq!(told.len(), 1);
        for word in words {
            assert!(told[0].contains(word), "{word} is not in: {}", told[0]);
        }
    }
}

#[test]
fn an_address_must_be_inside_of_a_preset_cidr() {
    for (cidr, is_inside) in [
        ("10.16.0.0/16", true),
        ("10.16.0.0/24,fd00::/64", true),
        ("10.17.0.0/16", false),
        ("fd00::/64", false),
    ] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        let object = pod("a").annotated("ip_address", "10.16.0.5");
        index.apply(&object.annotated("cidr", cidr).build());
        let decisions = decide_all(&mut ledger, &mut index);
        assert_eq!(!decisions.is_empty(), is_inside, "{cidr}");
        let told = told(&mut index).join("");
        assert_eq!(
            told.contains(cidr) && told.contains("10.16.0.5"),
            !is_inside,
            "{told}"
        );
    }
}

#[test]
fn the_network_the_broadcast_and_the_gateway_address_are_refused() {
    for (address, role) in [
        ("10.16.0.0", "network"),
        ("10.16.255.255", "broadcast"),
        ("10.16.0.1", "gateway"),
        ("10.17.0.1", "not in"),
    ] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        index.apply(&pod("a").annotated("ip_address", address).build());
        let decisions = decide_all(&mut ledger, &mut index);
        let message = &refusal(&decisions).message;
        for word in [address, role, "ovn-default", "choose"] {
            assert!(message.contains(word), "{message}");
        }
    }
}

#[test]
fn a_subnet_of_another_plugin_counts_its_addresses_and_is_no_pods_network() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let spec = api::SubnetSpec {
        cidr_block: "172.17.0.0/29".to_owned(),
        provider: "macvlan.default".to_owned(),
        ..Default::default()
    };
    index.apply(&api::Subnet::new("macvlan", spec));
    index.apply(&pod("a").annotated("logical_switch", "macvlan").build());
    let decisions = decide_all(&mut ledger, &mut index);
    let message = &refusal(&decisions).message;
    assert!(
        message.contains("`macvlan`") && message.contains("logical_switch"),
        "{message}"
    );
    let usages = ledger.usages(&index).unwrap();
    let usage = usages[&SubnetName::new("macvlan").unwrap()].v4.unwrap();
    assert_eq!((usage.used, usage.available), (0, 5));
}

#[test]
fn annotations_that_somebody_broke_are_written_again_and_the_port_stays() {
    for (key, value) in [
        ("ip_address", "nonsense"),
        ("ip_address", "10.16.0.77"),
        ("mac_address", ""),
        ("logical_switch", "join"),
    ] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        let object = pod("a").build();
        index.apply(&object);
        settle(&mut ledger, &mut index, std::slice::from_ref(&object));
        let decisions = {
            let broken = pod("a")
                .phase("Running")
                .allocated("10.16.0.2")
                .annotated(key, value);
            index.apply(&broken.build());
            decide_all(&mut ledger, &mut index)
        };
        assert_eq!(
            addresses(&decisions),
            [pair("a", "10.16.0.2")],
            "{key} {value}"
        );
        assert_eq!(index.inputs().ports.len(), 1);
    }
}

#[test]
fn a_pod_that_is_created_with_the_annotations_of_another_gets_addresses_of_its_own() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let pods = [pod("a").build(), pod("copy").allocated("10.16.0.2").build()];
    index.apply(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    index.apply(&pods[1]);
    assert_eq!(index.inputs().ports.len(), 1);
    settle(&mut ledger, &mut index, &pods);
    assert_eq!(address_of(&index, "copy").unwrap(), "10.16.0.3");
    assert_eq!(index.inputs().ports.len(), 2);
}

#[test]
fn of_two_pods_that_run_with_one_address_one_is_told_who_keeps_it() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    for name in ["a", "b"] {
        index.apply(&pod(name).phase("Running").allocated("10.16.0.2").build());
        index.apply(&record(name, &format!("uid-{name}"), "10.16.0.2"));
    }
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(refusal(&decisions).claimant, claimant("b"));
    let message = &refusal(&decisions).message;
    for word in ["10.16.0.2", "ovn-default", "`a.default`", "delete"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn what_a_user_says_of_the_nic_stays_and_what_is_not_served_is_told() {
    for (nic, kept, words) in [
        ("veth-pair", Nic::VethPair, None),
        ("internal-port", Nic::InternalPort, Some("veth-pair")),
    ] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        index.apply(&pod("a").annotated("pod_nic_type", nic).build());
        let decisions = decide_all(&mut ledger, &mut index);
        let [Decision::Record(recorded)] = decisions.as_slice() else {
            panic!("{decisions:?}")
        };
        assert_eq!(recorded.nic, kept);
        let told = told(&mut index);
        assert_eq!(told.len(), usize::from(words.is_some()), "{told:?}");
        let all = told.concat();
        assert!(
            words.is_none_or(|it| all.contains(it) && all.contains(nic)),
            "{all}"
        );
    }
}

#[test]
fn a_nic_that_does_not_exist_is_told_and_waited_for() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").annotated("pod_nic_type", "tap").build());
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    let told = told(&mut index).concat();
    for word in ["pod_nic_type", "`tap`", "veth-pair"] {
        assert!(told.contains(word), "{told}");
    }
    index.apply(&pod("a").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.2")]);
}

#[test]
fn a_pod_waits_until_its_namespace_is_seen_where_labels_decide() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let subnet: api::Subnet = serde_json::from_value(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "team"},
        "spec": {
            "cidrBlock": "10.20.0.0/16",
            "namespaceSelectors": [{"matchLabels": {"team": "a"}}],
        },
    }))
    .unwrap();
    let namespace = |labels: Value| -> core::Namespace {
        let metadata = json!({"name": "default", "uid": "u", "labels": labels});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    };
    for (labels, got) in [
        (json!({"team": "a"}), "10.20.0.2"),
        (json!({}), "10.16.0.3"),
    ] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        index.apply(&subnet);
        let named = pod("named").annotated("logical_switch", "ovn-default");
        index.apply(&named.build());
        index.apply(&pod("a").build());
        let decisions = decide_all(&mut ledger, &mut index);
        assert_eq!(addresses(&decisions), [pair("named", "10.16.0.2")]);
        index.apply(&namespace(labels));
        let decisions = decide_all(&mut ledger, &mut index);
        assert!(
            addresses(&decisions).contains(&pair("a", got)),
            "{decisions:?}"
        );
    }
    index.apply(&pod("b").build());
    assert_eq!(
        decide_all(&mut ledger, &mut index).len(),
        1,
        "nothing selects"
    );
}
