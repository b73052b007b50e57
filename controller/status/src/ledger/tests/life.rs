//! When addresses are free again.

use k8s_openapi::jiff::Timestamp;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Deleted with a grace period of 30 seconds at 12:00:00.
fn terminating(name: &str) -> PodObject {
    pod(name)
        .phase("Running")
        .allocated("10.16.0.2")
        .with("metadata", "deletionTimestamp", "2026-01-01T12:00:30Z")
        .with("metadata", "deletionGracePeriodSeconds", 30)
}

fn frees(object: PodObject) -> bool {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&object.allocated("10.16.0.2").build());
    index.apply(&record("a", "uid-a", "10.16.0.2"));
    let decisions = decide_all(&mut ledger, &mut index);
    let frees = decisions
        .iter()
        .any(|it| matches!(it, Decision::Forget { .. }));
    assert_eq!(frees, index.inputs().ports.is_empty());
    frees
}

#[test]
fn the_addresses_of_a_pod_that_ended_are_free_unless_it_starts_again() {
    for (phase, restarts, reason, expected) in [
        ("Pending", "Never", "", false),
        ("Running", "Never", "", false),
        ("Unknown", "Never", "", false),
        ("Succeeded", "Always", "", false),
        ("Succeeded", "OnFailure", "", true),
        ("Succeeded", "Never", "", true),
        ("Failed", "Always", "", false),
        ("Failed", "OnFailure", "", false),
        ("Failed", "Never", "", true),
        ("Failed", "Always", "Evicted", true),
        ("Running", "Always", "Evicted", false),
    ] {
        let object = pod("a")
            .phase(phase)
            .with("spec", "restartPolicy", restarts);
        let frees = frees(object.with("status", "reason", reason));
        assert_eq!(frees, expected, "{phase} {restarts} {reason}");
    }
}

#[test]
fn r06_a_pod_that_is_terminating_for_longer_than_its_grace_period_gives_its_address_back() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.tick(at("2026-01-01T12:00:01Z"));
    let held = record("a", "uid-a", "10.16.0.2");
    index.apply(&held);
    index.apply(&terminating("a").build());
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    assert!(!index.is_due(at("2026-01-01T12:00:59Z")));
    assert_eq!(index.inputs().ports.len(), 1);

    assert!(index.is_due(at("2026-01-01T12:01:00Z")));
    index.tick(at("2026-01-01T12:01:00Z"));
    assert!(index.inputs().ports.is_empty());
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(
        matches!(decisions.as_slice(), [Decision::Forget { .. }]),
        "{decisions:?}"
    );
    index.delete(&held);
    decide_all(&mut ledger, &mut index);
    index.apply(&pod("b").annotated("ip_address", "10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("b", "10.16.0.2")]);
    assert!(!index.is_due(at("2027-01-01T12:01:00Z")));
}

#[test]
fn r06_a_leader_that_comes_later_gives_the_address_of_a_lost_pod_back_at_once() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.tick(at("2026-01-01T13:00:00Z"));
    index.apply(&terminating("a").build());
    index.apply(&record("a", "uid-a", "10.16.0.2"));
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(
        matches!(decisions.as_slice(), [Decision::Forget { .. }]),
        "{decisions:?}"
    );
}

#[test]
fn r06_a_pod_that_goes_in_time_leaves_no_timer() {
    let mut index = cluster();
    index.apply(&terminating("a").build());
    assert!(index.is_due(at("2026-01-01T13:00:00Z")));
    index.delete(&terminating("a").build());
    assert!(!index.is_due(at("2026-01-01T13:00:00Z")));
}

#[test]
fn r04_the_end_of_a_pod_does_not_touch_its_successor() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let pods = [pod("a").build(), pod("a").uid("next").build()];
    index.apply(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    // deleted and created again before anybody looked
    index.delete(&pods[0]);
    index.apply(&pods[1]);
    let decisions = settle(&mut ledger, &mut index, &pods);
    assert!(
        matches!(
            decisions.as_slice(),
            [Decision::Forget { .. }, Decision::Record(_)]
        ),
        "{decisions:?}"
    );
    let record = index.records().get(&"a.default".to_owned()).unwrap();
    assert_eq!(record.claimant_uid.as_deref(), Some("next"));
    let port = index.inputs().ports.values().next().unwrap();
    assert_eq!(
        (port.uid.as_str(), port.addresses),
        ("next", record.addresses)
    );
}

#[test]
fn a_pod_keeps_its_address_when_its_namespace_comes_to_another_subnet() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let pods = [pod("a").build(), pod("b").build()];
    index.apply(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    let spec = api::SubnetSpec {
        cidr_block: "10.20.0.0/16".to_owned(),
        namespaces: vec!["default".to_owned()],
        ..Default::default()
    };
    index.apply(&api::Subnet::new("other", spec));
    let running = pod("a").phase("Running").allocated("10.16.0.2");
    index.apply(&running.build());
    index.apply(&pods[1]);
    settle(&mut ledger, &mut index, &pods);
    let got = ["a", "b"].map(|pod| address_of(&index, pod).unwrap());
    assert_eq!(got, ["10.16.0.2", "10.20.0.2"]);
    let ports = index.inputs().ports.values();
    let switches: Vec<_> = ports.map(|port| port.subnet.as_str()).collect();
    assert_eq!(switches, ["ovn-default", "other"]);
}
