//! Where a server listens, in the notation of OVSDB's tools (ovsdb(7), "Connection Methods").

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::{error::Error, tls::Tls};

/// One address of a database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// `unix:/path/to/socket`
    Unix(PathBuf),
    /// `tcp:host:port`, with IPv6 addresses as `tcp:[::1]:6641`.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 6641 for NB, 6642 for SB, 6640 for Open vSwitch by custom.
        port: u16,
    },
    /// `ssl:host:port`: TCP with TLS, for which [`Options::tls`](super::Options::tls) is needed.
    Ssl {
        /// A name or an address, without brackets.
        host: String,
        /// The port, by custom the same as without TLS.
        port: u16,
    },
}

/// A text that is not a remote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// None of `unix:`, `tcp:` and `ssl:`.
    #[error("remote {0:?} starts with none of unix:, tcp: and ssl:")]
    Method(String),
    /// `unix:` without a path.
    #[error("remote {0:?} lacks a path")]
    Path(String),
    /// `tcp:` or `ssl:` without a host.
    #[error("remote {0:?} lacks a host")]
    Host(String),
    /// `tcp:` or `ssl:` without a port from 1 to 65535.
    #[error("remote {0:?} lacks a port from 1 to 65535")]
    Port(String),
}

impl Remote {
    /// Reads remotes separated by commas; blanks around them and empty ones are ignored.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, RemoteError> {
        text.split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(str::parse)
            .collect()
    }

    /// Opens the stream; `tls` is for the remotes that want it.
    pub(super) async fn connect(&self, tls: Option<&Tls>) -> Result<Stream, Error> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(Error::Connect)?;
                Ok(Box::new(stream))
            }
            Self::Tcp { host, port } => Ok(Box::new(connect_tcp(host, *port).await?)),
            Self::Ssl { host, port } => {
                let tls = tls.ok_or(Error::TlsMissing)?.configuration()?;
                let stream = connect_tcp(host, *port).await?;
                Ok(Box::new(tls.handshake(host, stream).await?))
            }
        }
    }
}

async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(Error::Connect)?;
    stream.set_nodelay(true).map_err(Error::Connect)?;
    Ok(stream)
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        match text.split_once(':') {
            Some(("unix", "")) => Err(RemoteError::Path(text.to_owned())),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => {
                let (host, port) = host_and_port(text, address)?;
                Ok(Self::Tcp { host, port })
            }
            Some(("ssl", address)) => {
                let (host, port) = host_and_port(text, address)?;
                Ok(Self::Ssl { host, port })
            }
            _ => Err(RemoteError::Method(text.to_owned())),
        }
    }
}

fn host_and_port(text: &str, address: &str) -> Result<(String, u16), RemoteError> {
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| RemoteError::Port(text.to_owned()))?;
    let port = match port.parse() {
        Ok(port) if port > 0 => port,
        Ok(_) | Err(_) => return Err(RemoteError::Port(text.to_owned())),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    // an unbracketed IPv6 address would give its last group away as the port
    let is_ambiguous = bare == host && host.contains(':');
    if bare.is_empty() || is_ambiguous {
        return Err(RemoteError::Host(text.to_owned()));
    }
    Ok((bare.to_owned(), port))
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp:{}:{port}", Host(host)),
            Self::Ssl { host, port } => write!(f, "ssl:{}:{port}", Host(host)),
        }
    }
}

/// Prints IPv6 addresses in brackets.
struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.parse() {
            Ok(IpAddr::V6(host)) => write!(f, "[{host}]"),
            Ok(IpAddr::V4(_)) | Err(_) => f.write_str(self.0),
        }
    }
}

/// Whatever carries the bytes.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Transport for T {}

pub(super) type Stream = Box<dyn Transport>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_print_as_they_are_read() {
        for text in [
            "unix:/run/ovn/ovnnb_db.sock",
            "tcp:nb.example:6641",
            "tcp:[fd00::1]:6641",
            "ssl:10.0.0.1:6641",
            "ssl:[fd00::1]:6641",
        ] {
            let remote: Remote = text.parse().unwrap();
            assert_eq!(remote.to_string(), text);
        }
    }

    #[test]
    fn a_list_ignores_blanks_and_empty_members() {
        let remotes = Remote::parse_list(" tcp:10.0.0.1:6641, ,tcp:10.0.0.2:6641,").unwrap();
        assert_eq!(remotes.len(), 2);
    }

    #[test]
    fn what_is_no_remote_is_refused_with_its_fault() {
        let fault = |text: &str| text.parse::<Remote>().unwrap_err();
        assert_eq!(
            fault("10.0.0.1:6641"),
            RemoteError::Method("10.0.0.1:6641".to_owned())
        );
        assert_eq!(
            fault("pssl:6641"),
            RemoteError::Method("pssl:6641".to_owned())
        );
        assert_eq!(fault("ssl:a"), RemoteError::Port("ssl:a".to_owned()));
        assert_eq!(fault("unix:"), RemoteError::Path("unix:".to_owned()));
        assert_eq!(fault("tcp:a"), RemoteError::Port("tcp:a".to_owned()));
        assert_eq!(fault("tcp:a:0"), RemoteError::Port("tcp:a:0".to_owned()));
        assert_eq!(
            fault("tcp::6641"),
            RemoteError::Host("tcp::6641".to_owned())
        );
        assert_eq!(
            fault("tcp:fd00::1:6641"),
            RemoteError::Host("tcp:fd00::1:6641".to_owned())
        );
    }
}
