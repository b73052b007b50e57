//! The Secret with the certificates of this installation, made when there is none and renewed in
//! time.
//!
//! ```text
//! Secret kube-ovn-tls-authority (key of the authority; mounted nowhere)
//!      |  signs
//!      v
//! Secret kube-ovn-tls (cacert, cert, key) --mounted--> ovn-central, ovs-ovn
//!      \--read here--> Identity --> our connections
//! ```
//!
//! Every controller keeps it, leader or not: the databases cannot be reached before it is there, and
//! a leader must have reached them. Creation is refused for all but the first, and an update names
//! the version that was read, so the controllers do not disagree. A Secret that somebody else made
//! is used and never changed.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    time::{Duration, SystemTime},
};

use k8s_openapi::{ByteString, api::core::v1::Secret, jiff::Timestamp};
use kit::{
    backoff::{Backoff, sleep},
    error::Chain,
    shutdown::Shutdown,
    tls::{
        AUTHORITIES, Authority, CERTIFICATE, Identity, IssueError, KEY, Pem, TlsError, Validity,
    },
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{error::Elapsed, timeout},
};

/// What everybody speaks TLS with.
const MEMBERS: &str = "kube-ovn-tls";
/// What the former is signed with.
const AUTHORITY: &str = "kube-ovn-tls-authority";
/// Annotation of what we made: until when it is good, in RFC 3339.
const EXPIRES: &str = "ovn.kubernetes.io/expires";

/// Certificates are good from a little before now, as clocks differ.
const SKEW: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const TERM_OF_MEMBERS: Term = Term {
    lifetime: DAY.saturating_mul(365),
    renewed_before: DAY.saturating_mul(120),
};
/// It outlives whatever it signs.
const TERM_OF_AUTHORITY: Term = Term {
    lifetime: DAY.saturating_mul(3650),
    renewed_before: DAY.saturating_mul(730),
};

/// How often the Secrets are looked at.
const INTERVAL: Duration = Duration::from_mins(1);
/// The client sets no limit of its own.
const LIMIT: Duration = Duration::from_secs(10);
/// How often another controller may be faster.
const ATTEMPTS: u32 = 5;

/// How long something is good, and how long before its end it is made anew.
#[derive(Debug, Clone, Copy)]
struct Term {
    lifetime: Duration,
    renewed_before: Duration,
}

/// Keeps the Secret.
#[derive(Debug)]
pub(crate) struct Keeper {
    secrets: Api<Secret>,
    current: watch::Sender<Option<Pem>>,
}

/// Why there is no certificate, or an old one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("cannot {verb} Secret {name}; may this ServiceAccount?")]
    Api {
        verb: &'static str,
        name: &'static str,
        source: Box<kube::Error>,
    },
    #[error("the API server did not answer in time about Secret {name}")]
    Silent { name: &'static str, source: Elapsed },
    #[error("Secret {name} lacks `{key}`: add it, or delete the Secret to have another made")]
    Lacks {
        name: &'static str,
        key: &'static str,
    },
    #[error("cannot use Secret {AUTHORITY}: delete it to have another made")]
    Issue(#[from] IssueError),
    #[error("Secret {name} changed under every attempt to write it")]
    Contended { name: &'static str },
}

/// What became of a write.
enum Written {
    Ours,
    /// Somebody was faster.
    Theirs,
}

// === impl Term ===

impl Term {
    fn from(self, now: Timestamp) -> Validity {
        let now = SystemTime::from(now);
        now - SKEW..now + self.lifetime
    }

    /// Whether what carries the annotation is to be made anew.
    fn is_over(self, expires: &str, now: Timestamp) -> bool {
        let Ok(expires) = expires.parse::<Timestamp>() else {
            return true;
        };
        SystemTime::from(now) + self.renewed_before >= SystemTime::from(expires)
    }
}

// === impl Keeper ===

impl Keeper {
    /// Of the Secrets in `namespace`; the identity is without certificate until [`Keeper::run`] has
    /// found or made one.
    pub(crate) fn new(client: &Client, namespace: &str) -> (Self, Identity) {
        let (current, last) = watch::channel(None);
        let keeper = Self {
            secrets: Api::namespaced(client.clone(), namespace),
            current,
        };
        let read = move || last.borrow().clone().ok_or(TlsError::Absent);
        (keeper, Identity::new(read))
    }

    /// Keeps the Secret until shutdown.
    pub(crate) async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        shutdown.run_until_cancelled(self.keep()).await;
        Ok(())
    }

    async fn keep(self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), INTERVAL);
        loop {
            match self.ensure(Timestamp::now()).await {
                Ok(pem) => {
                    self.current.send_replace(Some(pem));
                    backoff.reset();
                    sleep(INTERVAL).await;
                }
                Err(error) => {
                    let error = Chain(&error).to_string();
                    tracing::warn!(error, "Cannot keep the certificates");
                    backoff.wait().await;
                }
            }
        }
    }

    /// What everybody speaks TLS with, made when there is none or the last is near its end.
    ///
    /// # Errors
    /// See [`SecretError`].
    async fn ensure(&self, now: Timestamp) -> Result<Pem, SecretError> {
        for _attempt in 0..ATTEMPTS {
            let found = self.get(MEMBERS).await?;
            if let Some(foreign) = found.as_ref().filter(|it| expires(it).is_none()) {
                return pem(foreign);
            }
            let authority = self.authority(now).await?;
            if let Some(good) = found.as_ref().and_then(|it| good(it, &authority, now)) {
                return Ok(good);
            }
            let pem = authority.issue(&TERM_OF_MEMBERS.from(now))?;
            let data = [
                (AUTHORITIES, &pem.authorities),
                (CERTIFICATE, &pem.certificate),
                (KEY, &pem.key),
            ];
            let secret = secret(found, data, TERM_OF_MEMBERS, now);
            if let Written::Ours = self.write(MEMBERS, secret).await? {
                tracing::info!(secret = MEMBERS, "Issued a certificate");
                return Ok(pem);
            }
        }
        Err(SecretError::Contended { name: MEMBERS })
    }

    /// The authority, made when there is none. A successor is believed beside its predecessor.
    async fn authority(&self, now: Timestamp) -> Result<Authority, SecretError> {
        for _attempt in 0..ATTEMPTS {
            let found = self.get(AUTHORITY).await?;
            let last = match &found {
                Some(secret) => Some(load(secret)?),
                None => None,
            };
            let annotation = found.as_ref().and_then(expires).unwrap_or_default();
            if let Some(last) = &last
                && !TERM_OF_AUTHORITY.is_over(annotation, now)
            {
                return Ok(Authority::load(last.certificate(), &last.key())?);
            }
            let mut authority = Authority::generate(&TERM_OF_AUTHORITY.from(now))?;
            if let Some(last) = last {
                authority = authority.after(&last);
            }
            let key = authority.key();
            let data = [(AUTHORITIES, authority.certificate()), (KEY, &key)];
            let secret = secret(found, data, TERM_OF_AUTHORITY, now);
            if let Written::Ours = self.write(AUTHORITY, secret).await? {
                tracing::info!(secret = AUTHORITY, "Made an authority");
                return Ok(authority);
            }
        }
        Err(SecretError::Contended { name: AUTHORITY })
    }

    async fn get(&self, name: &'static str) -> Result<Option<Secret>, SecretError> {
        let got = timeout(LIMIT, self.secrets.get_opt(name)).await;
        got.map_err(|source| SecretError::Silent { name, source })?
            .map_err(|source| SecretError::Api {
                verb: "read",
                name,
                source: source.into(),
            })
    }

    /// Creates what has no version yet, and replaces what still has the version that was read.
    async fn write(&self, name: &'static str, mut secret: Secret) -> Result<Written, SecretError> {
        let is_new = secret.metadata.resource_version.is_none();
        secret.metadata.name = Some(name.to_owned());
        let params = PostParams::default();
        let (verb, written) = if is_new {
            let creating = self.secrets.create(&params, &secret);
            ("create", timeout(LIMIT, creating).await)
        } else {
            let replacing = self.secrets.replace(name, &params, &secret);
            ("update", timeout(LIMIT, replacing).await)
        };
        match written.map_err(|source| SecretError::Silent { name, source })? {
            Ok(_) => Ok(Written::Ours),
            // taken, changed, or gone since
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Ok(Written::Theirs)
            }
            Err(source) => Err(SecretError::Api {
                verb,
                name,
                source: source.into(),
            }),
        }
    }
}

/// The annotation of what we made.
fn expires(secret: &Secret) -> Option<&str> {
    let annotations = secret.metadata.annotations.as_ref()?;
    annotations.get(EXPIRES).map(String::as_str)
}

/// The content, while it is whole, far from its end, and of this authority.
fn good(secret: &Secret, authority: &Authority, now: Timestamp) -> Option<Pem> {
    let is_over = TERM_OF_MEMBERS.is_over(expires(secret)?, now);
    let pem = pem(secret).ok()?;
    let is_good = !is_over && pem.authorities == authority.certificate();
    is_good.then_some(pem)
}

fn pem(secret: &Secret) -> Result<Pem, SecretError> {
    Ok(Pem {
        authorities: text(secret, MEMBERS, AUTHORITIES)?,
        certificate: text(secret, MEMBERS, CERTIFICATE)?,
        key: text(secret, MEMBERS, KEY)?,
    })
}

fn load(secret: &Secret) -> Result<Authority, SecretError> {
    let certificate = text(secret, AUTHORITY, AUTHORITIES)?;
    Ok(Authority::load(
        certificate,
        &text(secret, AUTHORITY, KEY)?,
    )?)
}

fn text(secret: &Secret, name: &'static str, key: &'static str) -> Result<String, SecretError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    bytes
        .map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned())
        .ok_or(SecretError::Lacks { name, key })
}

/// The Secret that was found, or a new one, with other content.
fn secret<V: AsRef<str>, const N: usize>(
    found: Option<Secret>,
    data: [(&'static str, V); N],
    term: Term,
    now: Timestamp,
) -> Secret {
    let metadata = found.map_or_else(ObjectMeta::default, |secret| secret.metadata);
    let mut annotations = metadata.annotations.clone().unwrap_or_default();
    annotations.insert(EXPIRES.to_owned(), (now + term.lifetime).to_string());
    let data: BTreeMap<_, _> = data
        .into_iter()
        .map(|(key, value)| (key.to_owned(), ByteString(value.as_ref().into())))
        .collect();
    Secret {
        metadata: ObjectMeta {
            annotations: Some(annotations),
            ..metadata
        },
        data: Some(data),
        ..Secret::default()
    }
}
