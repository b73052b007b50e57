use serde_json::json;

use super::*;
use crate::fixture::index_of_default_vpc;

/// The default VPC, `join`, and a subnet for each set of gateway nodes.
fn index(join: &str, sets: &[&str]) -> Index {
    let mut index = index_of_default_vpc();
    let join = api::SubnetSpec {
        cidr_block: join.to_owned(),
        ..api::SubnetSpec::default()
    };
    index.apply(&api::Subnet::new("join", join));
    for (number, set) in sets.iter().enumerate() {
        let spec = api::SubnetSpec {
            cidr_block: format!("10.{number}.0.0/16"),
            gateway_type: "centralized".to_owned(),
            gateway_node: set.replace('>', ","),
            enable_ecmp: Some(!set.contains('>')),
            ..api::SubnetSpec::default()
        };
        index.apply(&api::Subnet::new(&format!("s{number}"), spec));
    }
    index
}

fn chosen(index: &Index, recorded: &str) -> String {
    let chosen = super::chosen(index, &recorded.parse().unwrap());
    assert_eq!(
        super::chosen(index, &chosen),
        chosen,
        "twice gives the same"
    );
    chosen.to_string()
}

#[test]
fn each_set_gets_the_lowest_slots_in_all_families_of_join() {
    let join = "100.64.0.0/24,fd00:64::/112";
    assert_eq!(
        chosen(&index(join, &["n1", "n2>n1", "n1"]), ""),
        "n1 100.64.0.240,fd00:64::f000; n2>n1 100.64.0.241,fd00:64::f001"
    );
    let shared = chosen(&index("100.64.0.0/24", &["n1,n2,n3"]), "");
    assert_eq!(shared.split(' ').count(), 1 + 12);
}

#[test]
fn recorded_slots_stay_whatever_else_comes_and_goes() {
    let index = index("100.64.0.0/24", &["n3", "n1", "n2"]);
    assert_eq!(
        chosen(
            &index,
            "n2 100.64.0.240; gone 100.64.0.241; n3 100.64.0.242"
        ),
        "n1 100.64.0.241; n2 100.64.0.240; n3 100.64.0.242"
    );
}

#[test]
fn a_set_for_which_too_few_are_free_shares_what_there_is_evenly_or_goes_without() {
    let index = index("100.64.0.0/24", &["a,b,c", "b,c", "c,d", "e"]);
    let all = chosen(&index, "");
    let counts: Vec<usize> = all
        .split(';')
        .map(|it| it.trim().split(' ').count() - 1)
        .collect();
    // 15 in a /24
    assert_eq!(counts, [12, 2, 1]);
    assert!(!all.contains("c,d"), "{all}");
}

#[test]
fn what_somebody_has_is_no_slot() {
    let mut index = index("100.64.0.0/24", &["n1", "n2"]);
    let node = |name: &str, address: &str| {
        let annotations = json!({
            "ovn.kubernetes.io/allocated": "true",
            "ovn.kubernetes.io/ip_address": address,
            "ovn.kubernetes.io/mac_address": "00:00:00:00:00:02",
        });
        serde_json::from_value(json!({"metadata": {"name": name, "annotations": annotations}}))
    };
    index.apply::<k8s_openapi::api::core::v1::Node>(&node("old", "100.64.0.240").unwrap());
    index.apply::<api::Ip>(
        &serde_json::from_value(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "IP", "metadata": {"name": "x"},
            "spec": {"podName": "v", "namespace": "", "subnet": "join", "podType": "Vip",
                     "ipAddress": "100.64.0.241", "macAddress": "00:00:00:00:00:09"},
        }))
        .unwrap(),
    );
    assert_eq!(chosen(&index, ""), "n1 100.64.0.242; n2 100.64.0.243");
}

#[test]
fn a_set_that_gets_no_slots_is_told_with_the_remedy() {
    let small = lacking(&index("100.64.0.0/28", &["n1", "n2,n3"]));
    let told: Vec<String> = small.values().cloned().collect();
    assert_eq!(
        told,
        [
            "subnet join has too few free addresses for gateway slots of n2,n3, of which there \
             should be 8, so that a node that fails moves flows of the others, too: \
             spec.cidrBlock of join is `100.64.0.0/28`, make it larger"
        ]
    );
    let large = index("100.64.0.0/24", &["n1", "n2,n3"]);
    assert!(lacking(&large).is_empty(), "they are about to be recorded");
}
