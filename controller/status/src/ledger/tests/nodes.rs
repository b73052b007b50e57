//! Nodes whose annotations somebody changed.

use super::*;

fn node(name: &str, annotations: &[(&str, &str)]) -> core::Node {
    let annotations: BTreeMap<_, _> = annotations
        .iter()
        .map(|(key, value)| (format!("ovn.kubernetes.io/{key}"), *value))
        .collect();
    let meta = json!({"name": name, "uid": format!("uid-{name}"), "annotations": annotations});
    serde_json::from_value(json!({"metadata": meta})).unwrap()
}

const MAC: &str = "00:00:00:00:00:09";

fn joined(name: &str, address: &str) -> core::Node {
    let port = format!("node-{name}");
    let all = [
        ("port_name", port.as_str()),
        ("allocated", "true"),
        ("ip_address", address),
        ("mac_address", MAC),
        ("cidr", "100.64.0.0/16"),
        ("gateway", "100.64.0.1"),
    ];
    node(name, &all)
}

fn record_of(name: &str, address: &str) -> api::Ip {
    let mut object = record(name, &format!("uid-{name}"), address);
    object.metadata.name = Some(format!("node-{name}"));
    object.spec.namespace.clear();
    object.spec.subnet = "join".to_owned();
    object.metadata.labels = serde_json::from_value(labels("join")).unwrap();
    object
}

/// What is broken, and how.
const BROKEN: [&[(&str, &str)]; 7] = [
    &[],
    &[("allocated", "true")],
    &[
        ("allocated", "true"),
        ("ip_address", "nonsense"),
        ("mac_address", MAC),
    ],
    &[
        ("allocated", "true"),
        ("ip_address", "100.64.0.2"),
        ("mac_address", "x"),
    ],
    &[("allocated", "true"), ("ip_address", "100.64.0.2")],
    &[("allocated", "false"), ("ip_address", "nonsense")],
    &[("allocated", "maybe"), ("mac_address", "x")],
];

#[test]
fn annotations_of_a_node_that_somebody_broke_are_written_again_and_its_port_stays() {
    for broken in BROKEN {
        // also where the controller starts after it happened
        for knows in [true, false] {
            let (mut ledger, mut index) = (Ledger::default(), cluster());
            index.apply(&record_of("n1", "100.64.0.2"));
            if knows {
                index.apply(&joined("n1", "100.64.0.2"));
                assert_eq!(decide_all(&mut ledger, &mut index), []);
            }
            index.apply(&node("n1", broken));
            index.apply(&node("n2", &[]));
            let port = index.inputs().nodes[&NodeName::new("n1").unwrap()]
                .join
                .clone();
            let port = port.unwrap();
            assert_eq!(port.addresses.to_string(), "100.64.0.2", "{broken:?}");
            let mut decisions = decide_all(&mut ledger, &mut index);
            decisions.sort_by_key(|it| matches!(it, Decision::Record(_)));
            let [Decision::Annotate(again), Decision::Record(new)] = decisions.as_slice() else {
                panic!("{broken:?}: {decisions:?}")
            };
            assert_eq!(again.claimant.to_string(), "node n1");
            assert_eq!(again.addresses.to_string(), "100.64.0.2");
            assert_eq!(again.mac.to_string(), MAC);
            assert_eq!(new.addresses.to_string(), "100.64.0.3");
        }
    }
}

#[test]
fn a_node_that_asks_for_nonsense_waits_and_is_told_until_it_is_mended() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&node("n1", &[("ip_address", "nonsense")]));
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    let [(object, rejection)] = index.take_rejections().try_into().unwrap();
    assert_eq!(object.to_string(), "Node n1");
    let told = rejection.why.to_string();
    assert!(
        told.contains("ip_address") && told.contains("nonsense"),
        "{told}"
    );
    index.apply(&node("n1", &[("ip_address", "100.64.0.7")]));
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(
        addresses(&decisions),
        [("node n1".to_owned(), "100.64.0.7".to_owned())]
    );
    assert!(index.rejected().is_empty());
}

#[test]
fn the_record_of_a_former_node_of_the_name_is_not_another_machines() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let mut former = record_of("n1", "100.64.0.2");
    let annotations = former.metadata.annotations.as_mut().unwrap();
    annotations.insert(
        api::annotation::CLAIMANT_UID.to_owned(),
        "former".to_owned(),
    );
    index.apply(&former);
    index.apply(&node("n1", &[("allocated", "true"), ("mac_address", "x")]));
    assert_eq!(
        index.inputs().nodes[&NodeName::new("n1").unwrap()].join,
        None
    );
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(
        matches!(decisions.as_slice(), [Decision::Forget { .. }]),
        "{decisions:?}"
    );
}
