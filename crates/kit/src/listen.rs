//! Where servers listen: a TCP address or a unix socket.

use std::{
    fmt,
    fs::{self, Metadata, Permissions},
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio_util::either::Either;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;
/// Only the owner connects.
const SOCKET_MODE: u32 = 0o600;

/// An address to listen on: `unix:/path`, or `address:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// All of the network that reaches the address.
    Tcp(SocketAddr),
    /// The processes of this host that may open the path.
    Unix(PathBuf),
}

/// The text is neither form of a [`Listen`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither `unix:/path` nor `address:port`")]
pub struct ParseListenError(String);

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The operating system refuses the TCP address.
    #[error("cannot listen on {address}: free it, or choose another")]
    Tcp {
        address: SocketAddr,
        source: io::Error,
    },
    /// The operating system refuses the unix socket.
    #[error("cannot listen on unix:{}", path.display())]
    Unix { path: PathBuf, source: io::Error },
    /// The socket's folder is not there.
    #[error("cannot listen on unix:{}: create its folder first", path.display())]
    NoFolder { path: PathBuf },
    /// Something that is not a socket has the name.
    #[error("{} is in the way and is not a socket; remove it by hand", path.display())]
    NotASocket { path: PathBuf },
    /// Another process serves the socket.
    #[error("another process listens on unix:{}; stop it first", path.display())]
    InUse { path: PathBuf },
}

/// What accepts connections on a [`Listen`].
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A unix socket that is listened on. Its file goes when this does.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Listens on a TCP address; on `[::]` also where the host knows no IPv6.
///
/// # Errors
/// [`ListenError::Tcp`] when the address is taken or not of this host.
async fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = match TcpListener::bind(address).await {
        Err(error) if is_without_ipv6(address, &error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    bound.map_err(|source| ListenError::Tcp { address, source })
}

fn is_without_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    let is_general = address.is_ipv6() && address.ip().is_unspecified();
    is_general
        && !matches!(
            error.kind(),
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied
        )
}

/// Listens on a unix socket that only the owner can open, in place of one that nobody serves.
///
/// The mode is set between binding and listening, so that nobody connects before.
///
/// # Errors
/// See [`ListenError`]; a socket that is served, or a file that is no socket, stays as it is.
async fn unix(path: &Path) -> Result<(UnixListener, SocketFile), ListenError> {
    remove_stale(path).await?;
    let refuse = |source: io::Error| {
        let path = path.to_owned();
        if source.kind() == ErrorKind::NotFound {
            ListenError::NoFolder { path }
        } else {
            ListenError::Unix { path, source }
        }
    };
    let socket = UnixSocket::new_stream().map_err(refuse)?;
    socket.bind(path).map_err(refuse)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(refuse)?;
    let file = SocketFile {
        path: path.into(),
        identity: identity(&fs::symlink_metadata(path).map_err(refuse)?),
    };
    let listener = socket.listen(BACKLOG).map_err(refuse)?;
    Ok((listener, file))
}

/// Removes a socket that nobody serves any more.
async fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: path.into() });
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|source| ListenError::Unix {
                path: path.into(),
                source,
            }),
        Ok(_) | Err(_) => Err(ListenError::InUse { path: path.into() }),
    }
}

/// Device and inode: which file it is, whatever its name.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

// === impl Listen ===

impl FromStr for Listen {
    type Err = ParseListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text
            .strip_prefix("unix:")
            .filter(|path| path.starts_with('/'))
        {
            return Ok(Self::Unix(path.into()));
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_invalid| ParseListenError(text.to_owned()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

// === impl Listener ===

impl Listener {
    /// Listens, and tells where, with the port that was chosen for port 0. A unix socket can be
    /// opened by its owner only.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub(crate) async fn bind(listen: &Listen) -> Result<(Self, Listen), ListenError> {
        match listen {
            Listen::Unix(path) => {
                let (listener, file) = unix(path).await?;
                Ok((Self::Unix(listener, file), listen.clone()))
            }
            &Listen::Tcp(address) => {
                let listener = tcp(address).await?;
                let address = listener
                    .local_addr()
                    .map_err(|source| ListenError::Tcp { address, source })?;
                Ok((Self::Tcp(listener), Listen::Tcp(address)))
            }
        }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Either<TcpStream, UnixStream>> {
        match self {
            Self::Tcp(listener) => Ok(Either::Left(listener.accept().await?.0)),
            Self::Unix(listener, _file) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

// === impl SocketFile ===

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| identity(&metadata) == self.identity);
        if !is_ours {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "Socket file stays");
        }
    }
}

#[cfg(test)]
mod tests;
