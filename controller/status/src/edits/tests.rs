#![expect(
    clippy::needless_pass_by_value,
    reason = "objects are written where they are used"
)]

use controller_index::{Defaults, Settings};
use k8s_openapi::api::core::v1::Namespace;
use serde::de::DeserializeOwned;

use super::*;

fn name(text: &str) -> SubnetName {
    SubnetName::new(text).unwrap()
}

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn cluster() -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: name("join"),
        },
        subnet: name("ovn-default"),
    });
    index.apply(&vpc("ovn-cluster", json!({})));
    index
}

fn vpc(name: &str, meta: Value) -> Vpc {
    let mut metadata = json!({"name": name});
    merge(metadata.as_object_mut().unwrap(), Some(meta));
    object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": metadata, "spec": {},
    }))
}

fn subnet(name: &str, meta: Value, spec: Value) -> Subnet {
    let mut metadata = json!({"name": name, "uid": format!("uid-{name}")});
    merge(metadata.as_object_mut().unwrap(), Some(meta));
    object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": metadata, "spec": spec,
    }))
}

fn ending(finalizers: &[&str]) -> Value {
    json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers})
}

fn record(pod: &str, subnet: &str) -> api::Ip {
    object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "IP", "metadata": {"name": format!("{pod}.d")},
        "spec": {"podName": pod, "namespace": "d", "subnet": subnet, "ipAddress": "10.1.0.9",
                 "macAddress": "00:00:00:00:00:09"},
    }))
}

/// What is written into an object that is applied, and again into the result.
fn written(index: &mut Index, object: &Subnet) -> Option<Value> {
    index.apply(object);
    let patch = of_subnet(index, object)?;
    let mut patched = json!(object);
    apply(&mut patched, &patch);
    let patched: Subnet = self::object(patched);
    index.apply(&patched);
    assert_eq!(
        of_subnet(index, &patched),
        None,
        "the second time nothing differs"
    );
    Some(patch)
}

/// RFC 7386.
fn apply(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            apply(&mut target[key], value);
        }
    }
}

#[test]
fn a_subnet_of_a_cidr_alone_is_completed() {
    let bare = subnet("s", json!({}), json!({"cidrBlock": "11.14.0.1/16"}));
    assert_eq!(
        written(&mut cluster(), &bare).unwrap(),
        json!({
            "metadata": {
                "finalizers": ["kube-ovn-controller"],
                "annotations": {
                    "ovn.kubernetes.io/accepted-network": "ovn-cluster 11.14.0.0/16 11.14.0.1 ovn uid-s",
                },
            },
            "spec": {
                "vpc": "ovn-cluster", "protocol": "IPv4", "cidrBlock": "11.14.0.0/16",
                "gateway": "11.14.0.1", "excludeIps": ["11.14.0.1"], "provider": "ovn",
                "gatewayType": "distributed",
            },
        })
    );
}

#[test]
fn a_gateway_of_one_family_is_joined_by_the_first_address_of_the_other() {
    let spec = json!({
        "cidrBlock": "10.1.0.0/16,fd00:0::/64", "gateway": "10.1.0.9", "protocol": "IPv4",
        "excludeIps": ["10.1.0.1..10.1.0.20"], "gatewayType": "centralized",
    });
    let patch = written(&mut cluster(), &subnet("s", json!({}), spec)).unwrap();
    assert_eq!(
        patch["spec"],
        json!({
            "vpc": "ovn-cluster", "protocol": "Dual", "cidrBlock": "10.1.0.0/16,fd00::/64",
            "gateway": "10.1.0.9,fd00::1", "provider": "ovn",
            "excludeIps": ["10.1.0.1..10.1.0.20", "fd00::1"],
        })
    );
}

#[test]
fn a_second_family_that_is_added_later_brings_protocol_gateway_and_exclusion() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16"});
    written(&mut index, &subnet("s", json!({}), spec)).unwrap();
    let mut edited = index.subnets().get(&name("s")).unwrap().object.clone();
    edited.spec.cidr_block = "10.1.0.0/16,fd00::/64".to_owned();
    assert_eq!(
        written(&mut index, &edited).unwrap()["spec"],
        json!({
            "protocol": "Dual", "gateway": "10.1.0.1,fd00::1", "excludeIps": ["10.1.0.1", "fd00::1"],
        })
    );
}

#[test]
fn only_the_controllers_default_subnet_is_default_in_the_default_vpc() {
    let spec = json!({"cidrBlock": "10.1.0.0/16", "default": true});
    let patch = written(&mut cluster(), &subnet("s", json!({}), spec.clone())).unwrap();
    assert_eq!(patch["spec"]["default"], json!(false));
    let patch = written(&mut cluster(), &subnet("ovn-default", json!({}), spec)).unwrap();
    assert_eq!(patch["spec"].get("default"), None);
    let mut index = cluster();
    index.apply(&vpc("tenant", json!({})));
    let spec = json!({"cidrBlock": "10.1.0.0/16", "default": true, "vpc": "tenant"});
    let patch = written(&mut index, &subnet("s", json!({}), spec)).unwrap();
    assert_eq!(patch["spec"].get("default"), None);
}

#[test]
fn a_namespace_that_a_later_subnet_names_is_taken_out_of_the_earlier_and_that_says_so() {
    let mut index = cluster();
    let at = |second: u8| json!({"creationTimestamp": format!("2026-01-01T00:00:0{second}Z")});
    let spec = json!({"cidrBlock": "10.1.0.0/16", "namespaces": ["a", "b"]});
    written(&mut index, &subnet("old", at(1), spec)).unwrap();
    let spec = json!({"cidrBlock": "10.2.0.0/16", "namespaces": ["b", "c"]});
    let patch = written(&mut index, &subnet("new", at(2), spec)).unwrap();
    assert_eq!(patch["spec"].get("namespaces"), None);
    let lost = lost_namespaces(&index, &name("old"));
    assert_eq!(lost.len(), 1);
    assert_eq!(
        (lost[0].reason.as_str(), lost[0].uid.as_str()),
        ("NamespaceTaken", "uid-old")
    );
    assert!(
        lost[0].message.contains("`b`, which subnet new"),
        "{}",
        lost[0].message
    );
    let old = index.subnets().get(&name("old")).unwrap().object.clone();
    assert_eq!(
        written(&mut index, &old).unwrap(),
        json!({"spec": {"namespaces": ["a"]}})
    );
}

#[test]
fn a_subnet_that_was_never_accepted_gets_no_finalizer_and_no_record() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16"});
    written(&mut index, &subnet("a", json!({}), spec.clone())).unwrap();
    let patch = written(&mut index, &subnet("b", json!({}), spec)).unwrap();
    assert_eq!(patch.get("metadata"), None);
}

#[test]
fn the_finalizer_of_later_releases_is_as_good() {
    let meta = json!({"finalizers": ["kubeovn.io/kube-ovn-controller", "others"]});
    let object = subnet("s", meta, json!({"cidrBlock": "10.1.0.0/16"}));
    let patch = written(&mut cluster(), &object).unwrap();
    assert_eq!(patch["metadata"].get("finalizers"), None);
}

#[test]
fn a_subnet_ends_when_nobody_has_an_address_of_it() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16"});
    let finalizers = [
        "kube-ovn-controller",
        "others",
        "kubeovn.io/kube-ovn-controller",
    ];
    let object = subnet("s", ending(&finalizers), spec);
    index.apply(&object);
    index.apply(&record("p", "s"));
    index.apply(&record("q", "elsewhere"));
    assert_eq!(of_subnet(&index, &object), None);
    index.delete(&record("p", "s"));
    let patch = json!({"metadata": {"finalizers": ["others"]}});
    assert_eq!(of_subnet(&index, &object), Some(patch));
}

#[test]
fn a_subnet_that_cannot_be_read_ends_too() {
    let mut index = cluster();
    let finalizers = ["kube-ovn-controller"];
    let object = subnet("s", ending(&finalizers), json!({"cidrBlock": "nonsense"}));
    index.apply(&object);
    assert_eq!(index.ending(), [controller_index::Kept::Subnet(name("s"))]);
    let patch = json!({"metadata": {"finalizers": []}});
    assert_eq!(of_subnet(&index, &object), Some(patch));
}

#[test]
fn a_vpc_ends_when_no_subnet_is_in_it() {
    let mut index = cluster();
    let living = vpc("tenant", json!({}));
    index.apply(&living);
    let patch = json!({"metadata": {"finalizers": ["kubeovn.io/kube-ovn-controller"]}});
    assert_eq!(of_vpc(&index, &living), Some(patch));
    let spec = json!({"cidrBlock": "10.1.0.0/16", "vpc": "tenant"});
    let member = subnet("s", json!({}), spec);
    index.apply(&member);
    let object = vpc("tenant", ending(&["kubeovn.io/kube-ovn-controller"]));
    index.apply(&object);
    assert_eq!(of_vpc(&index, &object), None);
    index.delete(&member);
    let patch = json!({"metadata": {"finalizers": []}});
    assert_eq!(of_vpc(&index, &object), Some(patch));
}

#[test]
fn r11_annotations_that_somebody_stripped_are_written_again() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16", "namespaces": ["a"]});
    index.apply(&subnet("s", json!({}), spec));
    let annotated = json!({
        "ovn.kubernetes.io/logical_switch": "s",
        "ovn.kubernetes.io/cidr": "10.1.0.0/16",
        "ovn.kubernetes.io/exclude_ips": "10.1.0.1",
    });
    let namespace = |annotations: &Value| -> Namespace {
        object(json!({"metadata": {"name": "a", "uid": "u", "annotations": annotations}}))
    };
    let patch = json!({"metadata": {"uid": "u", "annotations": annotated}});
    index.apply(&namespace(&annotated));
    assert_eq!(of_namespace(&index, "a"), None);
    for stripped in [json!({}), json!({"ovn.kubernetes.io/logical_switch": "s"})] {
        index.take_kept();
        index.apply(&namespace(&stripped));
        let kept = controller_index::Kept::Namespace("a".to_owned());
        assert!(index.take_kept().contains(&kept));
        assert_eq!(of_namespace(&index, "a"), Some(patch.clone()));
    }
}

#[test]
fn a_namespace_is_annotated_anew_when_its_subnet_goes_or_changes() {
    let mut index = cluster();
    let cidr = |cidr: &str| json!({"cidrBlock": cidr, "namespaces": ["a"]});
    index.apply(&subnet(
        "ovn-default",
        json!({}),
        json!({"cidrBlock": "10.16.0.0/16"}),
    ));
    index.apply(&subnet("s", json!({}), cidr("10.1.0.0/16")));
    index.apply::<Namespace>(&object(json!({"metadata": {"name": "a", "uid": "u"}})));
    let told = |index: &mut Index| {
        let kept = controller_index::Kept::Namespace("a".to_owned());
        assert!(index.take_kept().contains(&kept));
        let patch = of_namespace(index, "a").unwrap();
        let annotations = &patch["metadata"]["annotations"];
        let text = |key: &str| annotations[format!("ovn.kubernetes.io/{key}")].clone();
        (text("logical_switch"), text("cidr"))
    };
    assert_eq!(told(&mut index), (json!("s"), json!("10.1.0.0/16")));
    index.apply(&subnet("s", json!({}), cidr("10.2.0.0/16")));
    assert_eq!(told(&mut index), (json!("s"), json!("10.2.0.0/16")));
    index.apply(&subnet("s", ending(&[]), cidr("10.2.0.0/16")));
    assert_eq!(
        told(&mut index),
        (json!("ovn-default"), json!("10.16.0.0/16"))
    );
}

#[test]
fn what_cannot_be_is_left_for_its_user_to_see_and_what_was_accepted_stays_recorded() {
    let mut index = cluster();
    let bare = subnet("s", json!({}), json!({"cidrBlock": "10.1.0.0/16"}));
    written(&mut index, &bare).unwrap();
    let accepted = index.subnets().get(&name("s")).unwrap().object.clone();
    for (field, value) in [
        ("vpc", "nowhere"),
        ("vpc", "Tenant-A"),
        ("provider", "macvlan.default"),
        ("cidrBlock", "10.1.0.0/31"),
        ("gateway", "10.9.0.1"),
    ] {
        let mut edited = json!(accepted);
        edited["spec"][field] = json!(value);
        assert_eq!(
            written(&mut index, &object(edited)),
            None,
            "{field} {value}"
        );
    }
}

#[test]
fn with_what_a_subnet_is_accepted_is_recorded_once_its_vpc_is_there() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "10.1.0.0/16", "vpc": "later"});
    let patch = written(&mut index, &subnet("s", json!({}), spec)).unwrap();
    assert_eq!(patch["metadata"].get("annotations"), None);
    index.apply(&vpc("later", json!({})));
    let object = index.subnets().get(&name("s")).unwrap().object.clone();
    let patch = written(&mut index, &object).unwrap();
    let annotations = json!({ACCEPTED: "later 10.1.0.0/16 10.1.0.1 ovn uid-s"});
    assert_eq!(patch, json!({"metadata": {"annotations": annotations}}));
}

#[test]
fn slots_of_gateway_nodes_are_recorded_on_join_and_go_with_the_last_subnet() {
    let mut index = cluster();
    let join = |slots: &str| {
        let annotations = json!({annotation::GATEWAY_SLOTS: slots});
        subnet(
            "join",
            json!({"annotations": annotations}),
            json!({"cidrBlock": "100.64.0.0/16"}),
        )
    };
    let patch_of = |index: &Index, join: &Subnet| {
        let patch = of_subnet(index, join).unwrap();
        patch["metadata"]["annotations"][annotation::GATEWAY_SLOTS].clone()
    };
    index.apply(&join(""));
    let spec = json!({
        "cidrBlock": "10.1.0.0/16", "gatewayType": "centralized", "gatewayNode": "n1",
    });
    let centralized = subnet("s", json!({}), spec);
    index.apply(&centralized);
    assert_eq!(patch_of(&index, &join("")), json!("n1 100.64.240.0"));
    let elsewhere = join("n1 100.64.240.7");
    assert_eq!(
        patch_of(&index, &elsewhere),
        Value::Null,
        "what is recorded stays"
    );
    let stale = join("n0 100.64.240.0");
    assert_eq!(patch_of(&index, &stale), json!("n1 100.64.240.0"));
    index.delete(&centralized);
    let patch = of_subnet(&index, &elsewhere).unwrap();
    let annotations = patch["metadata"]["annotations"].as_object().unwrap();
    assert_eq!(annotations[annotation::GATEWAY_SLOTS], Value::Null);
}

#[test]
fn a_subnet_of_another_plugin_is_completed_and_ends_as_others_do() {
    let mut index = cluster();
    let spec = json!({"cidrBlock": "172.17.0.0/24", "provider": "macvlan.default"});
    let object = subnet("m", json!({}), spec.clone());
    index.apply(&object);
    let patch = of_subnet(&index, &object).unwrap();
    assert_eq!(
        patch["metadata"]["finalizers"],
        json!(["kube-ovn-controller"])
    );
    assert_eq!(patch["spec"]["gateway"], json!("172.17.0.1"));

    let object = subnet("m", ending(&["kube-ovn-controller"]), spec);
    index.apply(&object);
    index.apply(&record("p", "m"));
    assert_eq!(of_subnet(&index, &object), None);
    index.delete(&record("p", "m"));
    let patch = json!({"metadata": {"finalizers": []}});
    assert_eq!(of_subnet(&index, &object), Some(patch));
}
