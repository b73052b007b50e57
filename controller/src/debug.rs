//! The gRPC service that shows what the controller wants, what is, and why. It writes nothing, and
//! a standby serves it too.

mod answers;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use controller_index::Shared;
use futures::stream::{self, Iter};
use kit::backoff::Backoff;
use kit::grpc::{Bound, ServeError, Server};
use kit::listen::Listen;
use kit::readiness::Readiness;
use kit::shutdown::Shutdown;
use kit::tls::Identity;
use proto::debug::v1::debug_server::{Debug, DebugServer};
use proto::debug::v1::descriptors::FILE_DESCRIPTOR_SET;
use proto::debug::v1::{
    Change, CheckRequest, DumpRequest, ExplainRequest, Explanation, Finding, GatewaySet,
    GatewaysRequest, OwnerRows, PlanRequest,
};
use proto::liveness::v1::descriptors::FILE_DESCRIPTOR_SET as LIVENESS_DESCRIPTOR_SET;
use proto::liveness::v1::liveness_server::LivenessServer;
use tonic::{Request, Response, Status};

use self::answers::{Unknown, World};
use crate::gateways::Hub;

/// Where it is served on TCP unless told otherwise; the leader's address is in its Lease.
pub(crate) const PORT: u16 = 10670;
/// When a port that another has is tried again.
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(5);
/// Where it is served unless told otherwise.
const SOCKET: &str = "/run/kube-ovn/controller.sock";

/// Answers from the index and the replica as they are at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) index: Shared,
    pub(crate) nb: ovsdb::Client,
    pub(crate) hub: Hub,
}

/// The service, to be served in one place or two.
#[derive(Debug, Clone)]
pub(crate) struct Grpc {
    pub(crate) service: Service,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: Shutdown,
}

type Answers<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;

// === impl Grpc ===

impl Grpc {
    /// Serves on a unix socket until shutdown. Without an address that is where the folder of the
    /// socket exists: nothing else depends on it.
    ///
    /// # Errors
    /// When the address that was given cannot be listened on, or serving fails.
    pub(crate) async fn on_socket(self, address: Option<Listen>) -> Result<(), ServeError> {
        let is_given = address.is_some();
        let listen = address.unwrap_or_else(|| Listen::Unix(Path::new(SOCKET).to_owned()));
        match self.server().bind(&listen).await {
            Err(ServeError::Listen(error)) if !is_given => {
                let error = kit::error::Chain(&error).to_string();
                tracing::warn!(error, "The Debug service is not served");
                self.shutdown.cancelled().await;
                Ok(())
            }
            bound => bound?.serve(self.shutdown).await,
        }
    }

    /// Serves the members of our installation on TCP until shutdown. While another has the port, such
    /// as a controller that ends, it is tried again: all but the reports of daemons goes on without.
    ///
    /// # Errors
    /// When serving fails.
    pub(crate) async fn on_tcp(self, port: u16, identity: Identity) -> Result<(), ServeError> {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let listen = Listen::Tcp(everywhere);
        let binding = self.bind_in_the_end(&listen);
        match self.shutdown.run_until_cancelled(binding).await {
            Some(bound) => bound?.serve_tls(identity, self.shutdown).await,
            None => Ok(()),
        }
    }

    async fn bind_in_the_end(&self, listen: &Listen) -> Result<Bound, ServeError> {
        let mut backoff = Backoff::new(SOON, LATE);
        loop {
            match self.server().bind(listen).await {
                Err(ServeError::Listen(error)) => {
                    let error = kit::error::Chain(&error).to_string();
                    tracing::warn!(error, "No reports are heard, trying again");
                    backoff.wait().await;
                }
                bound => return bound,
            }
        }
    }

    fn server(&self) -> Server {
        let service = DebugServer::new(self.service.clone());
        let liveness = LivenessServer::new(self.service.hub.clone());
        Server::new(self.readiness.clone())
            .service(service, FILE_DESCRIPTOR_SET)
            .service(liveness, LIVENESS_DESCRIPTOR_SET)
    }
}

// === impl Service ===

impl Service {
    /// Before all is known, all answers would be wrong.
    fn answer<T>(
        &self,
        answer: impl FnOnce(World<'_>) -> Result<Vec<T>, Unknown>,
    ) -> Result<Response<Answers<T>>, Status> {
        let unavailable = |what| Status::unavailable(format!("{what} has not been read yet"));
        let view = controller_sync::view(&self.nb);
        let view = view.ok_or_else(|| unavailable("the northbound database"))?;
        let index = self.index.read();
        if !index.is_synced() {
            return Err(unavailable("Kubernetes"));
        }
        let world = World {
            inputs: index.inputs(),
            view: &view,
        };
        let answers = answer(world).map_err(|error| Status::not_found(error.to_string()))?;
        let answers: Vec<_> = answers.into_iter().map(Ok).collect();
        Ok(Response::new(stream::iter(answers)))
    }
}

#[tonic::async_trait]
impl Debug for Service {
    type DumpStream = Answers<OwnerRows>;
    type PlanStream = Answers<Change>;
    type ExplainStream = Answers<Explanation>;
    type CheckStream = Answers<Finding>;
    type GatewaysStream = Answers<GatewaySet>;

    async fn dump(
        &self,
        request: Request<DumpRequest>,
    ) -> Result<Response<Self::DumpStream>, Status> {
        self.answer(|world| world.dump(&request.get_ref().owners))
    }

    async fn plan(
        &self,
        request: Request<PlanRequest>,
    ) -> Result<Response<Self::PlanStream>, Status> {
        self.answer(|world| world.plan(&request.get_ref().owners))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<Self::ExplainStream>, Status> {
        self.answer(|world| world.explain(&request.get_ref().name))
    }

    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<Self::CheckStream>, Status> {
        self.answer(|world| Ok(world.check()))
    }

    async fn gateways(
        &self,
        _: Request<GatewaysRequest>,
    ) -> Result<Response<Self::GatewaysStream>, Status> {
        let views = self.hub.views().await;
        self.answer(|world| Ok(world.gateways(&views)))
    }
}
