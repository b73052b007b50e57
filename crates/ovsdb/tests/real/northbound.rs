//! Transactions and options for the NB database.

use std::collections::BTreeSet;

use ovsdb::{
    Atom, Client, Columns, Condition, Datum, Mutation, Operation, Options, Outcome, Remote, Row,
    Transaction, Uuid,
};

use crate::server::{NB, soon};

pub(crate) const SWITCH: &str = "Logical_Switch";
pub(crate) const PORT: &str = "Logical_Switch_Port";

/// Options that copy switches and ports whole.
pub(crate) fn options(remotes: impl IntoIterator<Item = Remote>) -> Options {
    Options::new(remotes.into_iter().collect(), NB)
        .table(SWITCH, Columns::All)
        .table(PORT, Columns::All)
}

pub(crate) fn add_switch(uuid: Uuid, name: &str) -> Operation {
    insert(SWITCH, uuid, Row::new().with("name", name))
}

pub(crate) fn insert(table: &str, uuid: Uuid, row: Row) -> Operation {
    Operation::Insert {
        table: table.to_owned(),
        uuid: Some(uuid),
        row,
    }
}

pub(crate) fn update(table: &str, uuid: Uuid, row: Row) -> Operation {
    Operation::Update {
        table: table.to_owned(),
        condition: Condition::uuid(uuid),
        row,
    }
}

/// A port and its place in a switch.
pub(crate) fn add_port(switch: Uuid, uuid: Uuid, name: &str) -> Transaction {
    let row = Row::new()
        .with("name", name)
        .with("addresses", Datum::set(["00:00:00:00:00:01 10.0.0.1"]))
        .with("external_ids", Datum::map([("pod", name)]));
    Transaction::new()
        .with(insert(PORT, uuid, row))
        .with(Operation::Mutate {
            table: SWITCH.to_owned(),
            condition: Condition::uuid(switch),
            mutations: vec![Mutation::insert("ports", Atom::Uuid(uuid))],
        })
}

/// Runs a transaction that must succeed.
pub(crate) async fn commit(client: &Client, transaction: impl Into<Transaction>) {
    assert_eq!(
        soon(client.transact(transaction.into())).await,
        Outcome::Committed
    );
}

/// The names of the switches that a client sees.
pub(crate) fn switches(client: &Client) -> BTreeSet<String> {
    let database = client.replica().read();
    database
        .table(SWITCH)
        .values()
        .map(|row| row.str("name").to_owned())
        .collect()
}

/// Waits until a client sees exactly these switches.
pub(crate) async fn sees(client: &Client, names: &[&str]) {
    let wanted: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut versions = client.replica().watch();
    soon(versions.wait_for(|_| switches(client) == wanted))
        .await
        .unwrap();
}
