//! What the objects of the users say.

use anyhow::{Context, Result};
use api::SubnetSpec;
use fastrand::Rng;
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::{Value, json};
use testkit::objects;

use crate::object::Name;

/// Nodes that run.
const NODES: [&str; 2] = ["n1", "n2"];
const POOL: &str = "ovn.kubernetes.io/ip_pool";
const DEFAULT_SUBNET: &str = "ovn-default";
/// Of every StatefulSet, most of the time.
pub(crate) const REPLICAS: u32 = 2;

/// Each has names and networks of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    X,
    Y,
}

// === impl User ===

impl User {
    /// What its names start with.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::X => "x",
            Self::Y => "y",
        }
    }

    /// The first two octets of one of its 5,760 subnets, and the third.
    const fn block(self, number: u32) -> (u32, u32) {
        let first = match self {
            Self::X => 100,
            Self::Y => 145,
        };
        (first + number / 128 % 45, number % 128 * 2)
    }
}

/// In a subnet that it names, with an address of a pool that it names, or neither.
pub(crate) fn pod(
    random: &mut Rng,
    (namespace, name): &Name,
    subnet: Option<&Name>,
    pool: Option<&Name>,
) -> Value {
    let node = random.choice(NODES).unwrap_or("n1");
    let pod = objects::pod(name).in_namespace(namespace).on(node);
    let pod = match (subnet, pool) {
        (Some((_, subnet)), _) => pod.annotation("ovn.kubernetes.io/logical_switch", subnet),
        (None, Some((_, pool))) => pod.annotation(POOL, pool),
        (None, None) => pod,
    };
    json!(pod.build())
}

/// An address of that subnet, or of the default one.
pub(crate) fn vip(subnet: Option<&Name>) -> Value {
    let subnet = subnet.map_or(DEFAULT_SUBNET, |(_, name)| name);
    json!({"spec": {"subnet": subnet}})
}

/// Ten addresses of the default subnet, for those who name it and for a namespace.
pub(crate) fn ip_pool(user: User, number: u32, namespace: Option<&Name>) -> Value {
    let third = match user {
        User::X => 220,
        User::Y => 221,
    };
    let first = number % 20 * 10 + 1;
    let range = format!("10.16.{third}.{first}..10.16.{third}.{}", first + 9);
    let names: Vec<&String> = namespace.iter().map(|(_, name)| name).collect();
    json!({"spec": {"subnet": DEFAULT_SUBNET, "ips": [range], "namespaces": names}})
}

/// An address that it cannot have any more, or a label.
pub(crate) fn vip_edit(random: &mut Rng) -> Value {
    match random.u32(0..2) {
        0 => json!({"spec": {"v4ip": "10.16.222.1"}}),
        _ => json!({"metadata": {"labels": {"x": random.u8(..).to_string()}}}),
    }
}

/// For another namespace, for none, or with a range that is none.
pub(crate) fn ip_pool_edit(random: &mut Rng, namespace: Option<&Name>) -> Value {
    if random.u32(0..4) == 0 {
        return json!({"spec": {"ips": ["10.16.220.9..10.16.220.1"]}});
    }
    let names: Vec<&String> = namespace.iter().map(|(_, name)| name).collect();
    json!({"spec": {"namespaces": names}})
}

/// A /24, of which the /23 belongs to nobody else.
pub(crate) fn subnet(user: User, number: u32, vpc: Option<&Name>) -> Value {
    let (second, third) = user.block(number);
    let cidr = format!("10.{second}.{third}.0/24");
    let vpc = vpc.map_or(api::vpc::DEFAULT, |(_, name)| name);
    json!({"spec": {"protocol": "IPv4", "cidrBlock": cidr, "vpc": vpc}})
}

/// Another CIDR, exclusion, namespace, gateway, VPC, provider or label, or others that are let in.
pub(crate) fn subnet_edit(random: &mut Rng, spec: &SubnetSpec, namespace: Option<&Name>) -> Value {
    let cidr = &spec.cidr_block;
    let network = cidr.rsplit_once(".0/").map_or("", |(network, _)| network);
    match random.u32(0..7) {
        0 if cidr.ends_with("/24") => json!({"spec": {"cidrBlock": format!("{network}.0/23")}}),
        0 => json!({"spec": {"cidrBlock": format!("{network}.0/24")}}),
        1 => {
            let first = random.u8(10..100);
            let range = format!("{network}.{first}..{network}.{}", first + random.u8(0..20));
            json!({"spec": {"excludeIps": [format!("{network}.1"), range]}})
        }
        2 => {
            let names: Vec<&String> = namespace.iter().map(|(_, name)| name).collect();
            json!({"spec": {"namespaces": names}})
        }
        3 if random.bool() => {
            let node = random.choice(NODES).unwrap_or("n1");
            json!({"spec": {"gatewayType": "centralized", "gatewayNode": node}})
        }
        3 => json!({"spec": {"gatewayType": "distributed", "gatewayNode": ""}}),
        4 => {
            let allowed = (0..random.u8(0..3)).map(|second| format!("10.{second}.0.0/16"));
            let allowed: Vec<String> = allowed.collect();
            json!({"spec": {"private": random.bool(), "allowSubnets": allowed}})
        }
        5 if random.bool() => {
            let vpc = random.choice([api::vpc::DEFAULT, "nowhere"]);
            json!({"spec": {"vpc": vpc}})
        }
        5 => {
            let provider = random.choice([api::subnet::OVN, "macvlan.default"]);
            json!({"spec": {"provider": provider}})
        }
        _ => json!({"metadata": {"labels": {"x": random.u8(..).to_string()}}}),
    }
}

/// Annotations of its port that cannot be read or are not there, or a label.
pub(crate) fn node_edit(random: &mut Rng) -> Value {
    let broken = match random.u32(0..3) {
        0 => json!({"ovn.kubernetes.io/mac_address": "x"}),
        1 => json!({"ovn.kubernetes.io/ip_address": null, "ovn.kubernetes.io/allocated": null}),
        _ => return json!({"metadata": {"labels": {"x": random.u8(..).to_string()}}}),
    };
    json!({"metadata": {"annotations": broken}})
}

/// A default subnet that is none, or a label.
pub(crate) fn vpc_edit(random: &mut Rng) -> Value {
    match random.u32(0..2) {
        0 => json!({"spec": {"defaultSubnet": "nowhere"}}),
        _ => json!({"metadata": {"labels": {"x": random.u8(..).to_string()}}}),
    }
}

/// One that no program runs on.
pub(crate) fn node(user: User, (_, name): &Name, number: u32) -> Result<Value> {
    let second = match user {
        User::X => 98,
        User::Y => 99,
    };
    let address = format!("10.{second}.{}.{}", number / 256 % 256, number % 256);
    Ok(json!(objects::node(name, &address.parse()?)))
}

/// A service and its endpoints.
pub(crate) fn service(random: &mut Rng, (_, name): &Name) -> (Value, Value) {
    let ports = json!([{"name": "web", "port": 80, "protocol": "TCP"}]);
    let slice = json!({
        "metadata": {"labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": endpoint(random),
        "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
    });
    (json!({"spec": {"ports": ports}}), slice)
}

/// Another endpoint.
pub(crate) fn endpoints(random: &mut Rng) -> Value {
    json!({"endpoints": endpoint(random)})
}

fn endpoint(random: &mut Rng) -> Value {
    let address = format!("10.16.200.{}", random.u8(1..250));
    json!([{"addresses": [address], "conditions": {"ready": random.bool()}}])
}

/// Its pods have addresses of a pool.
pub(crate) fn stateful_set(user: User, number: u32) -> Value {
    let third = match user {
        User::X => 210,
        User::Y => 211,
    };
    let first = number % 100 * REPLICAS + 1;
    let pool = (first..first + REPLICAS).map(|last| format!("10.16.{third}.{last}"));
    let pool = pool.collect::<Vec<_>>().join(",");
    let metadata = json!({
        "labels": {"app": "x"},
        "annotations": {POOL: pool},
    });
    let containers = json!([{"name": "main", "image": "lab"}]);
    json!({"spec": {
        "replicas": REPLICAS,
        "serviceName": "x",
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": metadata, "spec": {"containers": containers}},
    }})
}

/// The name of one of its pods.
pub(crate) fn member_name((namespace, name): &Name, ordinal: u32) -> Name {
    (namespace.clone(), format!("{name}-{ordinal}"))
}

/// One of its pods.
pub(crate) fn member(
    random: &mut Rng,
    set: &StatefulSet,
    name: &Name,
    ordinal: u32,
) -> Result<(Name, Value)> {
    let member = member_name(name, ordinal);
    let mut pod = pod(random, &member, None, None);
    let template = set
        .spec
        .as_ref()
        .and_then(|it| it.template.metadata.clone());
    let template = template.context("a StatefulSet has a template")?;
    let metadata = pod.pointer_mut("/metadata").and_then(Value::as_object_mut);
    let metadata = metadata.context("a pod has metadata")?;
    metadata.insert("annotations".to_owned(), json!(template.annotations));
    metadata.insert("labels".to_owned(), json!(template.labels));
    let owner = json!([{
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": name.1,
        "uid": set.metadata.uid,
        "controller": true,
    }]);
    metadata.insert("ownerReferences".to_owned(), owner);
    Ok((member, pod))
}
