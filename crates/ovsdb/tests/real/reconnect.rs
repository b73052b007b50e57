//! What becomes of a client when its only server goes, hangs or changes.

use std::collections::BTreeSet;

use ovsdb::{Client, Outcome, Remote, Row, Transaction, Uuid};

use crate::{
    northbound::{SWITCH, add_switch, commit, insert, options, sees},
    server::{NB_SCHEMA, Server, Standalone, background, connect, create, free_port, run, soon},
};

#[tokio::test]
async fn after_a_restart_watchers_see_only_what_differs() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let (kept, gone) = (Uuid::new_v4(), Uuid::new_v4());
    let both = vec![add_switch(kept, "kept"), add_switch(gone, "gone")];
    commit(&client, both).await;
    let mut changes = client.replica().changes();
    assert_eq!(soon(changes.next()).await.unwrap().table(SWITCH).count(), 2);
    let before = client.replica().version();

    drop(nb.server);
    create(nb.directory.path(), NB_SCHEMA);
    let server = Server::start(nb.directory.path(), free_port());
    let other = connect(options([server.unix()]));
    let new = Uuid::new_v4();
    commit(
        &other,
        vec![add_switch(kept, "kept"), add_switch(new, "new")],
    )
    .await;
    sees(&client, &["kept", "new"]).await;

    let set = changes.try_next().unwrap();
    let differing: BTreeSet<Uuid> = set.table(SWITCH).map(|(uuid, _)| uuid).collect();
    assert_eq!(differing, BTreeSet::from([gone, new]));
    assert!(client.replica().version().epoch > before.epoch);
}

#[tokio::test]
async fn a_dead_remote_is_passed_over() {
    let nb = Standalone::northbound();
    let dead = Remote::Tcp {
        host: "127.0.0.1".to_owned(),
        port: free_port(),
    };
    let client = connect(options([dead, nb.server.tcp()]));
    commit(&client, vec![add_switch(Uuid::new_v4(), "s1")]).await;
}

#[tokio::test]
async fn what_was_planned_on_an_old_replica_is_stale_after_a_reconnect() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    commit(&client, vec![add_switch(Uuid::new_v4(), "s1")]).await;
    let mut versions = client.replica().watch();
    let directory = nb.directory;
    drop(nb.server);
    soon(versions.wait_for(|version| !version.connected))
        .await
        .unwrap();
    let late = client.transact(vec![add_switch(Uuid::new_v4(), "s2")].into());
    let restart = async { Server::start(directory.path(), free_port()) };
    let (outcome, _server) = soon(async { tokio::join!(late, restart) }).await;
    assert_eq!(outcome, Outcome::Stale);
    sees(&client, &["s1"]).await;
}

#[tokio::test]
async fn a_transaction_without_an_answer_is_lost() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    soon(client.replica().connected()).await.unwrap();
    nb.server.signal("STOP");
    let lost = client.transact(vec![add_switch(Uuid::new_v4(), "s1")].into());
    let end = async {
        // the request is on its way before the server is gone
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        drop(nb.server.restart());
    };
    let (outcome, ()) = soon(async { tokio::join!(lost, end) }).await;
    assert_eq!(outcome, Outcome::Lost);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let nb = Standalone::northbound();
    let mut options = options([nb.server.unix()]);
    options.probe_interval = std::time::Duration::from_millis(100);
    let client = connect(options);
    let mut versions = client.replica().watch();
    soon(versions.wait_for(|version| version.connected))
        .await
        .unwrap();
    nb.server.signal("STOP");
    soon(versions.wait_for(|version| !version.connected))
        .await
        .unwrap();
    nb.server.signal("CONT");
    soon(versions.wait_for(|version| version.connected))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_schema_that_is_converted_under_the_client_is_read_again() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    commit(&client, vec![add_switch(Uuid::new_v4(), "s1")]).await;
    let text = std::fs::read_to_string(NB_SCHEMA).unwrap();
    let mut schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let version = "99.0.0";
    schema["version"] = version.into();
    schema["tables"][SWITCH]["columns"]["from_the_future"] =
        serde_json::json!({ "type": "string" });
    schema.as_object_mut().unwrap().remove("cksum");
    let file = nb.directory.path().join("new.ovsschema");
    std::fs::write(&file, schema.to_string()).unwrap();
    run(
        "ovsdb-client",
        &[
            "convert",
            &nb.server.unix().to_string(),
            file.to_str().unwrap(),
        ],
    );
    let mut versions = client.replica().watch();
    let renewed = versions.wait_for(|_| client.replica().read().schema().version == version);
    soon(renewed).await.unwrap();
    soon(client.replica().connected()).await.unwrap();
    let column = Row::new().with("name", "s2").with("from_the_future", "x");
    let switch = Uuid::new_v4();
    commit(&client, vec![insert(SWITCH, switch, column)]).await;
    let row = client
        .replica()
        .read()
        .row(SWITCH, switch)
        .cloned()
        .unwrap();
    assert_eq!(row.str("from_the_future"), "x");
}

#[tokio::test]
async fn a_transaction_is_stale_when_its_replica_has_been_renewed() {
    let nb = Standalone::northbound();
    let client = connect(options([nb.server.unix()]));
    let old = soon(client.replica().connected()).await.unwrap();
    let _server = nb.server.restart();
    let mut versions = client.replica().watch();
    soon(versions.wait_for(|version| version.connected && version.epoch > old.epoch))
        .await
        .unwrap();
    let add = |name| Transaction::from(vec![add_switch(Uuid::new_v4(), name)]);
    let late = client.transact(add("s1").planned_on(old));
    assert_eq!(soon(late).await, Outcome::Stale);
    let now = client.replica().version();
    commit(&client, add("s2").planned_on(now)).await;
}

#[tokio::test]
async fn the_driver_ends_when_the_client_is_dropped() {
    let nb = Standalone::northbound();
    let (client, driver) = Client::new(options([nb.server.unix()]));
    let mut changes = client.replica().changes();
    let task = background(driver.run());
    soon(client.replica().connected()).await.unwrap();
    drop(client);
    soon(task).await.unwrap();
    assert!(changes.next().await.is_some());
    assert!(changes.next().await.is_none());
}
