//! What claimants are told of their subnets follows the subnets.

use super::*;

const NEW_GATEWAY: &str = "10.16.255.254";

/// One pod that has all it needs, as the writer leaves it.
fn settled_pod(ledger: &mut Ledger, index: &mut Index) -> core::Pod {
    let object = pod("a").build();
    index.apply(&object);
    let decisions = decide_all(ledger, index);
    let [Decision::Record(recorded)] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    let object = patched(&object, &annotation_patch(recorded));
    index.apply(&created(recorded));
    index.apply(&object);
    assert_eq!(decide_all(ledger, index), []);
    object
}

fn annotation<'a>(recorded: &'a Value, key: &str) -> &'a Value {
    &recorded["metadata"]["annotations"][format!("ovn.kubernetes.io/{key}")]
}

fn annotated(decisions: &[Decision]) -> Value {
    let [Decision::Annotate(recorded)] = decisions else {
        panic!("{decisions:?}")
    };
    annotation_patch(recorded)
}

#[test]
fn the_annotations_of_pods_follow_the_gateway_and_the_cidr_of_their_subnet() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let object = settled_pod(&mut ledger, &mut index);
    index.apply(&subnet("ovn-default", "10.16.0.0/16", NEW_GATEWAY));
    let patch = annotated(&decide_all(&mut ledger, &mut index));
    assert_eq!(annotation(&patch, "gateway"), NEW_GATEWAY);
    let object = patched(&object, &patch);
    index.apply(&object);
    assert_eq!(decide_all(&mut ledger, &mut index), []);

    index.apply(&subnet(
        "ovn-default",
        "10.16.0.0/16,fd00:10:16::/112",
        NEW_GATEWAY,
    ));
    let patch = annotated(&decide_all(&mut ledger, &mut index));
    assert_eq!(annotation(&patch, "cidr"), "10.16.0.0/16,fd00:10:16::/112");
    assert_eq!(annotation(&patch, "ip_address"), "10.16.0.2");
}

/// The router answers for it as long as one does.
#[test]
fn pods_keep_the_gateway_in_their_routes_while_it_is_kept_from_others() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let object = settled_pod(&mut ledger, &mut index);
    let mut edited = subnet("ovn-default", "10.16.0.0/16", NEW_GATEWAY);
    edited.spec.exclude_ips = vec!["10.16.0.1".to_owned(), NEW_GATEWAY.to_owned()];
    index.apply(&edited);
    assert_eq!(decide_all(&mut ledger, &mut index), []);

    edited.spec.cidr_block = "10.16.0.0/15".to_owned();
    index.apply(&edited);
    let patch = annotated(&decide_all(&mut ledger, &mut index));
    assert_eq!(annotation(&patch, "cidr"), "10.16.0.0/15");
    assert_eq!(annotation(&patch, "gateway"), "10.16.0.1");
    index.apply(&patched(&object, &patch));
    assert_eq!(decide_all(&mut ledger, &mut index), []);

    edited.spec.exclude_ips.remove(0);
    index.apply(&edited);
    let patch = annotated(&decide_all(&mut ledger, &mut index));
    assert_eq!(annotation(&patch, "gateway"), NEW_GATEWAY);
}

#[test]
fn another_leader_refreshes_annotations_that_became_outdated_meanwhile() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&subnet("ovn-default", "10.16.0.0/16", NEW_GATEWAY));
    index.apply(&pod("a").phase("Running").allocated("10.16.0.2").build());
    index.apply(&record("a", "uid-a", "10.16.0.2"));
    let patch = annotated(&decide_all(&mut ledger, &mut index));
    assert_eq!(annotation(&patch, "gateway"), NEW_GATEWAY);
    assert_eq!(annotation(&patch, "mac_address"), "00:00:00:00:00:09");
}

#[test]
fn the_annotations_of_nodes_follow_the_join_subnet() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&node("n1"));
    let decisions = decide_all(&mut ledger, &mut index);
    let [Decision::Record(recorded)] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    index.apply(&created(recorded));
    index.apply(&patched(&node("n1"), &annotation_patch(recorded)));
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    index.apply(&subnet("join", "100.64.0.0/15", ""));
    let patch = annotated(&decide_all(&mut ledger, &mut index));
    assert_eq!(annotation(&patch, "cidr"), "100.64.0.0/15");
    assert_eq!(annotation(&patch, "port_name"), "node-n1");
}

/// Each of them alone, whatever else is there.
#[test]
fn what_a_user_removes_of_a_pod_comes_back_with_the_same_addresses() {
    for key in ["routed", "network_type", "pod_nic_type", "cidr", "gateway"] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        let mut object = settled_pod(&mut ledger, &mut index);
        let annotations = object.metadata.annotations.as_mut().unwrap();
        let removed = annotations.remove(&format!("ovn.kubernetes.io/{key}"));
        index.apply(&object);
        let patch = annotated(&decide_all(&mut ledger, &mut index));
        assert_eq!(annotation(&patch, key), &json!(removed.unwrap()));
        assert_eq!(annotation(&patch, "ip_address"), "10.16.0.2");
        index.apply(&patched(&object, &patch));
        assert_eq!(decide_all(&mut ledger, &mut index), [], "{key}");
    }
}

#[test]
fn what_a_user_removes_of_a_node_comes_back_with_the_same_addresses() {
    for key in ["port_name", "cidr", "gateway"] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        index.apply(&node("n1"));
        let decisions = decide_all(&mut ledger, &mut index);
        let [Decision::Record(recorded)] = decisions.as_slice() else {
            panic!("{decisions:?}")
        };
        index.apply(&created(recorded));
        let mut object = patched(&node("n1"), &annotation_patch(recorded));
        index.apply(&object);
        assert_eq!(decide_all(&mut ledger, &mut index), []);
        let annotations = object.metadata.annotations.as_mut().unwrap();
        annotations.remove(&format!("ovn.kubernetes.io/{key}"));
        index.apply(&object);
        let patch = annotated(&decide_all(&mut ledger, &mut index));
        assert_eq!(annotation(&patch, "port_name"), "node-n1", "{key}");
        assert_eq!(annotation(&patch, "ip_address"), "100.64.0.2");
    }
}

/// The rows keep the network that was accepted, and so do the pods.
#[test]
fn pods_are_told_the_network_that_was_accepted() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    settled_pod(&mut ledger, &mut index);
    let mut accepted = subnet("ovn-default", "10.16.0.0/15", "");
    let network = "ovn-cluster 10.16.0.0/16 10.16.0.1".to_owned();
    let annotations = accepted.metadata.annotations.get_or_insert_default();
    annotations.insert("ovn.kubernetes.io/accepted-network".to_owned(), network);
    index.apply(&subnet("neighbour", "10.17.0.0/16", ""));
    index.apply(&accepted);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
}
