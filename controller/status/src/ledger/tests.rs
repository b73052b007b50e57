mod adopted;
mod churn;
mod edited;
mod leaders;
mod life;
mod nodes;
mod reserved;
mod stateful_set;
mod told;
mod wish;

use std::collections::VecDeque;

use controller_index::Nic;
use k8s_openapi::api::core::v1 as core;
use model::{MacAddr, PodKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::api_server::merge;
use crate::fixture::index_of_default_vpc;
use crate::writer::objects::{annotation_patch, ip_object, renewal_patch};

/// An index with the default VPC, `ovn-default` (10.16.0.0/16) and `join` (100.64.0.0/16).
fn cluster() -> Index {
    let mut index = index_of_default_vpc();
    for (name, cidr) in [("ovn-default", "10.16.0.0/16"), ("join", "100.64.0.0/16")] {
        index.apply(&subnet(name, cidr, ""));
    }
    index
}

fn subnet(name: &str, cidr: &str, gateway: &str) -> api::Subnet {
    let spec = api::SubnetSpec {
        cidr_block: cidr.to_owned(),
        gateway: gateway.to_owned(),
        ..Default::default()
    };
    api::Subnet::new(name, spec)
}

struct PodObject(Value);

fn pod(name: &str) -> PodObject {
    PodObject(json!({
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "annotations": {}},
        "spec": {"containers": [], "nodeName": "n1"},
        "status": {"phase": "Pending"},
    }))
}

impl PodObject {
    fn uid(mut self, uid: &str) -> Self {
        self.0["metadata"]["uid"] = uid.into();
        self
    }

    /// Of the StatefulSet that its name says.
    fn of_set(mut self) -> Self {
        let (set, _) = self.0["metadata"]["name"]
            .as_str()
            .unwrap()
            .rsplit_once('-')
            .unwrap();
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": set, "uid": "s"});
        self.0["metadata"]["ownerReferences"] = json!([owner]);
        self
    }

    fn on(mut self, node: &str) -> Self {
        self.0["spec"]["nodeName"] = node.into();
        self
    }

    /// Sets a field by its JSON pointer's last two steps.
    fn with(mut self, part: &str, field: &str, value: impl Into<Value>) -> Self {
        self.0[part][field] = value.into();
        self
    }

    fn phase(mut self, phase: &str) -> Self {
        self.0["status"]["phase"] = phase.into();
        self
    }

    fn annotated(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][format!("ovn.kubernetes.io/{key}")] = value.into();
        self
    }

    fn allocated(self, address: &str) -> Self {
        self.annotated("allocated", "true")
            .annotated("logical_switch", "ovn-default")
            .annotated("ip_address", address)
            .annotated("mac_address", "00:00:00:00:00:09")
            .annotated("cidr", "10.16.0.0/16")
            .annotated("gateway", "10.16.0.1")
            .annotated("routed", "true")
            .annotated("network_type", "geneve")
            .annotated("pod_nic_type", "veth-pair")
    }

    fn on_host_network(mut self) -> Self {
        self.0["spec"]["hostNetwork"] = true.into();
        self
    }

    fn build(self) -> core::Pod {
        serde_json::from_value(self.0).unwrap()
    }
}

fn labels(subnet: &str) -> Value {
    json!({"ovn.kubernetes.io/subnet": subnet, subnet: ""})
}

fn record(pod: &str, claimant_uid: &str, address: &str) -> api::Ip {
    serde_json::from_value(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "IP",
        "metadata": {
            "name": format!("{pod}.default"),
            "uid": format!("uid-of-record-{pod}"),
            "annotations": {"ovn.kubernetes.io/claimant-uid": claimant_uid},
            "labels": labels("ovn-default"),
        },
        "spec": {
            "podName": pod, "namespace": "default", "subnet": "ovn-default", "nodeName": "n1",
            "ipAddress": address, "macAddress": "00:00:00:00:00:09",
        },
    }))
    .unwrap()
}

/// The record as the writer creates it, with a UID as the API server gives one.
fn created(recorded: &Recorded) -> api::Ip {
    let mut record = ip_object(recorded);
    let name = record.metadata.name.as_deref().unwrap();
    let pod = name.split('.').next().unwrap();
    record.metadata.uid = Some(format!("uid-of-record-{pod}"));
    record
}

/// The object after one of the writer's merge patches.
fn patched<K: Serialize + DeserializeOwned>(object: &K, patch: &Value) -> K {
    let mut object = serde_json::to_value(object).unwrap();
    assert_eq!(object["metadata"]["uid"], patch["metadata"]["uid"]);
    merge(&mut object, patch);
    serde_json::from_value(object).unwrap()
}

/// Carries out every decision until nothing is left to do, and returns the decisions.
fn settle(ledger: &mut Ledger, index: &mut Index, pods: &[core::Pod]) -> Vec<Decision> {
    let mut all = Vec::new();
    loop {
        let decisions = decide_all(ledger, index);
        if decisions.is_empty() {
            return all;
        }
        for decision in &decisions {
            carry_out(index, pods, decision);
        }
        all.extend(decisions);
    }
}

fn carry_out(index: &mut Index, pods: &[core::Pod], decision: &Decision) {
    match decision {
        Decision::Record(recorded)
        | Decision::Annotate(recorded)
        | Decision::Mend { recorded, .. }
        | Decision::Renew { recorded, .. } => {
            let uid = Some(recorded.uid.as_str());
            let pod = pods.iter().find(|pod| pod.metadata.uid.as_deref() == uid);
            if !matches!(decision, Decision::Annotate(_)) {
                index.apply(&created(recorded));
            }
            index.apply(&patched(pod.unwrap(), &annotation_patch(recorded)));
        }
        Decision::Forget { name, .. } => {
            let mut gone = record("any", "", "10.16.0.2");
            gone.metadata.name = Some(name.clone());
            index.delete(&gone);
        }
        Decision::Settled
        | Decision::Locate { .. }
        | Decision::Disregard { .. }
        | Decision::Refuse(_) => {}
    }
}

fn address_of(index: &Index, pod: &str) -> Option<String> {
    let record = index.records().get(&format!("{pod}.default"))?;
    Some(record.addresses.to_string())
}

fn refusal(decisions: &[Decision]) -> &Refusal {
    let refusals = decisions.iter().filter_map(|decision| {
        if let Decision::Refuse(refusal) = decision {
            Some(refusal)
        } else {
            None
        }
    });
    let refusals: Vec<_> = refusals.collect();
    assert_eq!(refusals.len(), 1, "{decisions:?}");
    refusals[0]
}

fn claimant(name: &str) -> Claimant {
    Claimant::Pod(PodKey::new("default", name).unwrap())
}

/// The decisions about everyone who changed, in the order in which they are made.
fn decide_all(ledger: &mut Ledger, index: &mut Index) -> Vec<Decision> {
    let mut waiting = VecDeque::from(ledger.update(index));
    waiting.extend(index.take_outdated());
    let mut decisions = Vec::new();
    while let Some(claimant) = waiting.pop_front() {
        decisions.push(ledger.decide(index, &claimant));
        waiting.extend(ledger.take_retries());
    }
    decisions.retain(|decision| *decision != Decision::Settled);
    decisions
}

fn addresses(decisions: &[Decision]) -> Vec<(String, String)> {
    let recorded = decisions.iter().map(|decision| match decision {
        Decision::Record(recorded) | Decision::Annotate(recorded) => recorded,
        Decision::Settled
        | Decision::Renew { .. }
        | Decision::Mend { .. }
        | Decision::Disregard { .. }
        | Decision::Locate { .. }
        | Decision::Forget { .. }
        | Decision::Refuse(_) => panic!("{decision:?}"),
    });
    recorded
        .map(|it| (it.claimant.to_string(), it.addresses.to_string()))
        .collect()
}

fn pair(claimant: &str, address: &str) -> (String, String) {
    (format!("pod default/{claimant}"), address.to_owned())
}

#[test]
fn pods_get_the_lowest_free_addresses() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").build());
    index.apply(&pod("b").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(
        addresses(&decisions),
        [pair("a", "10.16.0.2"), pair("b", "10.16.0.3")]
    );
}

#[test]
fn a_decision_that_was_made_is_made_again_the_same() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").build());
    let first = decide_all(&mut ledger, &mut index);
    assert_eq!(vec![ledger.decide(&index, &claimant("a"))], first);
}

#[test]
fn a_record_that_was_made_before_its_pod_had_a_node_gets_the_node() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let mut object = record("a", "uid-a", "10.16.0.2");
    object.spec.node_name.clear();
    index.apply(&pod("a").allocated("10.16.0.2").build());
    index.apply(&object);
    let locate = Decision::Locate {
        name: "a.default".to_owned(),
        uid: "uid-of-record-a".to_owned(),
        node: NodeName::new("n1").unwrap(),
    };
    assert_eq!(decide_all(&mut ledger, &mut index), [locate]);
    index.apply(&record("a", "uid-a", "10.16.0.2"));
    assert_eq!(decide_all(&mut ledger, &mut index), []);
}

#[test]
fn r03_what_annotations_say_is_known_before_the_first_choice() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").build());
    index.apply(&pod("z").phase("Running").allocated("10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(
        addresses(&decisions),
        [pair("z", "10.16.0.2"), pair("a", "10.16.0.3")]
    );
}

#[test]
fn r03_what_records_say_is_known_before_the_first_choice() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").build());
    index.apply(&pod("b").build());
    index.apply(&record("b", "uid-b", "10.16.0.2"));
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(
        addresses(&decisions),
        [pair("b", "10.16.0.2"), pair("a", "10.16.0.3")]
    );
}

#[test]
fn a_pod_whose_record_was_written_before_a_crash_is_annotated_from_it() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").build());
    index.apply(&record("a", "uid-a", "10.16.0.50"));
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(
        matches!(decisions.as_slice(), [Decision::Annotate(_)]),
        "{decisions:?}"
    );
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.50")]);
}

#[test]
fn r04_a_record_of_a_former_pod_goes_before_its_successor_gets_an_address() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let former = record("a", "uid-former", "10.16.0.9");
    index.apply(&former);
    index.apply(&pod("a").uid("uid-new").build());
    let forget = Decision::Forget {
        name: "a.default".to_owned(),
        uid: "uid-of-record-a".to_owned(),
    };
    assert_eq!(decide_all(&mut ledger, &mut index), [forget]);
    index.delete(&former);
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(
        matches!(decisions.as_slice(), [Decision::Record(_)]),
        "{decisions:?}"
    );
}

#[test]
fn the_record_of_a_pod_that_finished_or_vanished_is_deleted() {
    let finished = pod("a")
        .phase("Succeeded")
        .with("spec", "restartPolicy", "Never");
    for object in [Some(finished.build()), None] {
        let (mut ledger, mut index) = (Ledger::default(), cluster());
        index.apply(&record("a", "uid-a", "10.16.0.2"));
        if let Some(object) = object {
            index.apply(&object);
        }
        let decisions = decide_all(&mut ledger, &mut index);
        assert!(
            matches!(decisions.as_slice(), [Decision::Forget { .. }]),
            "{decisions:?}"
        );
    }
}

#[test]
fn an_address_is_free_once_its_record_is_deleted() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let held = record("a", "uid-a", "10.16.0.2");
    index.apply(&held);
    decide_all(&mut ledger, &mut index);
    index.delete(&held);
    decide_all(&mut ledger, &mut index);
    index.apply(&pod("b").annotated("ip_address", "10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("b", "10.16.0.2")]);
}

#[test]
fn a_static_address_that_is_taken_is_refused_with_the_holder_named() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&record("a", "uid-a", "10.16.0.2"));
    index.apply(&pod("a").build());
    index.apply(&pod("b").annotated("ip_address", "10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    let refusal = decisions.iter().find_map(|decision| {
        if let Decision::Refuse(refusal) = decision {
            Some(refusal)
        } else {
            None
        }
    });
    let refusal = refusal.unwrap();
    assert_eq!(refusal.claimant, claimant("b"));
    assert!(refusal.message.contains("10.16.0.2") && refusal.message.contains("a.default"));
}

#[test]
fn a_pod_on_the_host_network_and_one_that_ran_without_us_get_nothing() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").on_host_network().build());
    index.apply(&pod("b").phase("Running").build());
    assert_eq!(decide_all(&mut ledger, &mut index), []);
}

#[test]
fn a_record_that_names_neither_pod_nor_node_is_left_alone() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let mut attachment = record("a", "uid-a", "10.16.0.2");
    attachment.metadata.name = Some("a.default.blue.infra.ovn".to_owned());
    index.apply(&attachment);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    index.apply(&pod("b").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("b", "10.16.0.3")]);
}

fn node(name: &str) -> core::Node {
    serde_json::from_value(json!({"metadata": {"name": name, "uid": name}})).unwrap()
}

/// Of 100.64.0.1 to 100.64.0.6 the first is the gateway and the last the slot.
#[test]
fn no_node_gets_an_address_of_the_slots() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&subnet("join", "100.64.0.0/29", ""));
    for name in ["n1", "n2", "n3", "n4", "n5"] {
        index.apply(&node(name));
    }
    let mut decisions = decide_all(&mut ledger, &mut index);
    let last = decisions.pop().unwrap();
    let node = |number| {
        (
            format!("node n{number}"),
            format!("100.64.0.{}", number + 1),
        )
    };
    assert_eq!(addresses(&decisions), [1, 2, 3, 4].map(node));
    assert!(refusal(&[last]).message.contains("`join`"), "{decisions:?}");
}

#[test]
fn nobody_gets_a_slot_of_gateways_by_asking_for_it() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let join: api::Subnet = serde_json::from_value(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet",
        "metadata": {
            "name": "join",
            "annotations": {api::annotation::GATEWAY_SLOTS: "n1 100.64.240.0"},
        },
        "spec": {"cidrBlock": "100.64.0.0/16"},
    }))
    .unwrap();
    index.apply(&join);
    let spec = api::SubnetSpec {
        cidr_block: "10.20.0.0/16".to_owned(),
        gateway_type: "centralized".to_owned(),
        gateway_node: "n1".to_owned(),
        ..Default::default()
    };
    index.apply(&api::Subnet::new("s", spec));
    let ask = |name: &str, address: &str| {
        let asking = pod(name).annotated("logical_switch", "join");
        asking.annotated("ip_address", address).build()
    };
    index.apply(&ask("a", "100.64.240.0"));
    let decisions = decide_all(&mut ledger, &mut index);
    let [Decision::Refuse(refusal)] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    assert!(
        refusal.message.starts_with("100.64.240.0 of subnet `join`"),
        "{refusal:?}"
    );
    index.apply(&ask("b", "100.64.240.1"));
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("b", "100.64.240.1")]);
}

#[test]
fn a_pod_waits_for_its_subnet_and_is_looked_at_when_it_comes() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    index.apply(&pod("a").annotated("logical_switch", "later").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert!(
        matches!(decisions.as_slice(), [Decision::Refuse(_)]),
        "{decisions:?}"
    );
    let spec = api::SubnetSpec {
        cidr_block: "10.20.0.0/16".to_owned(),
        ..Default::default()
    };
    index.apply(&api::Subnet::new("later", spec));
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.20.0.2")]);
}
