//! Servers that break the protocol: the client starts again and never panics.

use std::time::Duration;

use ovsdb::{Condition, Operation, Outcome, Row, Transaction};
use proptest::{
    prelude::any,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::json;

use crate::peer::{Fake, ROW, connect, name, schema, sees, soon};

/// Messages that no server may send after the first copy.
fn violations() -> Vec<Vec<u8>> {
    let update = |table: &str, change: serde_json::Value| {
        let rows = json!({ table: { ROW.to_string(): change } });
        json!({ "id": null, "method": "update3", "params": ["replica", ROW, rows] }).to_string()
    };
    let missing = json!({ "T": { uuid(): { "modify": { "name": "b" } } } });
    let texts = vec![
        "garbage".to_owned(),
        "}".to_owned(),
        "[1]".to_owned(),
        r#"{"id": 1, "result": }"#.to_owned(),
        "{}".to_owned(),
        r#"{"id": "x", "result": {}, "error": null}"#.to_owned(),
        r#"{"id": 99, "result": {}, "error": null}"#.to_owned(),
        r#"{"id": null, "method": "update3", "params": []}"#.to_owned(),
        r#"{"id": null, "method": "update3", "params": ["replica", "x", {}]}"#.to_owned(),
        r#"{"id": null, "method": "update2", "params": 7}"#.to_owned(),
        r#"{"id": null, "method": "update", "params": null}"#.to_owned(),
        r#"{"id": null, "method": "monitor_canceled", "params": ["replica"]}"#.to_owned(),
        json!({ "id": null, "method": "update3", "params": ["replica", ROW, missing] }).to_string(),
        update("T", json!({ "insert": { "name": "b" } })),
        update("T", json!({ "modify": { "other": 1 } })),
        update("T", json!({ "modify": { "name": ["set", 1] } })),
        update("T", json!({ "unknown": {} })),
        update("T", json!({})),
        update("U", json!({ "insert": {} })),
        format!("{{\"id\": null, \"x\": \"{}\"", "x".repeat(1 << 17)),
        format!("{{\"id\": {}", "[".repeat(1 << 15)),
        format!("{{\"id\": {}{}}}", "[".repeat(1 << 14), "]".repeat(1 << 14)),
    ];
    let mut all: Vec<_> = texts.into_iter().map(String::into_bytes).collect();
    all.push(b"{\"id\": null, \"method\": \"\xff\xfe\"}".to_vec());
    all
}

fn uuid() -> String {
    ovsdb::Uuid::new_v4().to_string()
}

#[tokio::test]
async fn every_violation_of_the_protocol_leads_to_a_new_connection() {
    for violation in violations() {
        let fake = Fake::listen();
        let client = connect(fake.options());
        let mut peer = fake.serve().await;
        sees(&client, 1, "a").await;
        peer.send(&violation).await;
        if violation.ends_with(b"[") {
            drop(peer); // it is not complete, so only the end of the stream makes it wrong
        }
        let _peer = fake.serve().await;
        sees(&client, 2, "a").await;
    }
}

#[tokio::test]
async fn random_bytes_lead_to_a_new_connection() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    let mut runner = TestRunner::deterministic();
    let noise = proptest::collection::vec(any::<u8>(), 1..200);
    for epoch in 1..=50 {
        let mut peer = fake.serve().await;
        sees(&client, epoch, "a").await;
        peer.send(noise.new_tree(&mut runner).unwrap().current())
            .await;
    }
}

#[tokio::test]
async fn a_handshake_that_makes_no_sense_is_given_up() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    for nonsense in [
        json!(null),
        json!([]),
        json!({ "name": 1 }),
        json!({ "name": "D" }),
    ] {
        let mut peer = fake.accept().await;
        peer.refuse("set_db_change_aware").await;
        peer.answer("get_schema", nonsense).await;
        peer.closed().await;
    }
    let _peer = fake.serve().await;
    sees(&client, 1, "a").await;
}

#[tokio::test]
async fn a_bad_update_leaves_no_trace() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    let mut changes = client.replica().changes();
    let mut peer = fake.serve().await;
    sees(&client, 1, "a").await;
    soon(changes.next()).await.unwrap();
    let good = json!({ "modify": { "name": "b" } });
    let rows = json!({ "T": { ROW.to_string(): good, uuid(): { "delete": null } } });
    peer.notify("update3", json!(["replica", ROW, rows])).await;
    peer.closed().await;
    let mut versions = client.replica().watch();
    soon(versions.wait_for(|version| !version.connected))
        .await
        .unwrap();
    assert_eq!(name(&client).as_deref(), Some("a"));
    let _peer = fake.serve().await;
    sees(&client, 2, "a").await;
    assert!(soon(changes.next()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_echo_is_answered_with_what_it_carries() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    let mut peer = fake.serve().await;
    peer.send(json!({ "id": "echo", "method": "echo", "params": [1, "}"] }).to_string())
        .await;
    let reply = peer.receive().await;
    assert_eq!(
        reply,
        json!({ "id": "echo", "result": [1, "}"], "error": null })
    );
    drop(client);
}

#[tokio::test]
async fn a_silent_server_is_asked_for_a_sign_of_life_and_then_left() {
    let fake = Fake::listen();
    let mut options = fake.options();
    options.probe_interval = Duration::from_millis(200);
    let client = connect(options);
    let mut peer = fake.serve().await;
    peer.answer("echo", json!([])).await;
    peer.expect("echo").await;
    peer.closed().await;
    let _peer = fake.serve().await;
    sees(&client, 2, "a").await;
}

#[tokio::test]
async fn a_server_may_take_long_to_prepare_the_first_copy() {
    let fake = Fake::listen();
    let mut options = fake.options();
    options.probe_interval = Duration::from_millis(50);
    let client = connect(options);
    let mut peer = fake.accept().await;
    peer.refuse("set_db_change_aware").await;
    peer.answer("get_schema", schema()).await;
    let id = peer.expect("monitor_cond_since").await;
    let silence = tokio::time::timeout(Duration::from_millis(500), peer.receive());
    assert!(silence.await.is_err(), "no sign of life may be asked for");
    let copy = json!([false, ROW, {}]);
    peer.send(json!({ "id": id, "result": copy, "error": null }).to_string())
        .await;
    soon(client.replica().connected()).await.unwrap();
}

fn rename() -> Transaction {
    Transaction::new().with(Operation::Update {
        table: "T".to_owned(),
        condition: Condition::uuid(ROW),
        row: Row::new().with("name", "b"),
    })
}

#[tokio::test]
async fn a_transaction_that_is_never_answered_is_lost() {
    let fake = Fake::listen();
    let mut options = fake.options();
    options.deadline = Duration::from_millis(300);
    let client = connect(options);
    let answer = async {
        let mut peer = fake.serve().await;
        peer.expect("transact").await;
        peer.closed().await;
    };
    let (outcome, ()) = soon(async { tokio::join!(client.transact(rename()), answer) }).await;
    assert_eq!(outcome, Outcome::Lost);
}

#[tokio::test]
async fn a_transaction_with_an_answer_that_makes_no_sense_is_lost() {
    for nonsense in [json!([]), json!(7), json!([{ "count": "x" }])] {
        let fake = Fake::listen();
        let client = connect(fake.options());
        let answer = async {
            let mut peer = fake.serve().await;
            peer.answer("transact", nonsense).await;
            peer.closed().await;
        };
        let (outcome, ()) = soon(async { tokio::join!(client.transact(rename()), answer) }).await;
        assert_eq!(outcome, Outcome::Lost);
    }
}

#[tokio::test]
async fn a_transaction_that_the_server_does_not_look_at_is_rejected() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    let answer = async {
        let mut peer = fake.serve().await;
        peer.refuse("transact").await;
        peer
    };
    let (outcome, _peer) = soon(async { tokio::join!(client.transact(rename()), answer) }).await;
    let Outcome::Rejected(rejection) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(rejection.operation, None);
    assert!(client.replica().version().connected);
}
