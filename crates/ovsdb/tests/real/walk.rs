//! Random walks: whatever happens, a client that was there all the time knows the same as one that
//! comes afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ovsdb::{
    ChangeSet, Client, Condition, Datum, Mutation, Mutator, Operation, Row, Transaction, Uuid,
};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use crate::{
    northbound::{PORT, SWITCH, add_port, add_switch, commit, options, update},
    server::{Standalone, connect, soon},
};

/// How many ports there can be.
const PORTS: u128 = 6;

#[derive(Clone, Debug)]
enum Step {
    Add(u128),
    Remove(u128),
    Update(u128, Row),
    Mutate(u128, Mutation),
    /// The server dies and comes back.
    Restart,
}

fn word() -> impl Strategy<Value = String> {
    "[a-d]{0,2}"
}

fn strings() -> impl Strategy<Value = Datum> {
    proptest::collection::vec(word(), 0..4).prop_map(Datum::set)
}

fn pairs() -> impl Strategy<Value = Datum> {
    proptest::collection::vec((word(), word()), 0..4).prop_map(Datum::map)
}

fn step() -> impl Strategy<Value = Step> {
    let port = || 0..PORTS;
    let optional = proptest::option::of(word()).prop_map(Datum::set);
    let row = (word(), strings(), pairs(), optional).prop_map(|(kind, addresses, ids, dynamic)| {
        Row::new()
            .with("type", kind)
            .with("addresses", addresses)
            .with("external_ids", ids)
            .with("dynamic_addresses", dynamic)
    });
    let mutator = || prop_oneof![Just(Mutator::Insert), Just(Mutator::Delete)];
    let mutation = prop_oneof![
        (mutator(), strings()).prop_map(|(how, what)| Mutation::new("addresses", how, what)),
        (mutator(), pairs()).prop_map(|(how, what)| Mutation::new("external_ids", how, what)),
    ];
    prop_oneof![
        6 => port().prop_map(Step::Add),
        2 => port().prop_map(Step::Remove),
        8 => (port(), row).prop_map(|(port, row)| Step::Update(port, row)),
        8 => (port(), mutation).prop_map(|(port, mutation)| Step::Mutate(port, mutation)),
        1 => Just(Step::Restart),
    ]
}

/// The transaction of a step, if it makes sense now.
fn transaction(step: Step, switch: Uuid, present: &BTreeSet<Uuid>) -> Option<Transaction> {
    let port = |number| Uuid::from_u128(number + 1);
    let exists = |number: &u128| present.contains(&port(*number));
    let mutate = |table: &str, row, mutation| Operation::Mutate {
        table: table.to_owned(),
        condition: Condition::uuid(row),
        mutations: vec![mutation],
    };
    match step {
        Step::Add(number) if !exists(&number) => {
            Some(add_port(switch, port(number), &format!("p{number}")))
        }
        Step::Remove(number) if exists(&number) => {
            let detach = Mutation::delete("ports", port(number));
            Some(vec![mutate(SWITCH, switch, detach)].into())
        }
        Step::Update(number, row) if exists(&number) => {
            Some(vec![update(PORT, port(number), row)].into())
        }
        Step::Mutate(number, mutation) if exists(&number) => {
            Some(vec![mutate(PORT, port(number), mutation)].into())
        }
        Step::Add(_) | Step::Remove(_) | Step::Update(..) | Step::Mutate(..) | Step::Restart => {
            None
        }
    }
}

type Tables = BTreeMap<String, BTreeMap<Uuid, Arc<Row>>>;

fn tables(client: &Client) -> Tables {
    let database = client.replica().read();
    database
        .tables()
        .map(|(table, rows)| (table.to_owned(), rows.clone()))
        .collect()
}

/// Replays changes, which must start from what they are applied to.
fn replay(tables: &mut Tables, changes: &ChangeSet) {
    for (table, uuid, change) in changes.iter() {
        let rows = tables.entry(table.to_owned()).or_default();
        assert_eq!(rows.get(&uuid), change.old.as_ref());
        match &change.new {
            Some(row) => rows.insert(uuid, Arc::clone(row)),
            None => rows.remove(&uuid),
        };
    }
}

#[tokio::test]
async fn a_random_walk_ends_where_a_new_client_begins() {
    let nb = Standalone::northbound();
    let mut server = nb.server;
    let client = connect(options([server.unix()]));
    let mut changes = client.replica().changes();
    let mut replayed = Tables::from([(SWITCH.to_owned(), BTreeMap::new())]);
    replayed.insert(PORT.to_owned(), BTreeMap::new());
    let switch = Uuid::new_v4();
    commit(&client, vec![add_switch(switch, "s")]).await;

    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let step = step().new_tree(&mut runner).unwrap().current();
        if matches!(step, Step::Restart) {
            let epoch = client.replica().version().epoch;
            server = server.restart();
            let mut versions = client.replica().watch();
            let renewed = versions.wait_for(|it| it.connected && it.epoch > epoch);
            soon(renewed).await.unwrap();
        }
        let present = client
            .replica()
            .read()
            .table(PORT)
            .keys()
            .copied()
            .collect();
        if let Some(transaction) = transaction(step, switch, &present) {
            commit(&client, transaction).await;
        }
        if let Some(set) = changes.try_next() {
            replay(&mut replayed, &set);
        }
        assert_eq!(replayed, tables(&client));
    }

    let fresh = connect(options([server.unix()]));
    soon(fresh.replica().connected()).await.unwrap();
    assert_eq!(tables(&fresh), tables(&client));
}
