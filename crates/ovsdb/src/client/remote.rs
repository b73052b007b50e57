//! Where a server listens, in the notation of OVSDB's tools (ovsdb(7), "Connection Methods").

use std::{fmt, io, net::IpAddr, path::PathBuf, str::FromStr};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

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
}

/// A text that is not a remote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Neither `unix:` nor `tcp:`.
    #[error("remote {0:?} starts with neither unix: nor tcp:")]
    Method(String),
    /// `unix:` without a path.
    #[error("remote {0:?} lacks a path")]
    Path(String),
    /// `tcp:` without a host.
    #[error("remote {0:?} lacks a host")]
    Host(String),
    /// `tcp:` without a port from 1 to 65535.
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

    pub(super) async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        match text.split_once(':') {
            Some(("unix", "")) => Err(RemoteError::Path(text.to_owned())),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => tcp(text, address),
            _ => Err(RemoteError::Method(text.to_owned())),
        }
    }
}

fn tcp(text: &str, address: &str) -> Result<Remote, RemoteError> {
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
    Ok(Remote::Tcp {
        host: bare.to_owned(),
        port,
    })
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } => match host.parse() {
                Ok(IpAddr::V6(host)) => write!(f, "tcp:[{host}]:{port}"),
                Ok(IpAddr::V4(_)) | Err(_) => write!(f, "tcp:{host}:{port}"),
            },
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
            fault("ssl:a:6641"),
            RemoteError::Method("ssl:a:6641".to_owned())
        );
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
