//! Pods and nodes that Kube-OVN gave their addresses: its records name no claimant.

use super::*;

const NODE: &str = "n1.example.org";

fn of_kube_ovn(name: &str, namespace: &str, subnet: &str, addresses: &str) -> api::Ip {
    let record_name = if namespace.is_empty() {
        format!("node-{name}")
    } else {
        format!("{name}.{namespace}")
    };
    serde_json::from_value(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "IP",
        "metadata": {
            "name": record_name, "uid": format!("uid-of-{record_name}"), "labels": labels(subnet),
        },
        "spec": {
            "podName": name, "namespace": namespace, "subnet": subnet, "nodeName": NODE,
            "ipAddress": addresses, "macAddress": "00:00:00:00:00:09",
            "attachIps": [addresses], "attachMacs": [], "attachSubnets": [],
        },
    }))
    .unwrap()
}

/// A dual-stack cluster with a pod on a node whose name has dots.
fn adopted() -> (Index, core::Node, core::Pod) {
    let mut index = cluster();
    for (name, cidr) in [
        ("ovn-default", "10.16.0.0/16,fd00:10:16::/112"),
        ("join", "100.64.0.0/16,fd00:100:64::/112"),
    ] {
        let spec = api::SubnetSpec {
            cidr_block: cidr.to_owned(),
            ..Default::default()
        };
        index.apply(&api::Subnet::new(name, spec));
    }
    let node: core::Node = serde_json::from_value(json!({"metadata": {
        "name": NODE, "uid": "uid-node", "annotations": {
            "ovn.kubernetes.io/allocated": "true",
            "ovn.kubernetes.io/ip_address": "100.64.0.2,fd00:100:64::2",
            "ovn.kubernetes.io/mac_address": "00:00:00:00:00:09",
            "ovn.kubernetes.io/cidr": "100.64.0.0/16,fd00:100:64::/112",
            "ovn.kubernetes.io/gateway": "100.64.0.1,fd00:100:64::1",
            "ovn.kubernetes.io/port_name": format!("node-{NODE}"),
        },
    }}))
    .unwrap();
    let pod = pod("a")
        .on(NODE)
        .phase("Running")
        .allocated("10.16.0.2,fd00:10:16::2")
        .annotated("cidr", "10.16.0.0/16,fd00:10:16::/112")
        .annotated("gateway", "10.16.0.1,fd00:10:16::1")
        .build();
    index.apply(&node);
    index.apply(&pod);
    index.apply(&of_kube_ovn(NODE, "", "join", "100.64.0.2,fd00:100:64::2"));
    index.apply(&of_kube_ovn(
        "a",
        "default",
        "ovn-default",
        "10.16.0.2,fd00:10:16::2",
    ));
    (index, node, pod)
}

#[test]
fn dual_stack_pods_and_nodes_with_dots_in_their_names_keep_what_they_have_and_nothing_is_written() {
    let (mut index, _, _) = adopted();
    let mut ledger = Ledger::default();
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    let (_, port) = index.inputs().ports.first_key_value().unwrap();
    assert_eq!(port.uid, "", "its interface carries no version");
    index.apply(&pod("b").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(
        addresses(&decisions),
        [pair("b", "10.16.0.3,fd00:10:16::3")]
    );
}

#[test]
fn a_record_of_kube_ovn_that_somebody_deletes_is_made_again_with_the_same_addresses() {
    let (mut index, _, pod) = adopted();
    let mut ledger = Ledger::default();
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    index.delete(&of_kube_ovn(
        "a",
        "default",
        "ovn-default",
        "10.16.0.2,fd00:10:16::2",
    ));
    assert_eq!(version(&index), "", "its interface still carries none");
    let decisions = settle(&mut ledger, &mut index, &[pod]);
    assert_eq!(
        addresses(&decisions),
        [pair("a", "10.16.0.2,fd00:10:16::2")]
    );
    assert_eq!(version(&index), "", "its interface still carries none");
}

#[test]
fn what_is_left_of_a_pod_of_kube_ovn_never_makes_it_one_of_ours() {
    let (mut index, _, pod) = adopted();
    let mut ledger = Ledger::default();
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    let mut value = serde_json::to_value(&pod).unwrap();
    value["metadata"]["annotations"] = json!({});
    let bare: core::Pod = serde_json::from_value(value).unwrap();
    index.apply(&bare);
    assert_eq!(version(&index), "");
    let decisions = settle(&mut ledger, &mut index, &[bare]);
    assert!(!decisions.is_empty());
    assert_eq!(version(&index), "", "its annotations are written again");
}

#[test]
fn a_pod_that_we_attached_is_ours_whatever_becomes_of_its_record() {
    let mut index = cluster();
    let mut ledger = Ledger::default();
    let new = pod("a").build();
    index.apply(&new);
    let decisions = settle(&mut ledger, &mut index, std::slice::from_ref(&new));
    assert_eq!(version(&index), "uid-a");
    let Some(Decision::Record(recorded)) = decisions.first() else {
        panic!("{decisions:?}");
    };
    let mut running = patched(&new, &annotation_patch(recorded));
    running.status.as_mut().unwrap().phase = Some("Running".to_owned());
    index.apply(&running);
    index.delete(&created(recorded));
    assert_eq!(version(&index), "uid-a");
}

/// What the interface of the only pod carries, as its port has it.
fn version(index: &Index) -> &str {
    &index.inputs().ports.values().next().unwrap().uid
}

#[test]
fn r25_what_kube_ovn_recorded_of_a_node_with_dots_in_its_name_goes_with_the_node() {
    let (mut index, node, pod) = adopted();
    let mut ledger = Ledger::default();
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    index.delete(&node);
    index.delete(&pod);
    let gone = decide_all(&mut ledger, &mut index);
    let names = gone.iter().map(|it| match it {
        Decision::Forget { name, .. } => name.as_str(),
        Decision::Settled
        | Decision::Record(_)
        | Decision::Annotate(_)
        | Decision::Renew { .. }
        | Decision::Mend { .. }
        | Decision::Disregard { .. }
        | Decision::Locate { .. }
        | Decision::Refuse(_) => panic!("{it:?}"),
    });
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["node-n1.example.org", "a.default"]
    );
}
