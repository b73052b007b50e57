//! One server without a cluster.

use ovsdb::{
    Columns, Condition, Datum, Mutation, Operation, Options, Outcome, Rejection, Remote, Row,
    Schema, Transaction, Uuid,
};

use crate::{
    northbound::{PORT, SWITCH, add_port, add_switch, commit, insert, options, sees, update},
    server::{NB, NB_SCHEMA, Standalone, connect, soon},
};

async fn reads_what_it_writes(remote: Remote) {
    let client = connect(options([remote]));
    let (switch, port) = (Uuid::new_v4(), Uuid::new_v4());
    commit(&client, vec![add_switch(switch, "s1")]).await;
    commit(&client, add_port(switch, port, "a.b")).await;
    let database = client.replica().read();
    let row = database.row(PORT, port).unwrap();
    assert_eq!(row.str("name"), "a.b");
    assert_eq!(row.datum("external_ids").get_str("pod"), Some("a.b"));
    assert_eq!(
        database
            .row(SWITCH, switch)
            .unwrap()
            .datum("ports")
            .as_uuid(),
        Some(port)
    );
}

#[tokio::test]
async fn a_committed_transaction_is_in_the_replica_over_a_unix_socket() {
    let nb = Standalone::northbound();
    reads_what_it_writes(nb.server.unix()).await;
}

#[tokio::test]
async fn a_committed_transaction_is_in_the_replica_over_tcp() {
    let nb = Standalone::northbound();
    reads_what_it_writes(nb.server.tcp()).await;
}

#[tokio::test]
async fn every_commit_is_visible_when_it_returns() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    for count in 1..=200 {
        commit(
            &client,
            vec![add_switch(Uuid::new_v4(), &format!("s{count}"))],
        )
        .await;
        assert_eq!(client.replica().read().table(SWITCH).len(), count);
    }
}

#[tokio::test]
async fn an_empty_transaction_changes_nothing() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    assert_eq!(
        soon(client.transact(Transaction::new())).await,
        Outcome::Unchanged
    );
}

#[tokio::test]
async fn differences_of_every_shape_lead_to_what_another_client_reads_whole() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let (switch, port) = (Uuid::new_v4(), Uuid::new_v4());
    commit(&client, vec![add_switch(switch, "s1")]).await;
    commit(&client, add_port(switch, port, "p")).await;
    let steps = [
        Row::new()
            .with("addresses", "unknown")
            .with("type", "router"),
        Row::new()
            .with("addresses", Datum::set(["unknown", "dynamic"]))
            .with("dynamic_addresses", "a")
            .with("tag", 7),
        Row::new()
            .with("dynamic_addresses", "b")
            .with("enabled", false)
            .with("external_ids", Datum::map([("pod", "q"), ("ns", "x")])),
        Row::new()
            .with("dynamic_addresses", Datum::empty())
            .with("tag", 8)
            .with("external_ids", Datum::map([("ns", "x")]))
            .with("type", ""),
    ];
    for row in steps {
        commit(&client, vec![update(PORT, port, row.clone())]).await;
        let fresh = connect(options([nb.server.unix()]));
        soon(fresh.replica().connected()).await.unwrap();
        let expected = fresh.replica().read().row(PORT, port).cloned().unwrap();
        let actual = client.replica().read().row(PORT, port).cloned().unwrap();
        assert_eq!(actual, expected);
        for (column, datum) in row.iter().filter(|(column, _)| *column != "type") {
            assert_eq!(actual.datum(column), datum, "{column}");
        }
    }
}

#[tokio::test]
async fn a_mutation_of_a_missing_row_is_rejected_by_its_count() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let outcome = soon(client.transact(add_port(Uuid::new_v4(), Uuid::new_v4(), "p"))).await;
    let Outcome::Rejected(rejection) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(rejection.operation, Some(1));
    assert_eq!(rejection.error, Rejection::COUNT);
}

#[tokio::test]
async fn a_guard_that_does_not_hold_makes_the_transaction_stale() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let switch = Uuid::new_v4();
    commit(&client, vec![add_switch(switch, "s1")]).await;
    let guarded = |uuid, row| {
        let mut transaction = Transaction::new();
        transaction.guard(SWITCH, uuid, row);
        transaction.with(update(SWITCH, switch, Row::new().with("name", "s2")))
    };
    let named = |name: &str| Row::new().with("name", name);
    let stale = guarded(switch, named("other"));
    assert_eq!(soon(client.transact(stale)).await, Outcome::Stale);
    let missing = guarded(Uuid::new_v4(), Row::new());
    assert_eq!(soon(client.transact(missing)).await, Outcome::Stale);
    sees(&client, &["s1"]).await;
    commit(&client, guarded(switch, Row::new())).await;
    commit(&client, guarded(switch, named("s2"))).await;
}

#[tokio::test]
async fn one_bad_member_of_a_group_fails_alone() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let bad = vec![insert(
        SWITCH,
        Uuid::new_v4(),
        Row::new().with("no_such_column", 1),
    )];
    let attempt = |name: String| {
        let client = client.clone();
        async move {
            client
                .transact(vec![add_switch(Uuid::new_v4(), &name)].into())
                .await
        }
    };
    let (outcomes, rejected) = soon(async {
        tokio::join!(
            async {
                tokio::join!(
                    attempt("a".into()),
                    attempt("b".into()),
                    attempt("c".into())
                )
            },
            client.transact(bad.into()),
        )
    })
    .await;
    assert_eq!(
        outcomes,
        (Outcome::Committed, Outcome::Committed, Outcome::Committed)
    );
    let Outcome::Rejected(rejection) = rejected else {
        panic!("{rejected:?}")
    };
    assert_eq!(rejection.operation, Some(0));
    assert!(rejection.error.contains("column"), "{rejection}");
    sees(&client, &["a", "b", "c"]).await;
}

#[tokio::test]
async fn a_reference_to_no_row_rejects_the_transaction_as_a_whole() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let switch = Row::new()
        .with("name", "s")
        .with("ports", Datum::uuid(Uuid::new_v4()));
    let outcome = soon(client.transact(vec![insert(SWITCH, Uuid::new_v4(), switch)].into())).await;
    let Outcome::Rejected(rejection) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(rejection.operation, None);
    assert_eq!(rejection.error, "referential integrity violation");
}

#[tokio::test]
async fn a_transaction_sent_again_is_found_committed() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let (switch, port) = (Uuid::new_v4(), Uuid::new_v4());
    commit(&client, vec![add_switch(switch, "s1")]).await;
    let again = add_port(switch, port, "p");
    commit(&client, again.clone()).await;
    commit(&client, again).await;
    assert_eq!(client.replica().read().table(PORT).len(), 1);
}

#[tokio::test]
async fn many_writers_share_transactions() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let switch = Uuid::new_v4();
    commit(&client, vec![add_switch(switch, "s1")]).await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..300 {
        let client = client.clone();
        let transaction = add_port(switch, Uuid::new_v4(), &format!("p{number}"));
        writers.spawn(async move { client.transact(transaction).await });
    }
    let before = client.replica().version().serial;
    for outcome in soon(writers.join_all()).await {
        assert_eq!(outcome, Outcome::Committed);
    }
    let transactions = client.replica().version().serial - before;
    assert!(
        transactions < 30,
        "{transactions} transactions for 300 writers"
    );
    assert_eq!(client.replica().read().table(PORT).len(), 300);
}

#[tokio::test]
async fn tables_and_columns_that_the_server_lacks_are_left_out() {
    let nb = Standalone::northbound();
    let wanted = Options::new(vec![nb.server.unix()], NB)
        .table(SWITCH, Columns::only(["name", "from_the_future"]))
        .table("Table_From_The_Future", Columns::All);
    let writer = connect(options([nb.server.unix()]));
    let (switch, port) = (Uuid::new_v4(), Uuid::new_v4());
    commit(&writer, vec![add_switch(switch, "s1")]).await;
    commit(&writer, add_port(switch, port, "p")).await;
    let client = connect(wanted);
    soon(client.replica().connected()).await.unwrap();
    let database = client.replica().read();
    assert!(
        database
            .schema()
            .column(SWITCH, "from_the_future")
            .is_none()
    );
    assert_eq!(database.tables().count(), 1);
    let row = database.row(SWITCH, switch).unwrap();
    assert_eq!(**row, Row::new().with("name", "s1"));
}

#[tokio::test]
async fn changes_begin_with_everything_and_go_on_without_gaps() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let mut early = client.replica().changes();
    let switch = Uuid::new_v4();
    assert!(
        soon(early.next()).await.unwrap().is_empty(),
        "the empty database comes first"
    );
    commit(&client, vec![add_switch(switch, "s1")]).await;
    let mut late = client.replica().changes();
    for changes in [&mut early, &mut late] {
        let set = soon(changes.next()).await.unwrap();
        let (_, change) = set.table(SWITCH).next().unwrap();
        assert!(change.old.is_none());
        assert_eq!(change.new.as_ref().unwrap().str("name"), "s1");
    }
    commit(
        &client,
        vec![update(SWITCH, switch, Row::new().with("name", "s2"))],
    )
    .await;
    let set = soon(late.next()).await.unwrap();
    let (uuid, change) = set.table(SWITCH).next().unwrap();
    assert_eq!(uuid, switch);
    assert_eq!(change.old.as_ref().unwrap().str("name"), "s1");
    assert_eq!(change.new.as_ref().unwrap().str("name"), "s2");
    assert_eq!(set.version, client.replica().version());
}

#[tokio::test]
async fn the_open_vswitch_schema_works_too() {
    let ovs = Standalone::start("/usr/share/openvswitch/vswitch.ovsschema");
    let options = Options::new(vec![ovs.server.unix()], "Open_vSwitch")
        .table("Bridge", Columns::All)
        .table("Open_vSwitch", Columns::All);
    let client = connect(options);
    let (root, bridge) = (Uuid::new_v4(), Uuid::new_v4());
    commit(&client, vec![insert("Open_vSwitch", root, Row::new())]).await;
    let attach = Operation::Mutate {
        table: "Open_vSwitch".to_owned(),
        condition: Condition::all(),
        mutations: vec![Mutation::insert("bridges", bridge)],
    };
    let row = Row::new().with("name", "br-int");
    commit(&client, vec![insert("Bridge", bridge, row), attach]).await;
    assert_eq!(
        client
            .replica()
            .read()
            .row("Bridge", bridge)
            .unwrap()
            .str("name"),
        "br-int"
    );
}

#[tokio::test]
async fn the_schemas_of_files_are_those_of_servers() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    soon(client.replica().connected()).await.unwrap();
    let text = std::fs::read_to_string(NB_SCHEMA).unwrap();
    assert_eq!(
        client.replica().read().schema(),
        &Schema::parse(&text).unwrap()
    );
}
