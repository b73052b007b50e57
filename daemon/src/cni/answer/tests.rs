use daemon_plan::{Allocation, Datapath};
use model::{PodKey, PortKey};
use serde_json::{Value, json};

use super::*;
use crate::cni::{pod, request};

fn attachment() -> Attachment {
    Attachment {
        container_id: "0123456789abcdef".parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
        network: "kube-ovn".to_owned(),
        netns: "/run/netns/a".into(),
        port: PortKey::primary(PodKey::new("default", "web-0").unwrap()),
        pod_uid: "u".to_owned(),
        allocation: Allocation {
            mac: "00:00:00:AA:BB:CC".parse().unwrap(),
            addresses: "10.16.0.5,fd00::5".parse().unwrap(),
            networks: "10.16.0.0/16,fd00::/112".parse().unwrap(),
            gateways: "10.16.0.1,fd00::1".parse().unwrap(),
        },
        datapath: Datapath::System,
        mtu: 1400,
    }
}

fn in_version(version: &str) -> Value {
    let json = result(version.parse().unwrap(), &attachment()).unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[test]
fn the_result_names_interfaces_addresses_and_routes() {
    assert_eq!(
        in_version("1.1.0"),
        json!({
            "cniVersion": "1.1.0",
            "interfaces": [
                {"name": "0123456789ab_h", "mtu": 1400},
                {"name": "eth0", "mac": "00:00:00:aa:bb:cc", "mtu": 1400, "sandbox": "/run/netns/a"},
            ],
            "ips": [
                {"interface": 1, "address": "10.16.0.5/16", "gateway": "10.16.0.1"},
                {"interface": 1, "address": "fd00::5/112", "gateway": "fd00::1"},
            ],
            "routes": [
                {"dst": "0.0.0.0/0", "gw": "10.16.0.1"},
                {"dst": "::/0", "gw": "fd00::1"},
            ],
        })
    );
}

#[test]
fn old_versions_have_the_family_of_each_address_and_no_mtu() {
    let result = in_version("0.3.1");
    assert_eq!(result["cniVersion"], "0.3.1");
    assert_eq!(result["ips"][0]["version"], "4");
    assert_eq!(result["ips"][1]["version"], "6");
    assert_eq!(result["interfaces"][1].get("mtu"), None);
    assert_eq!(in_version("1.0.0")["interfaces"][1].get("mtu"), None);
}

#[test]
fn an_error_has_a_code_a_sentence_and_its_causes() {
    let cause = serde_json::from_str::<Value>("{").unwrap_err();
    let failure = Failure::from(request::Error::Undecodable(cause));
    let error = error(&failure);
    assert_eq!(error.code, 6);
    assert!(error.msg.contains("correct the file"), "{}", error.msg);
    assert!(error.details.contains("EOF"), "{}", error.details);
}

#[test]
fn each_kind_of_failure_has_the_code_of_the_specification() {
    let code = |failure: Failure| failure.code().number();
    assert_eq!(code(request::Error::Version("x".to_owned()).into()), 1);
    let pod = PodKey::new("default", "web-0").unwrap();
    assert_eq!(code(pod::Error::Unknown { pod }.into()), 3);
    assert_eq!(
        code(
            request::Error::Argument {
                key: "K8S_POD_NAME"
            }
            .into()
        ),
        4
    );
    assert_eq!(code(request::Error::NoAttachments.into()), 7);
    let missing = "ovs".to_owned();
    assert_eq!(code(Failure::NotReady { missing }), 50);
    let sandbox = "a/eth0".to_owned();
    assert_eq!(code(Failure::Busy { sandbox }), 11);
}
