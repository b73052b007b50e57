//! Records that somebody wrote, edited or deleted by hand.

use super::*;
use crate::writer::mend::mending_patch;

/// Pod `a` runs with 10.16.0.2, and all is recorded.
fn world() -> (Ledger, Index, [core::Pod; 1], api::Ip) {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let pods = [pod("a").build()];
    index.apply(&pods[0]);
    settle(&mut ledger, &mut index, &pods);
    let mut running = pod("a").phase("Running").allocated("10.16.0.2");
    let mac = index.records().get(&"a.default".to_owned()).unwrap().mac;
    running = running.annotated("mac_address", &mac.to_string());
    let pods = [running.build()];
    index.apply(&pods[0]);
    let mut object = record("a", "uid-a", "10.16.0.2");
    object.spec.mac_address = mac.to_string();
    index.apply(&object);
    assert_eq!(settle(&mut ledger, &mut index, &pods), []);
    (ledger, index, pods, object)
}

/// What the next pod is given.
fn next(ledger: &mut Ledger, index: &mut Index) -> String {
    index.apply(&pod("next").build());
    let decisions = decide_all(ledger, index);
    let got = addresses(&decisions);
    let [(_, address)] = got.as_slice() else {
        panic!("{got:?}")
    };
    address.clone()
}

#[test]
fn what_somebody_writes_into_the_record_of_a_pod_is_written_over() {
    let edits: [fn(&mut api::Ip); 6] = [
        |it| it.spec.ip_address = "10.16.0.3".to_owned(),
        |it| it.spec.mac_address = "00:00:00:00:00:77".to_owned(),
        |it| it.spec.subnet = "join".to_owned(),
        |it| it.spec.ip_address = "nonsense".to_owned(),
        |it| it.spec.pod_name = "somebody".to_owned(),
        |it| it.spec.namespace.clear(),
    ];
    for edit in edits {
        let (mut ledger, mut index, pods, object) = world();
        let mut edited = object.clone();
        edit(&mut edited);
        index.apply(&edited);
        let port = index.inputs().ports.clone();
        let decisions = settle(&mut ledger, &mut index, &pods);
        let [
            Decision::Mend {
                record, recorded, ..
            },
        ] = decisions.as_slice()
        else {
            panic!("{decisions:?} for {:?}", edited.spec)
        };
        assert_eq!(record, "uid-of-record-a");
        assert_eq!(recorded.addresses.to_string(), "10.16.0.2");
        assert_eq!(recorded.mac.to_string(), object.spec.mac_address);
        assert_eq!(port, index.inputs().ports, "the pod goes on");
        assert_eq!(next(&mut ledger, &mut index), "10.16.0.3");
    }
}

#[test]
fn what_somebody_takes_from_the_record_of_a_pod_is_written_again() {
    let claimant = api::annotation::CLAIMANT_UID;
    let edits: [fn(&mut api::Ip); 4] = [
        |it| it.metadata.annotations = None,
        |it| it.metadata.labels = None,
        |it| drop(it.metadata.labels.as_mut().unwrap().remove("ovn-default")),
        |it| {
            let labels = it.metadata.labels.as_mut().unwrap();
            labels.insert(api::annotation::SUBNET_LABEL.to_owned(), "other".to_owned());
        },
    ];
    for edit in edits {
        let (mut ledger, mut index, _, object) = world();
        let mut edited = object.clone();
        edit(&mut edited);
        index.apply(&edited);
        let decisions = decide_all(&mut ledger, &mut index);
        let [
            Decision::Mend {
                record,
                claimant_uid,
                recorded,
                ..
            },
        ] = decisions.as_slice()
        else {
            panic!("{decisions:?} for {:?}", edited.metadata)
        };
        let patch = mending_patch(record, claimant_uid.as_deref(), recorded);
        let mended = patched(&edited, &patch);
        let annotations = mended.metadata.annotations.as_ref().unwrap();
        assert_eq!(annotations[claimant], "uid-a");
        assert_eq!(mended.metadata.labels, object.metadata.labels);
        assert_eq!(mended.spec.ip_address, "10.16.0.2");
        index.apply(&mended);
        assert_eq!(decide_all(&mut ledger, &mut index), []);
    }
}

/// Their interfaces carry no version, which the record tells by naming nobody.
#[test]
fn a_record_of_kube_ovn_gets_its_labels_back_and_goes_on_naming_nobody() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let mut object = record("a", "", "10.16.0.2");
    object.metadata.annotations = None;
    object.metadata.labels = None;
    index.apply(&object);
    index.apply(&pod("a").phase("Running").allocated("10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    let [
        Decision::Mend {
            claimant_uid: None, ..
        },
    ] = decisions.as_slice()
    else {
        panic!("{decisions:?}")
    };
}

#[test]
fn a_record_that_somebody_deletes_is_written_again_and_its_address_given_to_nobody() {
    let (mut ledger, mut index, _, object) = world();
    index.delete(&object);
    index.apply(&pod("b").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(
        addresses(&decisions),
        [pair("a", "10.16.0.2"), pair("b", "10.16.0.3")]
    );
    assert!(matches!(decisions[0], Decision::Record(_)), "{decisions:?}");
}

#[test]
fn a_record_of_nobody_counts_until_it_is_changed_or_deleted() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let mut object = record("any", "", "10.16.0.2");
    object.metadata.name = Some("reserved-by-hand".to_owned());
    index.apply(&object);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    object.spec.ip_address = "10.16.0.3".to_owned();
    index.apply(&object);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    index.apply(&pod("a").annotated("ip_address", "10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.2")]);
    assert_eq!(next(&mut ledger, &mut index), "10.16.0.4");
}

#[test]
fn a_record_of_an_address_that_a_pod_has_is_told_and_counts_once_the_pod_is_gone() {
    let (mut ledger, mut index, _, object) = world();
    let mut other = record("any", "", "10.16.0.2");
    other.metadata.name = Some("reserved-by-hand".to_owned());
    index.apply(&other);
    let decisions = decide_all(&mut ledger, &mut index);
    let [Decision::Disregard { name, uid, message }] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    assert_eq!(
        (name.as_str(), uid.as_str()),
        ("reserved-by-hand", "uid-of-record-any")
    );
    for word in ["10.16.0.2", "ovn-default", "`a.default`"] {
        assert!(message.contains(word), "{message}");
    }
    index.delete(&pod("a").build());
    index.delete(&object);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    index.apply(&pod("b").annotated("ip_address", "10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    let message = &refusal(&decisions).message;
    assert!(message.contains("`reserved-by-hand`"), "{message}");
}

#[test]
fn the_record_of_an_absent_pod_of_a_set_may_be_edited() {
    let (mut ledger, mut index) = (Ledger::default(), cluster());
    let set = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 1, "selector": {}, "serviceName": "", "template": {}},
    });
    let set: k8s_openapi::api::apps::v1::StatefulSet = serde_json::from_value(set).unwrap();
    index.apply(&set);
    let mut object = record("web-0", "uid-former", "10.16.0.2");
    object.spec.pod_type = "StatefulSet".to_owned();
    index.apply(&object);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    object.spec.ip_address = "10.16.0.9".to_owned();
    index.apply(&object);
    assert_eq!(decide_all(&mut ledger, &mut index), []);
    index.apply(&pod("a").annotated("ip_address", "10.16.0.2").build());
    let decisions = decide_all(&mut ledger, &mut index);
    assert_eq!(addresses(&decisions), [pair("a", "10.16.0.2")]);

    let pods = [pod("web-0").uid("uid-new").of_set().build()];
    index.apply(&pods[0]);
    let decisions = decide_all(&mut ledger, &mut index);
    let [Decision::Renew { recorded, .. }] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    assert_eq!(recorded.addresses.to_string(), "10.16.0.9");
}
