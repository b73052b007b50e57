//! Connections of members to a server.

use std::{convert::Infallible, future::ready, io, time::Duration};

use futures::{Stream, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::TcpListenerStream;

use super::{Identity, TlsError};
use crate::{backoff::sleep, error::Chain};

/// How many may shake hands at the same time.
const HANDSHAKES: usize = 64;
/// How long a client may take for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The wait when the system has no connection to give, such as without a free descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a connection is not served.
#[derive(Debug, thiserror::Error)]
enum AcceptError {
    #[error("the system gives no connection")]
    Accept(#[source] io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the client took too long to shake hands")]
    Slow,
}

/// The connections of those who show a certificate of ours, for ever.
pub(crate) fn accept(
    listener: TcpListener,
    identity: Identity,
) -> impl Stream<Item = Result<TlsStream<TcpStream>, Infallible>> {
    TcpListenerStream::new(listener)
        .map(move |stream| handshake(stream, identity.clone()))
        .buffer_unordered(HANDSHAKES)
        .filter_map(|stream| ready(stream.map_err(|error| refused(&error)).ok().map(Ok)))
}

async fn handshake(
    stream: io::Result<TcpStream>,
    identity: Identity,
) -> Result<TlsStream<TcpStream>, AcceptError> {
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => {
            sleep(PAUSE).await;
            return Err(AcceptError::Accept(error));
        }
    };
    stream.set_nodelay(true).map_err(AcceptError::Accept)?;
    let accepting = TlsAcceptor::from(identity.server()?).accept(stream);
    timeout(PATIENCE, accepting)
        .await
        .map_err(|_elapsed| AcceptError::Slow)?
        .map_err(AcceptError::Handshake)
}

fn refused(error: &AcceptError) {
    let error = Chain(error);
    tracing::warn!(%error, "Refused a connection");
}
