//! A daemon that notes each call and always gives the same reply.

use std::{sync::Arc, time::Duration};

use kit::{grpc::Server, listen::Listen, readiness::Readiness, shutdown::Shutdown};
use parking_lot::Mutex;
use proto::cni::v1::{
    CniReply, CniRequest,
    cni_reply::Outcome,
    cni_server::{Cni, CniServer},
    descriptors::FILE_DESCRIPTOR_SET,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tonic::{Request, Response, Status};

type Calls = Arc<Mutex<Vec<(&'static str, CniRequest)>>>;
type Reply = Result<CniReply, Status>;

/// A socket's place, and perhaps a server on it.
pub(super) struct Daemon {
    _folder: TempDir,
    socket: String,
    calls: Calls,
}

struct Service {
    calls: Calls,
    reply: Reply,
}

impl Daemon {
    /// Nobody listens on the socket, and there is no file.
    pub(super) fn absent() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder
            .path()
            .join("daemon.sock")
            .to_str()
            .unwrap()
            .to_owned();
        Self {
            _folder: folder,
            socket,
            calls: Calls::default(),
        }
    }

    pub(super) async fn replying(reply: CniReply) -> Self {
        let daemon = Self::absent();
        daemon.start(Ok(reply)).await;
        daemon
    }

    pub(super) async fn breaking_off(status: Status) -> Self {
        let daemon = Self::absent();
        daemon.start(Err(status)).await;
        daemon
    }

    /// Starts when a plugin that runs at the same time has found nobody.
    pub(super) async fn start_later(&self, reply: CniReply) {
        kit::backoff::sleep(Duration::from_millis(400)).await;
        self.start(Ok(reply)).await;
    }

    /// Starts when another has taken a call and died of it.
    pub(super) async fn start_after_a_death(&self, reply: CniReply) {
        let dying = UnixListener::bind(&self.socket).unwrap();
        let call = dying.accept().await.unwrap();
        drop((dying, call));
        self.start_later(reply).await;
    }

    /// A configuration that names the socket, with white space that a parser would lose.
    pub(super) fn config(&self, version: &str) -> String {
        let socket = &self.socket;
        format!("{{ \"cniVersion\": \"{version}\",\n\t\"server_socket\":\"{socket}\" }}\n")
    }

    pub(super) fn socket(&self) -> &str {
        &self.socket
    }

    pub(super) fn calls(&self) -> Vec<(&'static str, CniRequest)> {
        self.calls.lock().clone()
    }

    async fn start(&self, reply: Reply) {
        let service = CniServer::new(Service {
            calls: Arc::clone(&self.calls),
            reply,
        });
        let server = Server::new(Readiness::new()).service(service, FILE_DESCRIPTOR_SET);
        let bound = server
            .bind(&Listen::Unix(self.socket.clone().into()))
            .await
            .unwrap();
        drop(kit::spawn("daemon", bound.serve(Shutdown::new())));
    }
}

/// The reply of a daemon that succeeds.
pub(super) fn result(bytes: &[u8]) -> CniReply {
    let outcome = Some(Outcome::Result(bytes.to_vec()));
    CniReply { outcome }
}

impl Service {
    fn note(
        &self,
        method: &'static str,
        request: Request<CniRequest>,
    ) -> Result<Response<CniReply>, Status> {
        self.calls.lock().push((method, request.into_inner()));
        self.reply.clone().map(Response::new)
    }
}

#[tonic::async_trait]
impl Cni for Service {
    async fn add(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.note("Add", request)
    }

    async fn del(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.note("Del", request)
    }

    async fn check(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.note("Check", request)
    }

    async fn gc(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.note("Gc", request)
    }

    async fn status(&self, request: Request<CniRequest>) -> Result<Response<CniReply>, Status> {
        self.note("Status", request)
    }
}
