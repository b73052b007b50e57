use std::collections::BTreeMap;

use super::*;

const ANNOTATIONS: [(&str, &str); 4] = [
    ("ovn.kubernetes.io/allocated", "true"),
    ("ovn.kubernetes.io/ip_address", "10.16.0.5"),
    ("ovn.kubernetes.io/mac_address", "00:00:00:AA:BB:CC"),
    ("ovn.kubernetes.io/cidr", "10.16.0.0/16"),
];

fn port() -> PortKey {
    PortKey::primary(PodKey::new("default", "web-0").unwrap())
}

fn table(uid: &str, annotations: &[(&str, &str)]) -> Table<Pod> {
    let annotations = annotations
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let pod = Pod {
        uid: uid.to_owned(),
        annotations: annotations.collect(),
        phase: crate::object::Phase::Current,
    };
    let name = ("default".to_owned(), "web-0".to_owned());
    Table {
        is_synced: true,
        rows: BTreeMap::from([(name, pod)]),
    }
}

#[test]
fn a_pod_with_addresses_is_ready() {
    let look = look(&table("u", &ANNOTATIONS), &port(), Some("u"));
    assert!(matches!(look, Look::Ready(found) if found.uid == "u"));
}

#[test]
fn the_addresses_of_an_earlier_pod_of_the_same_name_are_not_used() {
    let look = look(&table("earlier", &ANNOTATIONS), &port(), Some("u"));
    assert!(matches!(look, Look::Absent), "{look:?}");
}

#[test]
fn an_incomplete_table_says_nothing_about_a_pod() {
    let mut table = table("earlier", &ANNOTATIONS);
    table.is_synced = false;
    let look = look(&table, &port(), Some("u"));
    assert!(
        matches!(look, Look::Wait(Error::Unsynced { .. })),
        "{look:?}"
    );
}

#[test]
fn a_pod_without_addresses_is_waited_for() {
    let look = look(&table("u", &ANNOTATIONS[1..]), &port(), None);
    assert!(
        matches!(look, Look::Wait(Error::Unallocated { .. })),
        "{look:?}"
    );
}

#[test]
fn addresses_that_cannot_be_read_are_waited_for_with_the_reason() {
    let look = look(&table("u", &ANNOTATIONS[..2]), &port(), None);
    let Look::Wait(error) = look else {
        panic!("{look:?}");
    };
    assert!(error.to_string().contains("default/web-0"), "{error}");
    assert!(matches!(error, Error::Invalid { .. }));
}
