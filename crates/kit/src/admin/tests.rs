use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};

use super::*;
use crate::metrics::IntGauge;

/// A server on a loopback port.
struct Fixture {
    address: SocketAddr,
    readiness: Readiness,
    registry: Registry,
    shutdown: Shutdown,
    served: JoinHandle<()>,
}

impl Fixture {
    async fn start() -> Self {
        let admin = Admin::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let &Listen::Tcp(address) = admin.listen() else {
            panic!("not TCP: {}", admin.listen());
        };
        let (readiness, registry) = (Readiness::new(), Registry::new().unwrap());
        let shutdown = Shutdown::new();
        let serve = admin.serve(readiness.clone(), registry.clone(), shutdown.clone());
        let served = crate::spawn("server", serve);
        Self {
            address,
            readiness,
            registry,
            shutdown,
            served,
        }
    }

    /// Sends one request and returns all that comes back.
    async fn request(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }
}

#[tokio::test]
async fn a_live_process_is_healthy_before_it_is_ready() {
    let server = Fixture::start().await;
    let _replica = server.readiness.condition("replica");
    assert!(
        server
            .request("GET /healthz")
            .await
            .starts_with("HTTP/1.1 200 OK\r\n")
    );
}

#[tokio::test]
async fn readiness_names_each_missing_condition_with_its_reason() {
    let server = Fixture::start().await;
    let replica = server.readiness.condition("replica");
    let _lease = server.readiness.condition("lease");
    replica.unmet("connecting to tcp:127.0.0.1:6641");
    let response = server.request("GET /readyz").await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(
        response
            .ends_with("not ready\nlease: not yet\nreplica: connecting to tcp:127.0.0.1:6641\n"),
        "{response}"
    );
}

#[tokio::test]
async fn the_process_is_ready_when_all_conditions_are_met() {
    let server = Fixture::start().await;
    server.readiness.condition("replica").met();
    let response = server.request("GET /readyz").await;
    assert!(
        response.starts_with("HTTP/1.1 200 ") && response.ends_with("ready\n"),
        "{response}"
    );
}

#[tokio::test]
async fn metrics_come_in_the_prometheus_text_format() {
    let server = Fixture::start().await;
    let gauge = server
        .registry
        .register(IntGauge::new("dirty_owners", "Owners to plan"));
    gauge.unwrap().set(7);
    let response = server.request("GET /metrics").await;
    assert!(
        response.contains("content-type: text/plain; version=0.0.4"),
        "{response}"
    );
    assert!(
        response.contains("# TYPE dirty_owners gauge\ndirty_owners 7\n"),
        "{response}"
    );
}

#[tokio::test]
async fn unknown_paths_are_answered_with_those_that_exist() {
    let server = Fixture::start().await;
    let response = server.request("GET /").await;
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    assert!(
        response.ends_with("/healthz\n/readyz\n/metrics\n"),
        "{response}"
    );
}

#[tokio::test]
async fn nothing_can_be_posted() {
    let server = Fixture::start().await;
    assert!(
        server
            .request("POST /metrics")
            .await
            .starts_with("HTTP/1.1 405 ")
    );
}

#[tokio::test]
async fn garbage_ends_its_connection_and_no_other() {
    let server = Fixture::start().await;
    let response = server.request("\u{1}\u{2} nonsense").await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert!(
        server
            .request("GET /healthz")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let admin = Admin::bind(&Listen::Unix(path.clone())).await.unwrap();
    let shutdown = Shutdown::new();
    let serve = admin.serve(Readiness::new(), Registry::new().unwrap(), shutdown.clone());
    let served = crate::spawn("server", serve);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream
        .write_all(b"GET /readyz HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("ready\n"), "{response}");
    shutdown.cancel();
    served.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn shutdown_ends_the_server_although_a_client_is_connected() {
    let server = Fixture::start().await;
    let _idle = TcpStream::connect(server.address).await.unwrap();
    server.shutdown.cancel();
    server.served.await.unwrap();
}
