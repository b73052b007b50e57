//! A raft cluster of three.

use std::{path::Path, time::Duration};

use ovsdb::{Client, Options, Outcome, Remote, Uuid};
use tempfile::TempDir;

use crate::{
    northbound::{SWITCH, add_port, add_switch, commit, options, sees},
    server::{NB, NB_SCHEMA, PATIENCE, Server, connect, free_port, run, soon},
};

/// Three servers, each with a database file that is a member of one cluster.
struct Cluster {
    directories: Vec<TempDir>,
    servers: Vec<Server>,
}

impl Cluster {
    fn start() -> Self {
        let directories: Vec<_> = (0..3).map(|_| TempDir::new().unwrap()).collect();
        let raft: Vec<_> = (0..3)
            .map(|_| format!("tcp:127.0.0.1:{}", free_port()))
            .collect();
        let db = |directory: &TempDir| directory.path().join("db").display().to_string();
        run(
            "ovsdb-tool",
            &["create-cluster", &db(&directories[0]), NB_SCHEMA, &raft[0]],
        );
        for (directory, address) in directories.iter().zip(&raft).skip(1) {
            run(
                "ovsdb-tool",
                &["join-cluster", &db(directory), NB, address, &raft[0]],
            );
        }
        let start = |directory: &TempDir| Server::start(directory.path(), free_port());
        let servers = directories.iter().map(start).collect();
        Self {
            directories,
            servers,
        }
    }

    fn remotes(&self) -> Vec<Remote> {
        self.servers.iter().map(Server::unix).collect()
    }

    /// The position of the leader.
    async fn leader(&self) -> usize {
        let mut found = None;
        soon(async {
            while found.is_none() {
                pause().await;
                found = self.servers.iter().position(is_leader);
            }
        })
        .await;
        found.unwrap()
    }

    /// Waits until every member has joined.
    async fn ready(&self) {
        for server in &self.servers {
            let client = connect(options([server.unix()]));
            soon(client.replica().connected()).await.unwrap();
        }
    }

    fn directory(&self, member: usize) -> &Path {
        self.directories[member].path()
    }
}

fn is_leader(server: &Server) -> bool {
    server
        .control(&["cluster/status", NB])
        .contains("Role: leader")
}

/// Between two questions to a server that tells nobody by itself.
async fn pause() {
    let never = std::future::pending::<()>();
    tokio::time::timeout(Duration::from_millis(50), never)
        .await
        .unwrap_err();
}

/// Options that find out quickly that a member hangs.
fn impatient(cluster: &Cluster) -> Options {
    let mut options = options(cluster.remotes());
    options.probe_interval = Duration::from_millis(300);
    options
}

/// Adds a switch, again and again while nobody knows who leads.
async fn persist(client: &Client, name: &str) {
    let uuid = Uuid::new_v4();
    soon(async { while !is_added(client, uuid, name).await {} }).await;
}

async fn is_added(client: &Client, uuid: Uuid, name: &str) -> bool {
    match client.transact(vec![add_switch(uuid, name)].into()).await {
        Outcome::Committed => true,
        Outcome::Stale | Outcome::Lost => {
            client.replica().connected().await.unwrap();
            client.replica().read().row(SWITCH, uuid).is_some()
        }
        outcome @ (Outcome::Unchanged | Outcome::Rejected(_)) => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn every_commit_on_a_leader_or_a_follower_is_visible_when_it_returns() {
    let cluster = Cluster::start();
    cluster.ready().await;
    for server in &cluster.servers {
        let client = connect(options([server.unix()]));
        soon(client.replica().connected()).await.unwrap();
        let switch = Uuid::new_v4();
        commit(&client, vec![add_switch(switch, "s")]).await;
        for count in 1..=30 {
            commit(
                &client,
                add_port(switch, Uuid::new_v4(), &Uuid::new_v4().to_string()),
            )
            .await;
            let ports = client
                .replica()
                .read()
                .row(SWITCH, switch)
                .unwrap()
                .datum("ports")
                .len();
            assert_eq!(ports, count);
        }
    }
}

#[tokio::test]
async fn a_client_of_the_leader_passes_over_followers() {
    let cluster = Cluster::start();
    cluster.ready().await;
    let leader = cluster.leader().await;
    let mut remotes = cluster.remotes();
    let last = remotes.remove(leader);
    remotes.push(last);
    let client = connect(options(remotes.clone()).leader_only());
    persist(&client, "s1").await;

    remotes.pop();
    let followers = connect(options(remotes).leader_only());
    let connected = followers.replica().connected();
    let patience = Duration::from_millis(500);
    assert!(
        tokio::time::timeout(patience, connected).await.is_err(),
        "a follower was taken"
    );
}

#[tokio::test]
async fn the_client_follows_when_the_leader_is_killed() {
    let mut cluster = Cluster::start();
    cluster.ready().await;
    let client = connect(impatient(&cluster).leader_only());
    persist(&client, "s1").await;
    let leader = cluster.leader().await;
    let epoch = client.replica().version().epoch;
    drop(cluster.servers.remove(leader));
    persist(&client, "s2").await;
    assert!(client.replica().version().epoch > epoch);
    sees(&client, &["s1", "s2"]).await;
}

#[tokio::test]
async fn the_client_follows_when_the_leader_hangs() {
    let cluster = Cluster::start();
    cluster.ready().await;
    let client = connect(impatient(&cluster).leader_only());
    persist(&client, "s1").await;
    let leader = cluster.leader().await;
    cluster.servers[leader].signal("STOP");
    persist(&client, "s2").await;
    cluster.servers[leader].signal("CONT");
    sees(&client, &["s1", "s2"]).await;
}

#[tokio::test]
async fn the_client_leaves_a_member_that_has_lost_its_leadership() {
    let cluster = Cluster::start();
    cluster.ready().await;
    let mut patient = options(cluster.remotes()).leader_only();
    patient.probe_interval = PATIENCE;
    let client = connect(patient);
    persist(&client, "s1").await;
    let epoch = client.replica().version().epoch;
    let old = cluster.leader().await;
    cluster.servers[old].signal("STOP");
    let other = connect(impatient(&cluster).leader_only());
    persist(&other, "s2").await;
    // it wakes up, learns that another leads, and says so
    cluster.servers[old].signal("CONT");
    let mut versions = client.replica().watch();
    soon(versions.wait_for(|version| version.connected && version.epoch > epoch))
        .await
        .unwrap();
    persist(&client, "s3").await;
    sees(&client, &["s1", "s2", "s3"]).await;
}

#[tokio::test]
async fn a_reconnect_resumes_with_only_what_happened_meanwhile() {
    let mut cluster = Cluster::start();
    cluster.ready().await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    let client = connect(options([cluster.servers[follower].unix()]));
    let writer = connect(options([cluster.servers[leader].unix()]));
    persist(&writer, "s1").await;
    sees(&client, &["s1"]).await;
    let mut changes = client.replica().changes();
    drop(changes.try_next());
    let kept = client
        .replica()
        .read()
        .table(SWITCH)
        .values()
        .next()
        .cloned()
        .unwrap();

    let server = cluster.servers.remove(follower);
    drop(server);
    persist(&writer, "s2").await;
    let again = Server::start(cluster.directory(follower), free_port());
    sees(&client, &["s1", "s2"]).await;
    assert_eq!(changes.try_next().unwrap().table(SWITCH).count(), 1);
    let found = client.replica().read();
    // a whole copy would have made a new row of the same content
    assert!(
        found
            .table(SWITCH)
            .values()
            .any(|row| std::sync::Arc::ptr_eq(row, &kept))
    );
    drop(found);
    drop(again);
}
