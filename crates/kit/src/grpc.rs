//! gRPC servers with health and reflection, on TCP or on a unix socket.
//!
//! Health follows [`Readiness`]: the empty service name and every service are `SERVING` while
//! nothing is missing, and `NOT_SERVING` otherwise and during shutdown. Reflection (v1 and v1alpha)
//! describes all services, itself and health included, so that a generic client can list and call
//! them.

#[cfg(feature = "tls")]
mod tls;

use std::{convert::Infallible, time::Duration};

use tokio::sync::watch;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{
    body::Body,
    codegen::{
        Service,
        http::{Request, Response},
    },
    server::NamedService,
    service::{Routes, RoutesBuilder},
    transport::server::Router,
};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    backoff::sleep,
    listen::{Listen, ListenError, Listener},
    readiness::{Missing, Readiness},
    shutdown::Shutdown,
};

/// How long calls may take to end after shutdown; then their connections are cut.
const DRAIN: Duration = Duration::from_secs(5);
/// The name under which health means the whole server.
const WHOLE_SERVER: &str = "";

/// Services to be served together.
#[derive(Debug)]
pub struct Server {
    routes: RoutesBuilder,
    descriptors: Vec<&'static [u8]>,
    names: Vec<&'static str>,
    readiness: Readiness,
}

/// A server that listens and does not serve yet.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    listen: Listen,
    routes: Routes,
    health: Health,
}

/// Why a gRPC server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A service's descriptors do not decode.
    #[error("the descriptors for reflection do not decode")]
    Descriptors(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the gRPC server on {listen} failed")]
    Transport {
        listen: Listen,
        source: tonic::transport::Error,
    },
}

/// What keeps the health of the services equal to readiness.
#[derive(Debug)]
struct Health {
    reporter: HealthReporter,
    names: Vec<&'static str>,
    missing: watch::Receiver<Missing>,
}

// === impl Server ===

impl Server {
    /// A server without services of its own.
    pub fn new(readiness: Readiness) -> Self {
        Self {
            routes: Routes::builder(),
            descriptors: vec![tonic_health::pb::FILE_DESCRIPTOR_SET],
            names: vec![WHOLE_SERVER],
            readiness,
        }
    }

    /// Adds a service, with the encoded `FileDescriptorSet` that describes it.
    pub fn service<S>(mut self, service: S, descriptors: &'static [u8]) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(service);
        self.descriptors.push(descriptors);
        self.names.push(S::NAME);
        self
    }

    /// Listens. A unix socket can be opened by its owner only.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn bind(mut self, listen: &Listen) -> Result<Bound, ServeError> {
        let (reporter, health) = tonic_health::server::health_reporter();
        self.routes.add_service(health);
        self.reflect()?;
        let mut health = Health {
            reporter,
            names: self.names,
            missing: self.readiness.watch(),
        };
        health.report_readiness().await;
        let (listener, listen) = Listener::bind(listen).await?;
        Ok(Bound {
            listener,
            listen,
            routes: self.routes.routes(),
            health,
        })
    }

    /// Listens and serves until shutdown.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve(self, listen: Listen, shutdown: Shutdown) -> Result<(), ServeError> {
        self.bind(&listen).await?.serve(shutdown).await
    }

    /// Adds both versions of the reflection service, as clients of both are in use.
    fn reflect(&mut self) -> Result<(), ServeError> {
        let v1 = reflection(&self.descriptors).build_v1()?;
        let v1alpha = reflection(&self.descriptors).build_v1alpha()?;
        self.routes.add_service(v1).add_service(v1alpha);
        Ok(())
    }
}

fn reflection(descriptors: &[&'static [u8]]) -> tonic_reflection::server::Builder<'static> {
    descriptors.iter().fold(
        tonic_reflection::server::Builder::configure(),
        |builder, set| builder.register_encoded_file_descriptor_set(set),
    )
}

// === impl Bound ===

impl Bound {
    /// Where the server listens, with its real port.
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// Serves until shutdown. Calls in progress have five seconds to end.
    ///
    /// # Errors
    /// [`ServeError::Transport`].
    pub async fn serve(self, shutdown: Shutdown) -> Result<(), ServeError> {
        let serving = self.listener.serve(router(self.routes), shutdown.clone());
        attend(serving, self.listen, self.health, shutdown).await
    }
}

fn router(routes: Routes) -> Router {
    tonic::transport::Server::builder().add_routes(routes)
}

/// Reports health while the server serves, and cuts what does not end after shutdown.
async fn attend(
    serving: impl Future<Output = Result<(), tonic::transport::Error>>,
    listen: Listen,
    health: Health,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    tracing::info!(%listen, "Serving gRPC");
    let served = tokio::select! {
        served = serving => served,
        never = health.follow(&shutdown) => match never {},
        () = drained(&shutdown) => {
            tracing::warn!(%listen, "Cutting gRPC connections that did not end");
            Ok(())
        }
    };
    served.map_err(|source| ServeError::Transport { listen, source })
}

/// Returns when calls have had their time to end after shutdown.
async fn drained(shutdown: &Shutdown) {
    shutdown.cancelled().await;
    sleep(DRAIN).await;
}

// === impl Listener ===

impl Listener {
    async fn serve(
        self,
        router: Router,
        shutdown: Shutdown,
    ) -> Result<(), tonic::transport::Error> {
        let ended = shutdown.cancelled_owned();
        match self {
            Self::Tcp(listener) => {
                let incoming = TcpListenerStream::new(listener);
                router.serve_with_incoming_shutdown(incoming, ended).await
            }
            Self::Unix(listener, _file) => {
                let incoming = UnixListenerStream::new(listener);
                router.serve_with_incoming_shutdown(incoming, ended).await
            }
        }
    }
}

// === impl Health ===

impl Health {
    /// Reports readiness until shutdown, and then `NOT_SERVING`.
    async fn follow(mut self, shutdown: &Shutdown) -> Infallible {
        while !shutdown.is_cancelled() {
            self.report_readiness().await;
            tokio::select! {
                Ok(()) = self.missing.changed() => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.report(ServingStatus::NotServing).await;
        std::future::pending().await
    }

    async fn report_readiness(&mut self) {
        let is_ready = self.missing.borrow_and_update().is_empty();
        self.report(if is_ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        })
        .await;
    }

    async fn report(&self, status: ServingStatus) {
        for name in &self.names {
            self.reporter.set_service_status(*name, status).await;
        }
    }
}

#[cfg(test)]
mod tests;
