//! The laws of the index: what it derives step by step equals what it derives from nothing.
#![cfg(test)]

use std::collections::BTreeSet;

use controller_index::{Defaults, Index, Settings};
use controller_plan::plan;
use k8s_openapi::api::core::v1::{Node, Pod};
use model::{Owner, SubnetName, VpcName};
use proptest::prelude::*;
use serde_json::json;

#[expect(clippy::large_enum_variant, reason = "a few dozen values in a test")]
#[derive(Debug, Clone)]
enum Object {
    Vpc(api::Vpc),
    Subnet(api::Subnet),
    Ip(api::Ip),
    Node(Node),
    Pod(Pod),
}

#[derive(Debug, Clone)]
enum Event {
    Apply(Object),
    Delete(Object),
}

fn index() -> Index {
    Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: SubnetName::new("join").unwrap(),
        },
        subnet: SubnetName::new("s0").unwrap(),
    })
}

fn object<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn any_vpc() -> impl Strategy<Value = Object> {
    prop_oneof![Just("ovn-cluster"), Just("tenant")].prop_map(|name| {
        Object::Vpc(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": name}, "spec": {},
        })))
    })
}

fn any_subnet() -> impl Strategy<Value = Object> {
    let name = prop_oneof![Just("join"), Just("s0"), Just("s1")];
    let cidr = prop_oneof![
        Just("10.1.0.0/16"),
        Just("10.2.0.0/16,fd00::/64"),
        Just("nonsense")
    ];
    let kind = prop_oneof![Just("distributed"), Just("centralized")];
    let vpc = prop_oneof![Just(""), Just("tenant")];
    (name, cidr, kind, vpc, any::<bool>()).prop_map(|(name, cidr, kind, vpc, underlay)| {
        Object::Subnet(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": name},
            "spec": {"cidrBlock": cidr, "gatewayType": kind, "vpc": vpc, "underlayGateway": underlay},
        })))
    })
}

fn any_node() -> impl Strategy<Value = Object> {
    ("n[12]", any::<bool>(), "192\\.0\\.2\\.[12]").prop_map(|(name, joined, internal)| {
        let annotations = json!({
            "ovn.kubernetes.io/allocated": joined.to_string(),
            "ovn.kubernetes.io/ip_address": "100.64.0.2",
            "ovn.kubernetes.io/mac_address": "00:00:00:00:00:02",
        });
        Object::Node(object(json!({
            "metadata": {"name": name, "uid": "u", "annotations": annotations},
            "status": {"addresses": [{"type": "InternalIP", "address": internal}]},
        })))
    })
}

fn any_pod() -> impl Strategy<Value = Object> {
    let phase = prop_oneof![Just("Pending"), Just("Running"), Just("Failed")];
    ("p[12]", "s[01]", "n[12]", phase, any::<bool>()).prop_map(
        |(name, subnet, node, phase, allocated)| {
            let annotations = json!({
                "ovn.kubernetes.io/allocated": allocated.to_string(),
                "ovn.kubernetes.io/logical_switch": subnet,
                "ovn.kubernetes.io/ip_address": "10.1.0.9",
                "ovn.kubernetes.io/mac_address": "00:00:00:00:00:09",
            });
            Object::Pod(object(json!({
                "metadata": {"name": name, "namespace": "d", "uid": "u", "annotations": annotations},
                "spec": {"nodeName": node, "containers": []},
                "status": {"phase": phase},
            })))
        },
    )
}

fn any_ip() -> impl Strategy<Value = Object> {
    "p[12]".prop_map(|pod| {
        Object::Ip(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "IP", "metadata": {"name": format!("{pod}.d")},
            "spec": {"podName": pod, "namespace": "d", "subnet": "s0", "ipAddress": "10.1.0.9",
                     "macAddress": "00:00:00:00:00:09"},
        })))
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let object = prop_oneof![any_vpc(), any_subnet(), any_node(), any_pod(), any_ip()];
    (object, proptest::bool::weighted(0.75)).prop_map(|(object, applied)| {
        if applied {
            Event::Apply(object)
        } else {
            Event::Delete(object)
        }
    })
}

fn perform(index: &mut Index, event: &Event) {
    match event {
        Event::Apply(Object::Vpc(object)) => index.apply(object),
        Event::Apply(Object::Subnet(object)) => index.apply(object),
        Event::Apply(Object::Ip(object)) => index.apply(object),
        Event::Apply(Object::Node(object)) => index.apply(object),
        Event::Apply(Object::Pod(object)) => index.apply(object),
        Event::Delete(Object::Vpc(object)) => index.delete(object),
        Event::Delete(Object::Subnet(object)) => index.delete(object),
        Event::Delete(Object::Ip(object)) => index.delete(object),
        Event::Delete(Object::Node(object)) => index.delete(object),
        Event::Delete(Object::Pod(object)) => index.delete(object),
    }
}

fn same(a: &Object, b: &Object) -> bool {
    match (a, b) {
        (Object::Vpc(a), Object::Vpc(b)) => a.metadata.name == b.metadata.name,
        (Object::Subnet(a), Object::Subnet(b)) => a.metadata.name == b.metadata.name,
        (Object::Ip(a), Object::Ip(b)) => a.metadata.name == b.metadata.name,
        (Object::Node(a), Object::Node(b)) => a.metadata.name == b.metadata.name,
        (Object::Pod(a), Object::Pod(b)) => a.metadata.name == b.metadata.name,
        _ => false,
    }
}

/// The objects that exist after `events`.
fn remaining(events: &[Event]) -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    for event in events {
        let (Event::Apply(object) | Event::Delete(object)) = event;
        objects.retain(|present| !same(present, object));
        if let Event::Apply(object) = event {
            objects.push(object.clone());
        }
    }
    objects
}

macro_rules! only {
    ($objects:expr, $kind:path) => {
        $objects
            .iter()
            .filter_map(|object| {
                if let $kind(inner) = object {
                    Some(inner.clone())
                } else {
                    None
                }
            })
            .collect::<Vec<_>>()
    };
}

fn reset_to(index: &mut Index, objects: &[Object]) {
    index.reset(&only!(objects, Object::Pod));
    index.reset(&only!(objects, Object::Node));
    index.reset(&only!(objects, Object::Ip));
    index.reset(&only!(objects, Object::Subnet));
    index.reset(&only!(objects, Object::Vpc));
}

proptest! {
    #[test]
    fn any_order_of_events_ends_in_the_same_inputs(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let (mut stepwise, mut anew) = (index(), index());
        for event in &events {
            perform(&mut stepwise, event);
        }
        reset_to(&mut anew, &remaining(&events));
        prop_assert_eq!(stepwise.inputs(), anew.inputs());
        prop_assert_eq!(stepwise.rejected(), anew.rejected());
    }

    #[test]
    fn a_reset_after_missed_events_is_as_if_none_was_missed(
        seen in proptest::collection::vec(any_event(), 0..20),
        missed in proptest::collection::vec(any_event(), 0..20),
    ) {
        let (mut behind, mut anew) = (index(), index());
        for event in &seen {
            perform(&mut behind, event);
        }
        let objects = remaining(&[seen, missed].concat());
        reset_to(&mut behind, &objects);
        reset_to(&mut anew, &objects);
        prop_assert_eq!(behind.inputs(), anew.inputs());
        prop_assert_eq!(behind.rejected(), anew.rejected());
    }

    #[test]
    fn whoever_is_planned_differently_is_dirty(
        events in proptest::collection::vec(any_event(), 1..40),
    ) {
        let mut index = index();
        for event in &events {
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
    fn deleting_every_object_leaves_no_input(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let mut index = index();
        for event in &events {
            perform(&mut index, event);
        }
        for object in remaining(&events) {
            perform(&mut index, &Event::Delete(object));
        }
        prop_assert_eq!(index.inputs().owners().count(), 0);
        prop_assert!(index.rejected().is_empty());
    }
}
