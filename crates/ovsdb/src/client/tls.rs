//! TLS for remotes with `ssl:`.
//!
//! Whom to believe is the configuration's business, not ours: with rustls' own verifier a server's
//! certificate must lead to a known authority *and* name the host of the remote, as DNS name or as
//! IP address. The programs of OVN check the first only, and their certificates often name no
//! host; who connects to such servers brings a verifier of their kind.

use std::{error::Error as Cause, fmt, io, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, pki_types::ServerName},
};

use super::error::Error;

type Configure = dyn Fn() -> Result<Arc<ClientConfig>, Box<dyn Cause + Send + Sync>> + Send + Sync;

/// Makes the TLS configuration of each new connection, so that renewed certificates are used from
/// the next connection on.
#[derive(Clone)]
pub struct Tls(Arc<Configure>);

/// The configuration of one connection.
pub(super) struct Configuration(Arc<ClientConfig>);

// === impl Tls ===

impl Tls {
    /// Asks `configure` before each connection. An error of it is one of the connection: logged,
    /// and followed by the next attempt.
    pub fn new<E>(
        configure: impl Fn() -> Result<Arc<ClientConfig>, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: Into<Box<dyn Cause + Send + Sync>>,
    {
        Self(Arc::new(move || configure().map_err(Into::into)))
    }

    pub(super) fn configuration(&self) -> Result<Configuration, Error> {
        (self.0)()
            .map(Configuration)
            .map_err(Error::TlsConfiguration)
    }
}

/// Always the same configuration.
impl From<Arc<ClientConfig>> for Tls {
    fn from(configuration: Arc<ClientConfig>) -> Self {
        Self(Arc::new(move || Ok(Arc::clone(&configuration))))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

// === impl Configuration ===

impl Configuration {
    /// Agrees with a server on keys; `host` is what the remote calls it.
    pub(super) async fn handshake(
        self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            Error::Handshake(io::Error::new(io::ErrorKind::InvalidInput, error))
        })?;
        TlsConnector::from(self.0)
            .connect(name, stream)
            .await
            .map_err(Error::Handshake)
    }
}
