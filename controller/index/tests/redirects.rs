//! Subnets whose traffic goes to a gateway outside: what their users are told.
#![cfg(test)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "objects are written where they are used"
)]

use controller_index::{Defaults, Index, Settings};
use k8s_openapi::api::core::v1::Node;
use model::{SubnetName, VpcName};
use serde_json::{Value, json};

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn name(text: &str) -> SubnetName {
    SubnetName::new(text).unwrap()
}

fn cluster() -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: name("join"),
        },
        subnet: name("ovn-default"),
    });
    for vpc in ["ovn-cluster", "tenant"] {
        index.apply::<api::Vpc>(&object(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": vpc}, "spec": {},
        })));
    }
    index
}

/// The subnet `redirected` with these fields, too.
fn redirect(index: &mut Index, more: Value) {
    let mut spec = json!({
        "cidrBlock": "10.71.0.0/16", "externalEgressGateway": "192.0.2.254",
        "policyRoutingPriority": 1001, "policyRoutingTableID": 1001,
    });
    let fields = spec.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    index.apply::<api::Subnet>(&object(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "redirected"},
        "spec": spec,
    })));
}

/// A node that tells this of the subnet.
fn node(name: &str, faults: Value) -> Node {
    let told = json!({"redirected": faults}).to_string();
    object(json!({
        "metadata": {"name": name, "annotations": {"ovn.kubernetes.io/redirect-faults": told}},
    }))
}

fn told(index: &Index) -> Vec<String> {
    let faults = &index.acceptance(&name("redirected")).unwrap().faults;
    faults.iter().map(|fault| fault.why.to_string()).collect()
}

#[test]
fn what_nodes_tell_is_told_once_with_their_names_and_forgotten_when_they_say_so() {
    let mut index = cluster();
    redirect(&mut index, json!({}));
    assert_eq!(told(&index), [""; 0]);
    let fault = json!({
        "field": "spec.externalEgressGateway", "value": "192.0.2.254", "cause": "no such link",
    });
    for name in ["n1", "n2", "n3", "n4"] {
        index.apply(&node(name, json!([fault])));
    }
    let expected = "spec.externalEgressGateway is `192.0.2.254`: on n1, n2, n3 and 1 more nodes: no \
                    such link";
    assert_eq!(told(&index), [expected]);
    index.delete(&node("n4", json!([fault])));
    for name in ["n1", "n3"] {
        index.apply(&node(name, json!([])));
    }
    assert_eq!(told(&index).len(), 1);
    assert!(
        told(&index)[0].contains("on n2: no such link"),
        "{:?}",
        told(&index)
    );
    index.apply(&object::<Node>(json!({"metadata": {"name": "n2"}})));
    assert_eq!(told(&index), [""; 0]);
}

#[test]
fn what_a_node_tells_of_a_subnet_that_is_not_redirected_does_not_count() {
    let mut index = cluster();
    redirect(&mut index, json!({"externalEgressGateway": ""}));
    let fault = json!({"field": "f", "value": "v", "cause": "c"});
    index.apply(&node("n1", json!([fault])));
    assert_eq!(told(&index), [""; 0]);
    index.apply::<Node>(&object(json!({
        "metadata": {"name": "n2", "annotations": {"ovn.kubernetes.io/redirect-faults": "{"}},
    })));
    assert_eq!(told(&index), [""; 0]);
}

#[test]
fn a_subnet_that_no_node_sees_is_told_to_be_so() {
    for more in [json!({"vpc": "tenant"}), json!({"underlayGateway": true})] {
        let mut index = cluster();
        redirect(&mut index, more);
        assert_eq!(told(&index).len(), 1);
        assert!(told(&index)[0].contains("it has no effect: only overlay subnets"));
    }
}

#[test]
fn fields_that_contradict_each_other_are_told_though_the_api_server_should_refuse_them() {
    for (more, expected) in [
        (json!({"natOutgoing": true}), "set natOutgoing to false"),
        (json!({"policyRoutingTableID": 254}), "tables of the kernel"),
        (
            json!({"policyRoutingPriority": null}),
            "choose a number from 1 to 32765",
        ),
        (
            json!({"externalEgressGateway": "fd00::1"}),
            "no CIDR of that family",
        ),
        (
            json!({"externalEgressGateway": "10.71.0.9"}),
            "address of subnet redirected",
        ),
    ] {
        let mut index = cluster();
        redirect(&mut index, more);
        assert_eq!(told(&index).len(), 1, "{:?}", told(&index));
        assert!(told(&index)[0].contains(expected), "{:?}", told(&index));
    }
}
