//! Gateway nodes: which sets there are, and which recorded slots count.
#![cfg(test)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "objects are written where they are used"
)]

use controller_index::{Defaults, GatewayMode, Index, Settings, Slots};
use k8s_openapi::api::core::v1::Node;
use model::{NodeName, Owner, SubnetName, VpcName};
use serde_json::{Value, json};

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// The default VPC, a join subnet, and the nodes n1 and n2.
fn index() -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: SubnetName::new("join").unwrap(),
        },
        subnet: SubnetName::new("ovn-default").unwrap(),
    });
    index.apply::<api::Vpc>(&object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": "ovn-cluster"},
        "spec": {},
    })));
    apply_join(&mut index, "");
    for (number, node) in ["n1", "n2"].into_iter().enumerate() {
        apply_node(&mut index, node, number, "True");
    }
    index
}

fn apply_join(index: &mut Index, slots: &str) {
    apply_subnet_with(
        index,
        json!({"name": "join", "annotations": {api::annotation::GATEWAY_SLOTS: slots}}),
        json!({"cidrBlock": "100.64.0.0/16"}),
    );
}

fn apply_subnet(index: &mut Index, subnet: &str, mut spec: Value) {
    spec["cidrBlock"] = json!("10.70.0.0/16");
    apply_subnet_with(index, json!({"name": subnet}), spec);
}

fn apply_subnet_with(index: &mut Index, metadata: Value, spec: Value) {
    index.apply::<api::Subnet>(&object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": metadata, "spec": spec,
    })));
}

fn apply_node(index: &mut Index, node: &str, number: usize, ready: &str) {
    index.apply::<Node>(&object(json!({
        "metadata": {
            "name": node, "uid": node, "labels": {"role": node},
            "annotations": {
                "ovn.kubernetes.io/allocated": "true",
                "ovn.kubernetes.io/ip_address": format!("100.64.0.{}", number + 2),
                "ovn.kubernetes.io/mac_address": format!("00:00:00:00:00:0{}", number + 2),
            },
        },
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    })));
}

/// The gateways of the subnet, as printed; `none` where it is centralized without any.
fn gateways(index: &Index, subnet: &str) -> Option<String> {
    let subnet = &index.inputs().subnets[&name(subnet)];
    match &subnet.gateway_mode {
        GatewayMode::Distributed => None,
        GatewayMode::Centralized(set) => Some(
            set.as_ref()
                .map_or_else(|| "none".to_owned(), ToString::to_string),
        ),
    }
}

fn faults(index: &Index, subnet: &str) -> Vec<String> {
    let acceptance = index.acceptance(&name(subnet)).unwrap();
    let faults = acceptance.faults.iter();
    faults.map(|fault| fault.why.to_string()).collect()
}

fn slots(index: &Index) -> String {
    Slots(index.inputs().gateways.clone()).to_string()
}

#[test]
fn names_and_selectors_make_one_set() {
    let mut index = index();
    let spec = |ecmp: Value| {
        json!({
            "gatewayType": "centralized", "gatewayNode": " n2 , ", "enableEcmp": ecmp,
            "gatewayNodeSelectors": [{"matchLabels": {"role": "n1"}}],
        })
    };
    apply_subnet(&mut index, "s", spec(Value::Null));
    assert_eq!(gateways(&index, "s").unwrap(), "n1,n2");
    apply_subnet(&mut index, "s", spec(json!(false)));
    assert_eq!(gateways(&index, "s").unwrap(), "n2>n1");
    assert_eq!(faults(&index, "s"), Vec::<String>::new());
    index.delete::<Node>(&object(json!({"metadata": {"name": "n1"}})));
    assert_eq!(gateways(&index, "s").unwrap(), "n2");
}

#[test]
fn b3e_a_node_that_does_not_exist_is_told_and_the_others_carry_the_traffic() {
    let mut index = index();
    let spec = json!({"gatewayType": "centralized", "gatewayNode": "n1,n9,N!"});
    apply_subnet(&mut index, "s", spec);
    assert_eq!(gateways(&index, "s").unwrap(), "n1,n9");
    let carriers = index.inputs().carriers(&name("n1,n9"));
    assert_eq!(carriers, [&NodeName::new("n1").unwrap()].into());
    let told = faults(&index, "s");
    assert!(told[0].starts_with("spec.gatewayNode is `N!`"), "{told:?}");
    assert!(
        told[1].contains("`n9`: there is no such node; create it or remove"),
        "{told:?}"
    );
    apply_node(&mut index, "n9", 7, "True");
    assert_eq!(faults(&index, "s").len(), 1);
    let distributed = json!({"gatewayType": "distributed", "gatewayNode": "n8"});
    apply_subnet(&mut index, "s", distributed);
    assert_eq!(
        (faults(&index, "s").len(), gateways(&index, "s")),
        (0, None)
    );
}

#[test]
fn b3e_clearing_type_and_nodes_at_once_leaves_no_set() {
    let mut index = index();
    let centralized = json!({"gatewayType": "centralized", "gatewayNode": "n1,n2"});
    apply_subnet(&mut index, "s", centralized.clone());
    apply_join(&mut index, "n1,n2 100.64.240.0 100.64.240.1");
    assert_eq!(slots(&index), "n1,n2 100.64.240.0 100.64.240.1");
    let set = index.inputs().gateways.keys().next().cloned();
    index.take_dirty();
    apply_subnet(&mut index, "s", json!({}));
    assert!(index.inputs().gateways.is_empty());
    let dirty = index.take_dirty();
    let owners = [Owner::Gateway(set.unwrap()), Owner::Node(name("n1"))];
    assert!(owners.iter().all(|it| dirty.contains(it)), "{dirty:?}");
    let unnamed = json!({"gatewayType": "centralized"});
    apply_subnet(&mut index, "s", unnamed);
    assert_eq!(gateways(&index, "s").unwrap(), "none");
    apply_subnet(&mut index, "s", centralized);
    assert_eq!(slots(&index), "n1,n2 100.64.240.0 100.64.240.1");
}

#[test]
fn slots_outside_of_join_or_recorded_twice_do_not_count() {
    let mut index = index();
    apply_subnet(
        &mut index,
        "s",
        json!({"gatewayType": "centralized", "gatewayNode": "n1,n2"}),
    );
    let other =
        json!({"gatewayType": "centralized", "gatewayNode": "n1", "cidrBlock": "10.71.0.0/16"});
    apply_subnet_with(&mut index, json!({"name": "t"}), other);
    apply_join(
        &mut index,
        "n1 100.64.240.1 100.64.0.1 10.0.0.1 100.64.240.9,fd00::1; n1,n2 100.64.240.1 100.64.240.2; n3 100.64.240.5",
    );
    assert_eq!(slots(&index), "n1 100.64.240.1; n1,n2 100.64.240.2");
    apply_join(&mut index, "nonsense nonsense");
    assert_eq!(slots(&index), "n1; n1,n2");
}

#[test]
fn a_node_that_is_not_ready_carries_nothing_unless_all_are() {
    let mut index = index();
    apply_subnet(
        &mut index,
        "s",
        json!({"gatewayType": "centralized", "gatewayNode": "n1,n2"}),
    );
    apply_join(&mut index, "n1,n2 100.64.240.0 100.64.240.1");
    let holders = |index: &Index| {
        let set = name("n1,n2");
        let holders = (0..2).map(|slot| index.inputs().holder_of(&set, slot).unwrap().to_string());
        holders.collect::<Vec<_>>()
    };
    assert_eq!(holders(&index), ["n1", "n2"]);
    index.take_dirty();
    apply_node(&mut index, "n2", 1, "Unknown");
    assert_eq!(holders(&index), ["n1", "n1"]);
    assert!(index.take_dirty().contains(&Owner::Node(name("n1"))));
    apply_node(&mut index, "n1", 0, "False");
    assert_eq!(holders(&index), ["n1", "n2"]);
}

/// The nodes that carry the traffic of a set.
fn carriers(index: &Index, set: &str) -> Vec<String> {
    let set = name(set);
    let carriers = index.inputs().carriers(&set).into_iter();
    carriers.map(ToString::to_string).collect()
}

#[test]
fn b3c_a_node_that_does_not_answer_carries_nothing_until_it_does() {
    let mut index = index();
    let spec = json!({"gatewayType": "centralized", "gatewayNode": "n1,n2"});
    apply_subnet(&mut index, "s", spec);
    index.take_dirty();
    index.set_silent(&[name("n1")].into());
    assert_eq!(carriers(&index, "n1,n2"), ["n2"]);
    assert!(index.is_silent(&name("n1")) && !index.is_silent(&name("n2")));
    let dirty = index.take_dirty();
    assert!(dirty.contains(&Owner::Gateway(name("n1,n2"))), "{dirty:?}");
    assert!(dirty.contains(&Owner::Node(name("n2"))), "{dirty:?}");
    // who edits the node says nothing of that
    apply_node(&mut index, "n1", 5, "True");
    assert_eq!(carriers(&index, "n1,n2"), ["n2"]);
    apply_node(&mut index, "n1", 5, "False");
    assert!(!index.is_silent(&name("n1")), "kubelet says more");
    apply_node(&mut index, "n1", 0, "True");
    index.set_silent(&[].into());
    assert_eq!(carriers(&index, "n1,n2"), ["n1", "n2"]);
}

#[test]
fn b3c_a_cordoned_node_carries_traffic_as_before() {
    let mut index = index();
    let spec = json!({"gatewayType": "centralized", "gatewayNode": "n1,n2"});
    apply_subnet(&mut index, "s", spec);
    index.apply::<Node>(&object(json!({
        "metadata": {
            "name": "n1", "uid": "n1",
            "annotations": {
                "ovn.kubernetes.io/allocated": "true",
                "ovn.kubernetes.io/ip_address": "100.64.0.2",
                "ovn.kubernetes.io/mac_address": "00:00:00:00:00:02",
            },
        },
        "spec": {"unschedulable": true, "taints": [
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
        ]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })));
    assert_eq!(carriers(&index, "n1,n2"), ["n1", "n2"]);
}
