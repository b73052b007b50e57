//! The laws of the index where pods have a past: records of former pods, of Kube-OVN, of places in
//! StatefulSets, nodes with names like theirs, and time that passes.
#![cfg(test)]

use std::collections::BTreeSet;

use controller_index::{Claimant, Defaults, Index, Settings};
use controller_plan::plan;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use model::{Owner, SubnetName, VpcName};
use proptest::prelude::*;
use serde_json::{Value, json};

#[expect(clippy::large_enum_variant, reason = "a few dozen values in a test")]
#[derive(Debug, Clone)]
enum Object {
    Subnet(api::Subnet),
    Ip(api::Ip),
    Node(Node),
    Pod(Pod),
    Set(StatefulSet),
    Vip(api::Vip),
    Pool(api::IpPool),
}

#[derive(Debug, Clone)]
enum Event {
    Apply(Object),
    Delete(Object),
    /// So many seconds after the epoch.
    Tick(i64),
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// One that knows the default VPC and its subnets.
fn index() -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: SubnetName::new("join").unwrap(),
        },
        subnet: SubnetName::new("s0").unwrap(),
    });
    index.apply::<api::Vpc>(&object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": "ovn-cluster"}, "spec": {},
    })));
    index.apply(&subnet("join", "100.64.0.0/16", ""));
    index.apply(&subnet("s0", "10.1.0.0/16", ""));
    index
}

fn subnet(name: &str, cidr: &str, router_mac: &str) -> api::Subnet {
    object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet",
        "metadata": {
            "name": name, "annotations": {"ovn.kubernetes.io/router-port-mac": router_mac},
        },
        "spec": {"cidrBlock": cidr},
    }))
}

fn any_subnet() -> impl Strategy<Value = Object> {
    let mac = prop_oneof![
        Just("00:00:00:00:0A:01"),
        Just("00:00:00:00:0A:02"),
        Just("nonsense"),
        Just("")
    ];
    mac.prop_map(|mac| Object::Subnet(subnet("s1", "10.2.0.0/16", mac)))
}

fn any_node() -> impl Strategy<Value = Object> {
    let name = prop_oneof![Just("n1"), Just("0.d"), Just("n2")];
    let ip = prop_oneof![3 => Just("100.64.0.2"), 1 => Just("nonsense"), 1 => Just("")];
    let mac = prop_oneof![3 => Just("00:00:00:00:00:02"), 1 => Just("nonsense"), 1 => Just("")];
    let annotations = (any::<bool>(), ip, mac);
    let strategy = (name, annotations, "192\\.0\\.2\\.[12]");
    strategy.prop_map(|(name, (joined, ip, mac), internal)| {
        Object::Node(object(json!({
            "metadata": {"name": name, "uid": "u", "annotations": {
                "ovn.kubernetes.io/allocated": joined.to_string(),
                "ovn.kubernetes.io/ip_address": ip,
                "ovn.kubernetes.io/mac_address": mac,
                "ovn.kubernetes.io/chassis": internal,
            }},
            "status": {"addresses": [{"type": "InternalIP", "address": internal}]},
        })))
    })
}

/// `node-0` in `d` has the name of node `0.d`, and is the first of the StatefulSet `node`.
fn any_pod() -> impl Strategy<Value = Object> {
    let phase = prop_oneof![Just("Pending"), Just("Running"), Just("Failed")];
    let ends = prop_oneof![Just(None), (0_i64..40).prop_map(Some)];
    let name = prop_oneof![Just("node-0"), Just("node-1"), Just("p")];
    let owner = prop_oneof![
        Just(json!([])),
        Just(json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "node", "uid": "u"}])),
    ];
    let mark = prop_oneof![Just("u1"), Just("u2"), Just("")];
    (name, ("u[12]", mark), phase, ends, any::<bool>(), owner).prop_map(
        |(name, (uid, mark), phase, ends, allocated, owner)| {
            let end = ends.map(|it| Timestamp::from_second(it).unwrap().to_string());
            Object::Pod(object(json!({
                "metadata": {
                    "name": name, "namespace": "d", "uid": uid, "ownerReferences": owner,
                    "deletionTimestamp": end, "deletionGracePeriodSeconds": 5,
                    "annotations": {
                        "ovn.kubernetes.io/allocated": allocated.to_string(),
                        "ovn.kubernetes.io/logical_switch": "s0",
                        "ovn.kubernetes.io/ip_address": "10.1.0.9",
                        "ovn.kubernetes.io/mac_address": "00:00:00:00:00:09",
                        "ovn.kubernetes.io/port_security": "true",
                        "ovn.kubernetes.io/claimant-uid": mark,
                        "ovn.kubernetes.io/aaps": if uid == "u1" { "v1" } else { "" },
                        "ovn.kubernetes.io/port_vips": if allocated { "10.1.0.20" } else { "" },
                    },
                },
                "spec": {"nodeName": "n1", "containers": [], "restartPolicy": "Never"},
                "status": {"phase": phase},
            })))
        },
    )
}

fn any_ip() -> impl Strategy<Value = Object> {
    let pod = prop_oneof![Just("node-0"), Just("node-1"), Just("p")];
    let claimant = prop_oneof![
        Just(json!({})),
        Just(json!({"ovn.kubernetes.io/claimant-uid": "u1"})),
        Just(json!({"ovn.kubernetes.io/claimant-uid": "u2"})),
    ];
    let kind = prop_oneof![Just(""), Just("StatefulSet")];
    (pod, claimant, kind, "10\\.1\\.0\\.[89]").prop_map(|(pod, annotations, kind, address)| {
        Object::Ip(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "IP",
            "metadata": {"name": format!("{pod}.d"), "annotations": annotations},
            "spec": {"podName": pod, "namespace": "d", "subnet": "s0", "ipAddress": address,
                     "podType": kind, "macAddress": "00:00:00:00:00:09"},
        })))
    })
}

/// A record of a node, or of the one that had its name before.
fn any_ip_of_node() -> impl Strategy<Value = Object> {
    let name = prop_oneof![Just("n1"), Just("0.d"), Just("n2")];
    let uid = prop_oneof![3 => Just("u"), 1 => Just("former")];
    (name, uid).prop_map(|(name, uid)| {
        Object::Ip(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "IP",
            "metadata": {
                "name": format!("node-{name}"),
                "annotations": {"ovn.kubernetes.io/claimant-uid": uid},
            },
            "spec": {"podName": name, "subnet": "join", "ipAddress": "100.64.0.2",
                     "macAddress": "00:00:00:00:00:02"},
        })))
    })
}

fn any_set() -> impl Strategy<Value = Object> {
    (0_i32..3, any::<bool>()).prop_map(|(replicas, ends)| {
        let end = ends.then_some("2026-01-01T00:00:00Z");
        Object::Set(object(json!({
            "metadata": {"name": "node", "namespace": "d", "uid": "u", "deletionTimestamp": end},
            "spec": {"replicas": replicas, "selector": {}, "serviceName": "", "template": {}},
        })))
    })
}

fn any_vip() -> impl Strategy<Value = Object> {
    let namespace = prop_oneof![4 => Just("d"), 1 => Just("")];
    let subnet = prop_oneof![4 => Just("s0"), 1 => Just("s1"), 1 => Just("")];
    ("v[12]", namespace, subnet).prop_map(|(name, namespace, subnet)| {
        Object::Vip(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Vip", "metadata": {"name": name, "uid": "u"},
            "spec": {"namespace": namespace, "subnet": subnet},
        })))
    })
}

fn any_ip_of_vip() -> impl Strategy<Value = Object> {
    ("v[12]", "10\\.1\\.0\\.2[01]").prop_map(|(name, address)| {
        Object::Ip(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "IP",
            "metadata": {
                "name": format!("vip-{name}"),
                "annotations": {"ovn.kubernetes.io/claimant-uid": "u"},
            },
            "spec": {"podName": name, "subnet": "s0", "ipAddress": address, "podType": "Vip",
                     "macAddress": "00:00:00:00:00:20"},
        })))
    })
}

fn any_pool() -> impl Strategy<Value = Object> {
    let ips = prop_oneof![3 => Just("10.1.0.8..10.1.0.9"), 1 => Just("nonsense")];
    ("i[12]", "s[01]", ips, "[de]").prop_map(|(name, subnet, ips, namespace)| {
        Object::Pool(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "IPPool", "metadata": {"name": name},
            "spec": {"subnet": subnet, "ips": [ips], "namespaces": [namespace]},
        })))
    })
}

/// What the index answers beside its inputs.
fn said(index: &Index) -> Vec<String> {
    let subnets = ["s0", "s1"].map(|it| SubnetName::new(it).unwrap());
    let pools = subnets.iter().map(|subnet| {
        let all: Vec<_> = index.pools_of(subnet).map(|(name, _)| name).collect();
        format!("{subnet} {all:?} {:?}", index.pool_of(subnet, "d"))
    });
    let places = index
        .records()
        .iter()
        .filter_map(|(_, it)| it.place.as_ref());
    let kept = places.map(|it| format!("{it:?} {}", index.keeps(it)));
    pools.chain(kept).collect()
}

fn any_event() -> impl Strategy<Value = Event> {
    let object = prop_oneof![
        1 => any_subnet(),
        2 => any_node(),
        4 => any_pod(),
        3 => any_ip(),
        2 => any_ip_of_node(),
        1 => any_set(),
        2 => any_vip(),
        2 => any_ip_of_vip(),
        1 => any_pool(),
    ];
    prop_oneof![
        6 => object.clone().prop_map(Event::Apply),
        2 => object.prop_map(Event::Delete),
        1 => (0_i64..60).prop_map(Event::Tick),
    ]
}

fn perform(index: &mut Index, event: &Event) {
    match event {
        Event::Apply(Object::Subnet(object)) => index.apply(object),
        Event::Apply(Object::Ip(object)) => index.apply(object),
        Event::Apply(Object::Node(object)) => index.apply(object),
        Event::Apply(Object::Pod(object)) => index.apply(object),
        Event::Apply(Object::Set(object)) => index.apply(object),
        Event::Apply(Object::Vip(object)) => index.apply(object),
        Event::Apply(Object::Pool(object)) => index.apply(object),
        Event::Delete(Object::Subnet(object)) => index.delete(object),
        Event::Delete(Object::Ip(object)) => index.delete(object),
        Event::Delete(Object::Node(object)) => index.delete(object),
        Event::Delete(Object::Pod(object)) => index.delete(object),
        Event::Delete(Object::Set(object)) => index.delete(object),
        Event::Delete(Object::Vip(object)) => index.delete(object),
        Event::Delete(Object::Pool(object)) => index.delete(object),
        Event::Tick(seconds) => index.tick(Timestamp::from_second(*seconds).unwrap()),
    }
}

fn name(object: &Object) -> (&'static str, Option<&String>) {
    match object {
        Object::Subnet(it) => ("Subnet", it.metadata.name.as_ref()),
        Object::Ip(it) => ("IP", it.metadata.name.as_ref()),
        Object::Node(it) => ("Node", it.metadata.name.as_ref()),
        Object::Pod(it) => ("Pod", it.metadata.name.as_ref()),
        Object::Set(it) => ("StatefulSet", it.metadata.name.as_ref()),
        Object::Vip(it) => ("Vip", it.metadata.name.as_ref()),
        Object::Pool(it) => ("IPPool", it.metadata.name.as_ref()),
    }
}

/// The latest time, and the objects that are there after `events`, as events.
fn remaining(events: &[Event]) -> Vec<Event> {
    let mut objects: Vec<Object> = Vec::new();
    let mut latest = 0;
    for event in events {
        match event {
            Event::Tick(seconds) => latest = latest.max(*seconds),
            Event::Apply(object) | Event::Delete(object) => {
                objects.retain(|present| name(present) != name(object));
                if let Event::Apply(object) = event {
                    objects.push(object.clone());
                }
            }
        }
    }
    let objects = objects.into_iter().map(Event::Apply);
    [Event::Tick(latest)].into_iter().chain(objects).collect()
}

fn performed<'a>(events: impl IntoIterator<Item = &'a Event>) -> Index {
    let mut index = index();
    for event in events {
        perform(&mut index, event);
    }
    index
}

proptest! {
    #[test]
    fn what_is_derived_depends_on_what_is_there_and_not_on_what_was_or_in_which_order(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let rest = remaining(&events);
        let stepwise = performed(&events);
        let (anew, backwards) = (performed(&rest), performed(rest.iter().rev()));
        prop_assert_eq!(stepwise.inputs(), anew.inputs());
        prop_assert_eq!(stepwise.inputs(), backwards.inputs());
        prop_assert_eq!(said(&stepwise), said(&anew));
        prop_assert_eq!(said(&stepwise), said(&backwards));
        prop_assert_eq!(stepwise.rejected(), anew.rejected());
        prop_assert_eq!(stepwise.chassis_of_nodes(), anew.chassis_of_nodes());
    }

    #[test]
    fn whoever_is_planned_differently_is_dirty(
        events in proptest::collection::vec(any_event(), 1..40),
    ) {
        let mut index = index();
        for event in &events {
            index.take_dirty();
            let before = index.inputs().clone();
            perform(&mut index, event);
            let dirty = index.take_dirty();
            let owners: BTreeSet<Owner> = before.owners().chain(index.inputs().owners()).collect();
            for owner in owners {
                let differs = plan(&before, &owner) != plan(index.inputs(), &owner);
                prop_assert!(!differs || dirty.contains(&owner), "{} after {:?}", owner, event);
            }
        }
    }

    #[test]
    fn whose_port_comes_or_goes_is_decided_about(
        events in proptest::collection::vec(any_event(), 1..40),
    ) {
        let mut index = index();
        for event in &events {
            index.take_claims();
            let before = index.inputs().ports.clone();
            perform(&mut index, event);
            let claims = index.take_claims();
            let after = &index.inputs().ports;
            for key in before.keys().chain(after.keys()) {
                let is_same = before.contains_key(key) == after.contains_key(key);
                let claimant = Claimant::Pod(key.pod.clone());
                prop_assert!(is_same || claims.contains(&claimant), "{} after {:?}", key, event);
            }
        }
    }

    #[test]
    fn a_node_with_a_record_of_its_own_has_its_port_whatever_its_annotations_say(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let index = performed(&events);
        for (name, node) in index.nodes().iter() {
            let claimant = Claimant::Node(name.clone());
            let is_recorded = index.record_of(&claimant, &node.uid).is_some();
            let port = &index.inputs().nodes[name].join;
            prop_assert!(!is_recorded || port.is_some(), "{}", name);
        }
    }

    #[test]
    fn deleting_every_object_leaves_no_port_node_or_mac(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let mut index = performed(&events);
        for event in remaining(&events) {
            if let Event::Apply(object) = event {
                perform(&mut index, &Event::Delete(object));
            }
        }
        let untouched = self::index();
        prop_assert_eq!(index.inputs().nodes.len() + index.inputs().ports.len(), 0);
        prop_assert!(index.inputs().router_macs.is_empty());
        prop_assert!(index.inputs().reserved.is_empty());
        prop_assert_eq!(&index.inputs().subnets, &untouched.inputs().subnets);
        prop_assert!(index.rejected().is_empty());
    }
}
