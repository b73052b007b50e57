//! Channels of gRPC to members.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};

use super::{HTTP2, Identity};

/// How often a server is asked, while a call lasts, whether it is there, and how long it may take to
/// say so: TCP alone would wait for minutes for a host that lost power.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The address cannot be part of a URI.
#[derive(Debug, thiserror::Error)]
#[error("{address} is no address of a gRPC server")]
pub struct BadAddress {
    address: SocketAddr,
    source: tonic::transport::Error,
}

/// A channel that connects when it is used, and again when the connection breaks.
///
/// # Errors
/// None for what can be listened on.
pub fn channel(address: SocketAddr, identity: &Identity) -> Result<Channel, BadAddress> {
    // what is beneath is no business of the URI's
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|source| BadAddress { address, source })?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let identity = identity.clone();
    let connect = move |_uri| {
        let identity = identity.clone();
        async move { connect(address, &identity).await.map(TokioIo::new) }
    };
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(connect)))
}

async fn connect(
    address: SocketAddr,
    identity: &Identity,
) -> Result<TlsStream<TcpStream>, Box<dyn Error + Send + Sync>> {
    let mut configuration = (*identity.client()?).clone();
    configuration.alpn_protocols = vec![HTTP2.to_vec()];
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::IpAddress(address.ip().into());
    let connector = TlsConnector::from(Arc::new(configuration));
    Ok(connector.connect(name, stream).await?)
}
