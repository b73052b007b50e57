//! The laws of the index: what it derives step by step equals what it derives from nothing.
#![cfg(test)]

use std::collections::BTreeSet;

use controller_index::{Accepted, Defaults, Index, Provision, Settings};
use controller_plan::plan;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use model::{Owner, SubnetName, VpcName};
use proptest::prelude::*;
use serde_json::{Value, json};

#[expect(clippy::large_enum_variant, reason = "a few dozen values in a test")]
#[derive(Debug, Clone)]
enum Object {
    Vpc(api::Vpc),
    Subnet(api::Subnet),
    Ip(api::Ip),
    Node(Node),
    Pod(Pod),
    Service(Service),
    Slice(EndpointSlice),
    Namespace(Namespace),
}

#[derive(Debug, Clone)]
enum Event {
    Apply(Object),
    Delete(Object),
}

/// What there is to say of subnets and namespaces.
fn said(index: &Index) -> Vec<String> {
    let subnets = index.subnets().iter();
    let faults = subnets.map(|(name, _)| format!("{name} {:?}", index.acceptance(name)));
    let bound = ["d", "t", "x"].map(|it| format!("{it} {}", index.subnet_of_namespace(it)));
    let told = ["d", "t"].map(|it| format!("{it} {:?}", index.binding_of(it)));
    let vpcs = index.vpcs().iter();
    let of_vpcs = vpcs.map(|(name, _)| format!("{name} {:?}", index.faults_of_vpc(name)));
    let of_vpcs: Vec<String> = of_vpcs.collect();
    faults.chain(bound).chain(told).chain(of_vpcs).collect()
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

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn any_vpc() -> impl Strategy<Value = Object> {
    let name = prop_oneof![Just("ovn-cluster"), Just("tenant"), Just("other")];
    let namespaces = proptest::collection::vec("[dt]", 0..2);
    let default = prop_oneof![Just(""), Just("s1"), Just("A_b")];
    (name, namespaces, default, any_routes(), any_peerings()).prop_map(
        |(name, namespaces, default, (routes, policies), peerings)| {
            Object::Vpc(object(json!({
                "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": name},
                "spec": {
                    "namespaces": namespaces, "staticRoutes": routes, "policyRoutes": policies,
                    "vpcPeerings": peerings, "defaultSubnet": default,
                },
            })))
        },
    )
}

fn any_routes() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
    let policy = prop_oneof![Just("policyDst"), Just("policySrc")];
    let cidr = prop_oneof![Just("0.0.0.0/0"), Just("10.1.0.5"), Just("nonsense")];
    let nexthop = prop_oneof![Just("10.1.0.9"), Just("169.254.0.2"), Just("fd00::9")];
    let route = (policy, cidr, nexthop).prop_map(
        |(policy, cidr, nexthop)| json!({"policy": policy, "cidr": cidr, "nextHopIP": nexthop}),
    );
    let matches = prop_oneof![
        Just("ip4"),
        Just("ip6"),
        Just("ip4.dst == 10.1.0.5"),
        Just("(ip4"),
        Just("ipv4")
    ];
    let action = prop_oneof![Just("drop"), Just("reroute")];
    let policy = (0_i64..4, matches, action).prop_map(|(priority, matches, action)| {
        json!({"priority": priority * 10 + 2, "match": matches, "action": action,
               "nextHopIP": "10.1.0.9"})
    });
    (
        proptest::collection::vec(route, 0..3),
        proptest::collection::vec(policy, 0..3),
    )
}

fn any_peerings() -> impl Strategy<Value = Vec<Value>> {
    let remote = prop_oneof![Just("ovn-cluster"), Just("tenant"), Just("other")];
    let address = prop_oneof![
        Just("169.254.0.1/30"),
        Just("169.254.0.2/30"),
        Just("10.1.0.1/24"),
    ];
    let peering = (remote, address)
        .prop_map(|(remote, address)| json!({"remoteVpc": remote, "localConnectIP": address}));
    proptest::collection::vec(peering, 0..3)
}

fn any_namespace() -> impl Strategy<Value = Object> {
    ("[dt]", "[ab]").prop_map(|(name, team)| {
        Object::Namespace(object(json!({
            "metadata": {"name": name, "uid": "u", "labels": {"team": team}},
        })))
    })
}

fn any_subnet() -> impl Strategy<Value = Object> {
    let name = prop_oneof![Just("join"), Just("s0"), Just("s1")];
    let cidr = prop_oneof![
        Just("10.1.0.0/16"),
        Just("10.2.0.0/16,fd00::/64"),
        Just("10.1.0.0/31"),
        Just("nonsense")
    ];
    let kind = prop_oneof![Just("distributed"), Just("centralized")];
    let vpc = prop_oneof![
        3 => Just(""),
        2 => Just("tenant"),
        1 => Just("nowhere"),
        1 => Just("Tenant-A")
    ];
    let provider = prop_oneof![4 => Just(""), 1 => Just("macvlan.d")];
    let namespaces = (proptest::collection::vec("[dt]", 0..2), any::<bool>());
    let created = "2026-01-01T00:00:0[0-2]Z";
    let accepted = prop_oneof![
        3 => Just(json!({})),
        1 => Just(json!({api::annotation::ACCEPTED: "ovn-cluster 10.1.0.0/16 10.1.0.1"})),
        1 => Just(json!({api::annotation::ACCEPTED: "tenant 10.1.0.0/16 10.1.0.1 ovn u"})),
        1 => Just(json!({api::annotation::ACCEPTED: "tenant 10.1.0.0/16 10.1.0.1 ovn other"})),
        1 => Just(json!({api::annotation::GATEWAY_SLOTS:
            "n1,n2 10.1.255.1 10.1.255.2; n2>n1 10.1.255.2; n1 10.2.255.1,fd00::f1"})),
    ];
    let gateways = prop_oneof![Just(""), Just("n1"), Just("n2, n1"), Just("n1,n9,N!")];
    let gateways = (gateways, any::<bool>(), any::<bool>());
    let gateway = prop_oneof![3 => Just(""), 1 => Just("10.1.0.9")];
    let networks = (cidr, gateway, vpc, provider);
    let spec = (networks, kind, any::<bool>(), namespaces, gateways).prop_map(
        |(
            (cidr, gateway, vpc, provider),
            kind,
            underlay,
            (namespaces, selecting),
            (nodes, ecmp, labelled),
        )| {
            let nodes_by = labelled.then(|| json!({"matchLabels": {"gateway": "true"}}));
            let selectors = selecting.then(|| json!({"matchLabels": {"team": "a"}}));
            json!({
                "gatewayNode": nodes, "enableEcmp": ecmp,
                "gatewayNodeSelectors": nodes_by.into_iter().collect::<Vec<_>>(),
                "cidrBlock": cidr, "gateway": gateway, "gatewayType": kind, "vpc": vpc, "provider": provider,
                "underlayGateway": underlay,
                "namespaces": namespaces, "default": selecting,
                "namespaceSelectors": selectors.into_iter().collect::<Vec<_>>(),
            })
        },
    );
    (name, spec, created, accepted).prop_map(|(name, spec, created, accepted)| {
        Object::Subnet(object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Subnet",
            "metadata": {
                "name": name, "uid": "u", "creationTimestamp": created, "annotations": accepted,
            },
            "spec": spec,
        })))
    })
}

fn any_node() -> impl Strategy<Value = Object> {
    let state = (any::<bool>(), any::<bool>(), any::<bool>());
    let internal = "192\\.0\\.2\\.[12]";
    ("n[12]|n1\\.d", state, internal).prop_map(|(name, (joined, ready, gateway), internal)| {
        let annotations = json!({
            "ovn.kubernetes.io/allocated": joined.to_string(),
            "ovn.kubernetes.io/ip_address": "100.64.0.2",
            "ovn.kubernetes.io/mac_address": "00:00:00:00:00:02",
        });
        Object::Node(object(json!({
            "metadata": {"name": name, "uid": "u", "annotations": annotations,
                         "labels": {"gateway": gateway.to_string()}},
            "status": {
                "addresses": [{"type": "InternalIP", "address": internal}],
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            },
        })))
    })
}

fn any_pod() -> impl Strategy<Value = Object> {
    let phase = prop_oneof![Just("Pending"), Just("Running"), Just("Failed")];
    ("p[12]|node-n1", "s[01]", "n[12]", phase, any::<bool>()).prop_map(
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

fn any_service() -> impl Strategy<Value = Object> {
    let addresses = prop_oneof![
        Just(json!(["10.96.0.1"])),
        Just(json!(["10.96.0.2", "fd00:96::2"])),
        Just(json!(["None"])),
        Just(json!(["nonsense"])),
        Just(json!(null)),
    ];
    let protocol = prop_oneof![Just("TCP"), Just("UDP"), Just("SCTP")];
    let affinity = prop_oneof![Just("None"), Just("ClientIP")];
    ("v[12]", addresses, protocol, affinity).prop_map(|(name, addresses, protocol, affinity)| {
        Object::Service(object(json!({
            "metadata": {"name": name, "namespace": "d"},
            "spec": {"clusterIPs": addresses, "sessionAffinity": affinity,
                     "ports": [{"name": "a", "port": 80, "protocol": protocol}]},
        })))
    })
}

fn any_slice() -> impl Strategy<Value = Object> {
    let service = prop_oneof![Just("v1"), Just("v2"), Just("")];
    let address = prop_oneof![Just("10.1.0.9"), Just("fd00::9"), Just("nonsense")];
    let ready = prop_oneof![Just(json!(true)), Just(json!(false)), Just(json!(null))];
    ("e[12]", service, address, ready, "[ab]").prop_map(|(name, service, address, ready, port)| {
        let kind = if address.contains(':') {
            "IPv6"
        } else {
            "IPv4"
        };
        Object::Slice(object(json!({
            "metadata": {"name": name, "namespace": "d",
                         "labels": {"kubernetes.io/service-name": service}},
            "addressType": kind,
            "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
            "ports": [{"name": port, "port": 8080, "protocol": "TCP"}],
        })))
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let object = prop_oneof![
        any_vpc(),
        any_subnet(),
        any_node(),
        any_pod(),
        any_ip(),
        any_service(),
        any_slice(),
        any_namespace()
    ];
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
        Event::Apply(Object::Service(object)) => index.apply(object),
        Event::Apply(Object::Slice(object)) => index.apply(object),
        Event::Apply(Object::Namespace(object)) => index.apply(object),
        Event::Delete(Object::Namespace(object)) => index.delete(object),
        Event::Delete(Object::Vpc(object)) => index.delete(object),
        Event::Delete(Object::Subnet(object)) => index.delete(object),
        Event::Delete(Object::Ip(object)) => index.delete(object),
        Event::Delete(Object::Node(object)) => index.delete(object),
        Event::Delete(Object::Pod(object)) => index.delete(object),
        Event::Delete(Object::Service(object)) => index.delete(object),
        Event::Delete(Object::Slice(object)) => index.delete(object),
    }
}

fn same(a: &Object, b: &Object) -> bool {
    match (a, b) {
        (Object::Vpc(a), Object::Vpc(b)) => a.metadata.name == b.metadata.name,
        (Object::Subnet(a), Object::Subnet(b)) => a.metadata.name == b.metadata.name,
        (Object::Ip(a), Object::Ip(b)) => a.metadata.name == b.metadata.name,
        (Object::Node(a), Object::Node(b)) => a.metadata.name == b.metadata.name,
        (Object::Pod(a), Object::Pod(b)) => a.metadata.name == b.metadata.name,
        (Object::Service(a), Object::Service(b)) => a.metadata.name == b.metadata.name,
        (Object::Slice(a), Object::Slice(b)) => a.metadata.name == b.metadata.name,
        (Object::Namespace(a), Object::Namespace(b)) => a.metadata.name == b.metadata.name,
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
    index.reset(&only!(objects, Object::Namespace));
    index.reset(&only!(objects, Object::Slice));
    index.reset(&only!(objects, Object::Service));
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
        prop_assert_eq!(said(&stepwise), said(&anew));
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
        prop_assert_eq!(said(&behind), said(&anew));
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
    fn every_vpc_has_its_router_whatever_it_says(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let mut index = index();
        for event in &events {
            perform(&mut index, event);
        }
        let vpcs = only!(remaining(&events), Object::Vpc);
        let names: BTreeSet<_> = vpcs.iter().filter_map(|it| it.metadata.name.as_deref()).collect();
        let planned: BTreeSet<_> = index.inputs().vpcs.keys().map(VpcName::as_str).collect();
        prop_assert_eq!(names, planned);
    }

    #[test]
    fn a_subnet_that_was_accepted_has_a_network_in_its_vpc_whatever_it_says(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let mut index = index();
        for event in &events {
            perform(&mut index, event);
        }
        for subnet in only!(remaining(&events), Object::Subnet) {
            let annotations = subnet.metadata.annotations.unwrap_or_default();
            let accepted = annotations.get(api::annotation::ACCEPTED);
            let accepted: Option<Accepted> = accepted.map(|it| it.parse().unwrap());
            let Some(accepted) = accepted.filter(|it| it.uid.as_deref() != Some("other")) else {
                continue;
            };
            let name = SubnetName::new(subnet.metadata.name.unwrap()).unwrap();
            let row = index.subnets().get(&name).unwrap();
            let planned = index.inputs().subnets.get(&name);
            // of an earlier release nobody knows what it was for
            let is_planned = row.provision == Provision::Network;
            prop_assert_eq!(planned.is_some(), is_planned, "{}", name);
            prop_assert!(is_planned || accepted.provider.is_none(), "{}", name);
            prop_assert!(planned.is_none_or(|it| it.vpc == accepted.vpc), "{}", name);
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
        let fresh = self::index();
        prop_assert_eq!(index.inputs(), fresh.inputs());
        prop_assert!(index.rejected().is_empty());
    }
}

#[test]
fn a_vip_leads_to_ready_endpoints_of_its_family_and_port_alone() {
    let mut index = index();
    index.apply::<Service>(&object(json!({
        "metadata": {"name": "v", "namespace": "d"},
        "spec": {"clusterIPs": ["10.96.0.2", "fd00:96::2"], "ports": [
            {"name": "web", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]},
    })));
    let slice = |name: &str, kind: &str, endpoints: Value| {
        object::<EndpointSlice>(json!({
            "metadata": {"name": name, "namespace": "d",
                         "labels": {"kubernetes.io/service-name": "v"}},
            "addressType": kind, "endpoints": endpoints,
            "ports": [{"name": "web", "port": 8080}, {"name": "dns", "port": 5353, "protocol": "UDP"}],
        }))
    };
    index.apply(&slice(
        "v4",
        "IPv4",
        json!([
            {"addresses": ["10.1.0.2"], "conditions": {"ready": true}},
            {"addresses": ["10.1.0.3"]},
            {"addresses": ["10.1.0.4"], "conditions": {"ready": false}},
        ]),
    ));
    index.apply(&slice("v6", "IPv6", json!([{"addresses": ["fd00::2"]}])));
    let (_, service) = index.inputs().services.first_key_value().unwrap();
    let printed: Vec<String> = service
        .vips
        .iter()
        .map(|(vip, backends)| format!("{:?} {} {backends:?}", vip.protocol, vip.address))
        .collect();
    assert_eq!(
        printed,
        [
            "Tcp 10.96.0.2:80 {10.1.0.2:8080, 10.1.0.3:8080}",
            "Tcp [fd00:96::2]:80 {[fd00::2]:8080}",
            "Udp 10.96.0.2:53 {10.1.0.2:5353, 10.1.0.3:5353}",
            "Udp [fd00:96::2]:53 {[fd00::2]:5353}",
        ]
    );
}
