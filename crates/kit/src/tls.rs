//! Mutual TLS between the parts of one installation.
//!
//! ```text
//! source (a folder, a Secret) --read before each connection--> Identity --> rustls configurations
//!                                                                 \-- unreadable: the last good one
//! ```
//!
//! All parts show one certificate and believe one authority, so a certificate proves membership and
//! not a host: its names are not compared with the address, as the programs of OVN do not either.
//! Renewed files are used from the next connection on; nothing watches them, and nothing restarts.

mod accept;
mod connect;
mod issue;
mod member;
#[cfg(test)]
mod tests;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};

pub(crate) use self::accept::accept;
use self::member::Member;
pub use self::{
    connect::{BadAddress, channel},
    issue::{Authority, IssueError, Validity},
};

/// The file with the authorities to believe, as Kube-OVN's Secret has it.
pub const AUTHORITIES: &str = "cacert";
/// The file with our certificate.
pub const CERTIFICATE: &str = "cert";
/// The file with the key of our certificate.
pub const KEY: &str = "key";

/// What a client and a server of gRPC agree on (RFC 7301).
const HTTP2: &[u8] = b"h2";

/// What TLS is spoken with, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pem {
    /// Certificates of those whose signature is believed.
    pub authorities: String,
    /// Our certificate, and those between it and the authority.
    pub certificate: String,
    /// The key of our certificate.
    pub key: String,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or unreadable.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The source has nothing yet.
    #[error("there is no certificate yet")]
    Absent,
    /// A part is no PEM of what it should be.
    #[error("{part} is not in PEM")]
    Pem {
        part: &'static str,
        source: pem::Error,
    },
    /// Nobody's signature could be believed.
    #[error("{AUTHORITIES} has no certificate that can be believed")]
    NoAuthority(#[source] VerifierBuilderError),
    /// The certificate and its key are of no use together, or the authority is none.
    #[error("the certificates are of no use")]
    Unusable(#[from] rustls::Error),
}

type Read = dyn Fn() -> Result<Pem, TlsError> + Send + Sync;

/// Who we are on connections, as of now. A clone is another handle of the same.
#[derive(Clone)]
pub struct Identity(Arc<Source>);

struct Source {
    read: Box<Read>,
    last: Mutex<Option<Configured>>,
}

/// What was read last, and what was made of it.
#[derive(Clone)]
struct Configured {
    pem: Pem,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

// === impl Pem ===

impl Pem {
    /// Reads the files `cacert`, `cert` and `key` of a folder.
    ///
    /// # Errors
    /// [`TlsError::Read`] for the first that cannot be read.
    pub fn read(folder: &Path) -> Result<Self, TlsError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|source| TlsError::Read { path, source })
        };
        Ok(Self {
            authorities: read(AUTHORITIES)?,
            certificate: read(CERTIFICATE)?,
            key: read(KEY)?,
        })
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(AUTHORITIES, &self.authorities)? {
            roots.add(certificate)?;
        }
        Ok(roots)
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        certificates(CERTIFICATE, &self.certificate)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|source| TlsError::Pem { part: KEY, source })
    }
}

fn certificates(part: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { part, source })
}

/// Without the key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem")
            .field("authorities", &self.authorities)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

// === impl Identity ===

impl Identity {
    /// Asks `read` before each connection.
    pub fn new(read: impl Fn() -> Result<Pem, TlsError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Source {
            read: Box::new(read),
            last: Mutex::new(None),
        }))
    }

    /// Of the files `cacert`, `cert` and `key` of a folder.
    pub fn of_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self::new(move || Pem::read(&folder))
    }

    /// How to connect to a member, without a protocol to agree on.
    ///
    /// # Errors
    /// See [`TlsError`]; none once there was a good certificate.
    pub fn client(&self) -> Result<Arc<ClientConfig>, TlsError> {
        Ok(self.now()?.client)
    }

    /// How to serve members by gRPC; whoever shows no certificate is refused.
    ///
    /// # Errors
    /// See [`TlsError`]; none once there was a good certificate.
    pub fn server(&self) -> Result<Arc<ServerConfig>, TlsError> {
        Ok(self.now()?.server)
    }

    fn now(&self) -> Result<Configured, TlsError> {
        let pem = (self.0.read)();
        let mut last = self.0.last.lock();
        match (
            pem.and_then(|pem| Configured::renew(last.as_ref(), pem)),
            &*last,
        ) {
            (Ok(new), _) => Ok(last.insert(new).clone()),
            (Err(error), Some(old)) => {
                let error = crate::error::Chain(&error);
                tracing::warn!(%error, "Still using the last good certificate");
                Ok(old.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

// === impl Configured ===

impl Configured {
    /// The last again while nothing changed.
    fn renew(last: Option<&Self>, pem: Pem) -> Result<Self, TlsError> {
        match last {
            Some(last) if last.pem == pem => Ok(last.clone()),
            Some(_) => {
                tracing::info!("Using another certificate");
                Self::new(pem)
            }
            None => Self::new(pem),
        }
    }

    fn new(pem: Pem) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(Self {
            client: Arc::new(client(&pem, &provider)?),
            server: Arc::new(server(&pem, &provider)?),
            pem,
        })
    }
}

fn client(pem: &Pem, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, TlsError> {
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(pem.roots()?), Arc::clone(provider))
            .build()
            .map_err(TlsError::NoAuthority)?;
    let configuration = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Member(verifier)))
        .with_client_auth_cert(pem.chain()?, pem.key()?)?;
    Ok(configuration)
}

fn server(pem: &Pem, provider: &Arc<CryptoProvider>) -> Result<ServerConfig, TlsError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(pem.roots()?), Arc::clone(provider))
            .build()
            .map_err(TlsError::NoAuthority)?;
    let mut configuration = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(pem.chain()?, pem.key()?)?;
    configuration.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(configuration)
}
