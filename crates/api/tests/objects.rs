//! What is read from a cluster, and what is written to it.

#![cfg(test)]

use api::{Ip, IpPool, ProviderNetwork, Subnet, SubnetSpec, Vip, Vlan, Vpc, VpcNatGateway};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn read<K: Resource<DynamicType = ()> + DeserializeOwned>(spec: &Value, status: &Value) -> K {
    let object = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": "any" },
        "spec": spec,
        "status": status,
        "later": true,
    });
    serde_json::from_value(object).unwrap()
}

fn reads(spec: &Value, status: &Value) {
    read::<Ip>(spec, status);
    read::<IpPool>(spec, status);
    read::<ProviderNetwork>(spec, status);
    read::<Subnet>(spec, status);
    read::<Vip>(spec, status);
    read::<Vlan>(spec, status);
    read::<Vpc>(spec, status);
    read::<VpcNatGateway>(spec, status);
}

#[test]
fn an_object_without_any_field_is_read() {
    reads(&json!({}), &Value::Null);
    reads(&json!({}), &json!({}));
    reads(&json!({}), &json!({ "conditions": [{}] }));
}

#[test]
fn fields_of_other_releases_are_ignored() {
    let unknown = json!({ "enableDHCP": true, "acls": [{ "priority": 1 }] });
    reads(
        &unknown,
        &json!({ "conditions": [{ "observedGeneration": 1 }], "u2o": "" }),
    );
}

#[test]
fn a_vlan_in_the_form_of_1_7_0_is_read() {
    let spec = json!({
        "vlanId": 12,
        "providerInterfaceName": "eth3",
        "logicalInterfaceName": "l",
        "subnet": "s",
    });
    let vlan: Vlan = read(&spec, &Value::Null);
    assert_eq!(vlan.spec.vlan_id, Some(12));
    assert_eq!(vlan.spec.provider_interface_name, "eth3");
    assert_eq!(vlan.spec.provider, "");
}

#[test]
fn conditions_of_nodes_carry_their_node_beside_the_type() {
    let condition = json!({
        "node": "n1",
        "type": "Ready",
        "status": "True",
        "lastUpdateTime": "2021-07-15T00:00:00Z",
    });
    let network: ProviderNetwork = read(&json!({}), &json!({ "conditions": [condition] }));
    let status = network.status.unwrap();
    assert_eq!(status.conditions[0].node, "n1");
    assert_eq!(status.conditions[0].condition.type_, api::condition::READY);
    assert_eq!(json!(status.conditions), json!([condition]));
}

#[test]
fn a_subnet_is_written_with_the_fields_that_clients_of_kube_ovn_expect() {
    let spec = json!({
        "default": false,
        "protocol": "",
        "cidrBlock": "",
        "gateway": "",
        "gatewayType": "",
        "gatewayNode": "",
        "natOutgoing": false,
        "private": false,
        "underlayGateway": false,
        "disableInterConnection": false,
    });
    assert_eq!(json!(SubnetSpec::default()), spec);
}
