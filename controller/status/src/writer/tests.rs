//! What is written, field by field.

use api::IpSpec;
use controller_index::Claimant;
use model::{DualStack, VipName};

use super::*;
use crate::api_server::ApiServer;
use crate::ledger::{Lifetime, Recorded};

const RECORD: &str = "/apis/kubeovn.io/v1/ips/web-0.blue";

fn dual(v4: &str, v6: &str) -> DualStack<std::net::IpAddr> {
    format!("{v4},{v6}").parse().unwrap()
}

fn recorded(claimant: Claimant) -> Recorded {
    Recorded {
        claimant,
        uid: "uid-1".to_owned(),
        node: Some(NodeName::new("n1").unwrap()),
        subnet: SubnetName::new("tenant").unwrap(),
        addresses: dual("10.9.0.7", "fd00:9::7"),
        mac: "00:00:00:12:34:56".parse().unwrap(),
        cidrs: "10.9.0.0/24,fd00:9::/112".parse().unwrap(),
        gateways: dual("10.9.0.1", "fd00:9::1"),
        lifetime: Lifetime::Claimant,
        nic: controller_index::Nic::Unsaid,
        origin: controller_index::Origin::Ours,
    }
}

fn pod() -> Recorded {
    Recorded {
        lifetime: Lifetime::StatefulSet,
        ..recorded(Claimant::Pod(PodKey::new("blue", "web-0").unwrap()))
    }
}

fn node() -> Recorded {
    recorded(Claimant::Node(NodeName::new("n1").unwrap()))
}

#[test]
fn the_record_of_a_pod_has_two_labels_every_address_and_no_attachments() {
    let object = serde_json::to_value(ip_object(&pod())).unwrap();
    assert_eq!(
        object,
        json!({
            "apiVersion": "kubeovn.io/v1",
            "kind": "IP",
            "metadata": {
                "name": "web-0.blue",
                "labels": {"ovn.kubernetes.io/subnet": "tenant", "tenant": ""},
                "annotations": {"ovn.kubernetes.io/claimant-uid": "uid-1"},
            },
            "spec": {
                "podName": "web-0",
                "namespace": "blue",
                "subnet": "tenant",
                "nodeName": "n1",
                "ipAddress": "10.9.0.7,fd00:9::7",
                "v4IpAddress": "10.9.0.7",
                "v6IpAddress": "fd00:9::7",
                "macAddress": "00:00:00:12:34:56",
                "containerID": "",
                "podType": "StatefulSet",
            },
        })
    );
}

#[test]
fn the_record_of_a_node_is_in_no_namespace_and_that_of_a_vip_on_no_node() {
    let object = ip_object(&node());
    assert_eq!(object.name_any(), "node-n1");
    let IpSpec {
        pod_name,
        namespace,
        node_name,
        pod_type,
        ..
    } = object.spec;
    assert_eq!(
        [pod_name, namespace, node_name, pod_type],
        ["n1", "", "n1", ""]
    );

    let vip = Claimant::Vip(VipName::new("lb").unwrap());
    let addresses = "fd00:9::7".parse().unwrap();
    let object = ip_object(&Recorded {
        node: None,
        addresses,
        ..recorded(vip)
    });
    assert_eq!(object.name_any(), "vip-lb");
    let spec = object.spec;
    assert_eq!(
        [spec.pod_name, spec.namespace, spec.node_name],
        ["lb", "", ""]
    );
    assert_eq!([spec.ip_address, spec.v6_ip_address], ["fd00:9::7"; 2]);
    assert_eq!(
        [spec.v4_ip_address.as_str(), spec.pod_type.as_str()],
        ["", "Vip"]
    );
}

fn annotations(common: &[(&str, &str)]) -> Value {
    let shared = [
        ("allocated", "true"),
        ("cidr", "10.9.0.0/24,fd00:9::/112"),
        ("gateway", "10.9.0.1,fd00:9::1"),
        ("ip_address", "10.9.0.7,fd00:9::7"),
        ("logical_switch", "tenant"),
        ("mac_address", "00:00:00:12:34:56"),
    ];
    let all = shared.iter().chain(common);
    let all = all.map(|(key, value)| (format!("ovn.kubernetes.io/{key}"), json!(value)));
    json!({"metadata": {"uid": "uid-1", "annotations": all.collect::<serde_json::Map<_, _>>()}})
}

#[test]
fn a_pod_is_told_its_addresses_its_network_and_that_it_is_routed_in_one_patch() {
    let own = [
        ("claimant-uid", "uid-1"),
        ("network_type", "geneve"),
        ("pod_nic_type", "veth-pair"),
        ("routed", "true"),
    ];
    assert_eq!(annotation_patch(&pod()), annotations(&own));
    let of_kube_ovn = Recorded {
        origin: controller_index::Origin::Unsaid,
        ..pod()
    };
    assert_eq!(annotation_patch(&of_kube_ovn), annotations(&own[1..]));
}

#[test]
fn a_node_is_told_its_addresses_and_the_name_of_its_port() {
    let own = [("port_name", "node-n1")];
    assert_eq!(annotation_patch(&node()), annotations(&own));
}

#[tokio::test]
async fn a_record_that_is_there_already_may_stand_when_it_says_the_same() {
    let server = ApiServer::default();
    let writer = Writer::new(server.client());
    writer.record(&pod()).await.unwrap();
    let writes = server.writes();
    writer.record(&pod()).await.unwrap();
    assert_eq!(server.writes(), writes);
}

/// The request of a former leader may arrive late.
#[tokio::test]
async fn r02_an_address_is_not_used_where_the_record_names_another() {
    for field in ["ipAddress", "macAddress", "subnet"] {
        let server = ApiServer::default();
        let mut object = serde_json::to_value(ip_object(&pod())).unwrap();
        object["spec"][field] = "another".into();
        server.put(RECORD, object);
        let recorded = Writer::new(server.client()).record(&pod()).await;
        let error = kit::error::Chain(&recorded.unwrap_err()).to_string();
        assert!(
            error.contains("web-0.blue") && error.contains("409"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_was_recorded_for_a_pod_is_not_told_to_another_of_its_name() {
    const POD: &str = "/api/v1/namespaces/blue/pods/web-0";
    let server = ApiServer::default();
    let another = json!({"metadata": {"name": "web-0", "uid": "uid-2"}});
    server.put(POD, another.clone());
    Writer::new(server.client()).annotate(&pod()).await.unwrap();
    assert_eq!(server.get(POD), Some(another));
}

#[tokio::test]
async fn a_renewed_record_keeps_its_addresses_and_names_the_new_claimant() {
    let server = ApiServer::default();
    let mut object = serde_json::to_value(ip_object(&pod())).unwrap();
    object["metadata"]["uid"] = "uid-of-record".into();
    server.put(RECORD, object.clone());
    let next = Recorded {
        uid: "uid-2".to_owned(),
        node: None,
        ..pod()
    };
    let writer = Writer::new(server.client());
    writer.renew("uid-of-record", &next).await.unwrap();
    object["metadata"]["annotations"]["ovn.kubernetes.io/claimant-uid"] = "uid-2".into();
    object["spec"]["nodeName"] = "".into();
    assert_eq!(server.get(RECORD).unwrap(), object);
}
