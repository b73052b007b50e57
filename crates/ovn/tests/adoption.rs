//! Rows without an owner: whose they may become, and that a namesake of somebody else is left alone.
#![cfg(test)]

use std::sync::Arc;

use ovn::{Change, RowKey, View, operations};
use ovsdb::{Condition, Datum, Operation, Row};
use uuid::Uuid;

const SWITCH: &str = "Logical_Switch";
const PORT: &str = "Logical_Switch_Port";

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Table, number, name and `external_ids` of a row.
type Given<'a> = (&'a str, u128, &'a str, &'a [(&'a str, &'a str)]);

fn view(rows: &[Given<'_>]) -> View {
    let mut view = View::default();
    let rows: Vec<_> = rows
        .iter()
        .map(|(table, number, name, ids)| {
            let ids = Datum::map(ids.iter().copied());
            let row = Row::new().with("name", *name).with("external_ids", ids);
            (*table, uuid(*number), Arc::new(row))
        })
        .collect();
    view.update(
        rows.iter()
            .map(|(table, uuid, row)| (*table, *uuid, Some(row))),
    );
    view
}

fn switch(name: &str) -> RowKey {
    RowKey::LogicalSwitch(name.to_owned())
}

fn is_adoptable(table: &str, name: &str, ids: &[(&str, &str)]) -> bool {
    let key = if table == SWITCH {
        switch(name)
    } else {
        RowKey::LogicalSwitchPort(name.to_owned())
    };
    view(&[(table, 1, name, ids)]).adoptable(&key).is_some()
}

#[test]
fn r24_a_row_that_says_nothing_or_is_of_kube_ovn_may_become_ours() {
    assert!(is_adoptable(SWITCH, "s", &[]));
    assert!(is_adoptable(SWITCH, "s", &[("vendor", "kube-ovn")]));
    assert!(is_adoptable(PORT, "s-r", &[("vendor", "kube-ovn")]));
}

#[test]
fn r24_a_row_of_somebody_else_never_becomes_ours() {
    assert!(!is_adoptable(SWITCH, "s", &[("vendor", "other")]));
    assert!(!is_adoptable(SWITCH, "s", &[("neutron:name", "s")]));
    let newer = [("vendor", "kube-ovn"), ("kube-ovn-owner", "future/thing")];
    assert!(!is_adoptable(SWITCH, "s", &newer));
}

#[test]
fn a_port_of_kube_ovn_tells_its_pod_or_node_by_its_name() {
    let owners = |name: &str, ids: &[(&str, &str)]| -> Vec<String> {
        let view = view(&[(PORT, 1, name, ids)]);
        view.owners().map(ToString::to_string).collect()
    };
    let ours = ("vendor", "kube-ovn");
    assert_eq!(owners("a.d", &[ours, ("pod", "d/a")]), ["port/d/a/ovn"]);
    assert_eq!(owners("node-n1.x", &[ours]), ["node/n1.x"]);
    // of an attachment, of another pod, of another vendor, of nobody
    assert!(owners("a.d.net.d.ovn", &[ours, ("pod", "d/a")]).is_empty());
    assert!(owners("a.d", &[ours, ("pod", "d/b")]).is_empty());
    assert!(owners("a.d", &[("vendor", "other"), ("pod", "d/a")]).is_empty());
    assert!(owners("node-n1", &[]).is_empty());
}

#[test]
fn r24_of_two_rows_of_one_name_ours_is_meant() {
    let ours = [("vendor", "kube-ovn"), ("kube-ovn-owner", "subnet/s")];
    let view = view(&[
        (SWITCH, 1, "s", &[("vendor", "other")]),
        (SWITCH, 2, "s", &[]),
        (SWITCH, 3, "s", &ours),
    ]);
    assert_eq!(view.uuid(&switch("s")), Some(uuid(3)));
    assert!(view.adoptable(&switch("s")).is_none());
    let rows = view.rows_of(&"subnet/s".parse().unwrap());
    let deletes: Vec<Change> = rows
        .into_iter()
        .map(|(key, row)| Change::Delete { key, row })
        .collect();
    let delete = Operation::Delete {
        table: SWITCH.to_owned(),
        condition: Condition::uuid(uuid(3)),
    };
    assert_eq!(operations(&deletes, &view, Uuid::new_v4), Ok(vec![delete]));
}
