//! Servers that know less than today's.

use ovsdb::{Datum, Uuid};
use serde_json::{Value, json};

use crate::peer::{Fake, Peer, ROW, connect, name, schema, sees, soon};

fn row(update: &Value) -> Value {
    json!({ "T": { ROW.to_string(): update } })
}

async fn greet(peer: &mut Peer) {
    peer.refuse("set_db_change_aware").await;
    peer.answer("get_schema", schema()).await;
    peer.refuse("monitor_cond_since").await;
}

#[tokio::test]
async fn without_monitor_cond_since_differences_come_by_monitor_cond() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    let mut peer = fake.accept().await;
    greet(&mut peer).await;
    peer.answer(
        "monitor_cond",
        row(&json!({ "initial": { "tags": "x", "name": "a" } })),
    )
    .await;
    sees(&client, 1, "a").await;
    let modify = json!({ "modify": { "tags": ["set", ["x", "y"]], "name": "b" } });
    peer.notify("update2", json!(["replica", row(&modify)]))
        .await;
    sees(&client, 1, "b").await;
    let tags = client
        .replica()
        .read()
        .row("T", ROW)
        .unwrap()
        .datum("tags")
        .clone();
    assert_eq!(tags, Datum::from("y"));
    peer.notify(
        "update2",
        json!(["replica", row(&json!({ "delete": null }))]),
    )
    .await;
    let mut versions = client.replica().watch();
    soon(versions.wait_for(|_| name(&client).is_none()))
        .await
        .unwrap();
}

#[tokio::test]
async fn without_monitor_cond_whole_rows_come_by_monitor() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    let mut peer = fake.accept().await;
    greet(&mut peer).await;
    peer.refuse("monitor_cond").await;
    let initial = json!({ "name": "a", "tags": ["set", []] });
    peer.answer("monitor", row(&json!({ "new": initial })))
        .await;
    sees(&client, 1, "a").await;
    let tags = client
        .replica()
        .read()
        .row("T", ROW)
        .unwrap()
        .get("tags")
        .cloned();
    assert_eq!(
        tags, None,
        "a default value is absent whatever the server sends"
    );
    let update = json!({ "old": { "name": "a" }, "new": { "name": "b", "tags": "x" } });
    peer.notify("update", json!(["replica", row(&update)]))
        .await;
    sees(&client, 1, "b").await;
    let gone = json!({ "old": { "name": "b", "tags": "x" } });
    peer.notify("update", json!(["replica", row(&gone)])).await;
    let mut versions = client.replica().watch();
    soon(versions.wait_for(|_| name(&client).is_none()))
        .await
        .unwrap();
}

/// Answers about itself as a member of a raft cluster does.
async fn introduce(peer: &mut Peer, cluster: Uuid, index: i64, leader: bool) {
    let optional = |kind: &str| json!({ "type": { "key": kind, "min": 0 } });
    let columns = json!({
        "name": { "type": "string" }, "connected": { "type": "boolean" },
        "leader": { "type": "boolean" }, "cid": optional("uuid"), "index": optional("integer"),
    });
    let tables = json!({ "Database": { "columns": columns } });
    peer.answer("set_db_change_aware", json!({})).await;
    peer.answer("get_schema", json!({ "name": "_Server", "tables": tables }))
        .await;
    let database = json!({
        "name": "D", "connected": true, "leader": leader, "cid": ["uuid", cluster], "index": index,
    });
    let rows = json!({ "Database": { Uuid::nil().to_string(): { "initial": database } } });
    peer.answer("monitor_cond", rows).await;
}

async fn copy(peer: &mut Peer, found: &str) {
    peer.answer("get_schema", schema()).await;
    let initial = row(&json!({ "initial": { "name": found } }));
    peer.answer("monitor_cond_since", json!([false, Uuid::nil(), initial]))
        .await;
}

#[tokio::test]
async fn a_member_that_is_behind_what_we_have_seen_is_passed_over() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    let cluster = Uuid::new_v4();
    let mut peer = fake.accept().await;
    introduce(&mut peer, cluster, 10, true).await;
    copy(&mut peer, "a").await;
    sees(&client, 1, "a").await;
    drop(peer);

    let mut behind = fake.accept().await;
    introduce(&mut behind, cluster, 9, true).await;
    behind.closed().await;
    let mut level = fake.accept().await;
    introduce(&mut level, cluster, 10, true).await;
    copy(&mut level, "b").await;
    sees(&client, 2, "b").await;
}

#[tokio::test]
async fn another_cluster_has_another_history() {
    let fake = Fake::listen();
    let client = connect(fake.options());
    for (epoch, index) in [(1, 10), (2, 3)] {
        let mut peer = fake.accept().await;
        introduce(&mut peer, Uuid::new_v4(), index, true).await;
        copy(&mut peer, "a").await;
        sees(&client, epoch, "a").await;
    }
}

#[tokio::test]
async fn a_member_that_loses_its_leadership_is_left() {
    let fake = Fake::listen();
    let client = connect(fake.options().leader_only());
    let cluster = Uuid::new_v4();
    let mut peer = fake.accept().await;
    introduce(&mut peer, cluster, 1, true).await;
    copy(&mut peer, "a").await;
    sees(&client, 1, "a").await;
    let modify = json!({ "modify": { "leader": false } });
    let rows = json!({ "Database": { Uuid::nil().to_string(): modify } });
    peer.notify("update2", json!(["_Server", rows])).await;
    peer.closed().await;
    let mut follower = fake.accept().await;
    introduce(&mut follower, cluster, 1, false).await;
    follower.closed().await;
}
