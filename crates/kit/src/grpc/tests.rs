use std::path::PathBuf;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus as Reported,
    health_client::HealthClient, health_server,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServiceResponse, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::*;
use crate::readiness::Condition;

/// A server on a unix socket in a folder of its own, with one condition.
struct Fixture {
    _folder: TempDir,
    path: PathBuf,
    condition: Condition,
    shutdown: Shutdown,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.sock");
        let readiness = Readiness::new();
        let condition = readiness.condition("replica");
        let bound = Server::new(readiness)
            .bind(&Listen::Unix(path.clone()))
            .await
            .unwrap();
        let shutdown = Shutdown::new();
        let served = crate::spawn("server", bound.serve(shutdown.clone()));
        Self {
            _folder: folder,
            path,
            condition,
            shutdown,
            served,
        }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("unix://{}", self.path.display())).unwrap();
        endpoint.connect().await.unwrap()
    }
}

fn whole_server() -> HealthCheckRequest {
    HealthCheckRequest::default()
}

async fn services(channel: Channel) -> Vec<String> {
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client
        .server_reflection_info(tokio_stream::once(list))
        .await
        .unwrap();
    let answer = answers.into_inner().next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("not a list of services: {answer:?}");
    };
    list.service
        .into_iter()
        .map(|ServiceResponse { name }| name)
        .collect()
}

#[tokio::test]
async fn reflection_lists_health_and_itself() {
    let server = Fixture::start().await;
    let listed = services(server.channel().await).await;
    assert!(
        listed.contains(&"grpc.health.v1.Health".to_owned()),
        "{listed:?}"
    );
    assert!(
        listed.contains(&"grpc.reflection.v1.ServerReflection".to_owned()),
        "{listed:?}"
    );
}

#[tokio::test]
async fn reflection_describes_health_so_that_a_generic_client_can_call_it() {
    let server = Fixture::start().await;
    let symbol = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            health_server::SERVICE_NAME.to_owned(),
        )),
    };
    let mut client = ServerReflectionClient::new(server.channel().await);
    let answers = client
        .server_reflection_info(tokio_stream::once(symbol))
        .await
        .unwrap();
    let answer = answers.into_inner().next().await.unwrap().unwrap();
    assert!(
        matches!(
            answer.message_response,
            Some(MessageResponse::FileDescriptorResponse(_))
        ),
        "{answer:?}"
    );
}

#[tokio::test]
async fn health_follows_readiness_and_ends_with_shutdown() {
    let server = Fixture::start().await;
    let mut client = HealthClient::new(server.channel().await);
    let mut seen = client.watch(whole_server()).await.unwrap().into_inner();
    assert_eq!(
        seen.next().await.unwrap().unwrap().status(),
        Reported::NotServing
    );
    server.condition.met();
    assert_eq!(
        seen.next().await.unwrap().unwrap().status(),
        Reported::Serving
    );
    server.shutdown.cancel();
    assert_eq!(
        seen.next().await.unwrap().unwrap().status(),
        Reported::NotServing
    );
}

#[tokio::test]
async fn the_health_of_an_unknown_service_is_not_found() {
    let server = Fixture::start().await;
    let mut client = HealthClient::new(server.channel().await);
    let unknown = HealthCheckRequest {
        service: "cni.v9.Cni".to_owned(),
    };
    let status = client.check(unknown).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn shutdown_ends_an_idle_server_and_removes_its_socket() {
    let server = Fixture::start().await;
    server.shutdown.cancel();
    server.served.await.unwrap().unwrap();
    assert!(!server.path.exists());
}

#[tokio::test]
async fn a_stream_that_never_ends_does_not_keep_the_server_from_ending() {
    let server = Fixture::start().await;
    let mut client = HealthClient::new(server.channel().await);
    let mut held = client.watch(whole_server()).await.unwrap().into_inner();
    held.next().await.unwrap().unwrap();
    tokio::time::pause();
    server.shutdown.cancel();
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_tcp_server_tells_the_port_it_was_given() {
    let server = Server::new(Readiness::new());
    let bound = server.bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Listen::Tcp(address) = *bound.listen() else {
        panic!("not TCP: {}", bound.listen());
    };
    let shutdown = Shutdown::new();
    let served = crate::spawn("server", bound.serve(shutdown.clone()));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let health = client.check(whole_server()).await.unwrap().into_inner();
    assert_eq!(health.status(), Reported::Serving);
    shutdown.cancel();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn descriptors_that_do_not_decode_are_an_error() {
    let mut server = Server::new(Readiness::new());
    server.descriptors.push(b"\xff\xff");
    let error = server
        .bind(&"127.0.0.1:0".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, ServeError::Descriptors(_)), "{error}");
}
