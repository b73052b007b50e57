//! One leader among several processes, by a `Lease` of Kubernetes (`coordination.k8s.io/v1`).
//!
//! ```text
//! win: read --Candidate--> wait | take --replace, guarded by resourceVersion--> Tenure
//! hold: renew --conflict--> read --still ours?--> renew | Lost
//!             --no success within the deadline--> Lost
//! ```
//!
//! Every write names the version that was read, so of two candidates one succeeds. A holder counts
//! its silence from before a request that succeeded, a candidate from when it saw the lease change
//! last, so the holder gives up first, whatever the clocks say.

mod candidate;
mod guard;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Client,
    api::{Api, ObjectMeta, PostParams},
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use self::candidate::{Candidate, Move, Seen};
use crate::backoff::sleep;

/// Which lease, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseConfig {
    pub namespace: String,
    pub name: String,
    /// Unique among the candidates; a restarted process has the same as before.
    pub identity: String,
    /// Written into the lease by its holder, such as its address.
    pub annotations: BTreeMap<String, String>,
    /// How long a holder may be silent before others take the lease; whole seconds.
    pub duration: Duration,
}

/// A process that stands for leader.
#[derive(Debug, Clone)]
pub struct Election {
    leases: Api<Lease>,
    config: LeaseConfig,
}

/// The lease in our hands, as it was written last.
#[derive(Debug)]
pub struct Tenure {
    lease: Lease,
    term: Term,
    /// From when on we are silent: before the last write that succeeded.
    renewed: Instant,
    permit: Permit,
}

/// Whether we may still write: asked before every write, since a process that was stopped for a
/// while goes on where it was before it hears that it has lost the lease.
#[derive(Debug, Clone)]
pub struct Permit(Option<Arc<Mutex<Instant>>>);

/// One acquisition among all of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term(i32);

/// Why a tenure ended. Whoever lost the lease must not write any more.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Another process, or another of our name, holds it.
    #[error("lease {name} is held by `{holder}` now")]
    Taken { name: String, holder: String },
    /// Nobody answered in time; others may take it soon.
    #[error("lease {name} could not be renewed for {} seconds", .silence.as_secs())]
    NotRenewed { name: String, silence: Duration },
}

// === impl LeaseConfig ===

impl LeaseConfig {
    /// A holder that could not renew for so long gives up. The rest of the duration is for its
    /// tasks to end.
    pub fn deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// How often a holder renews, and a candidate looks.
    fn period(&self) -> Duration {
        self.duration * 2 / 15
    }
}

// === impl Election ===

impl Election {
    pub fn new(client: Client, config: LeaseConfig) -> Self {
        Self {
            leases: Api::namespaced(client, &config.namespace),
            config,
        }
    }

    /// Waits for the lease, however long that takes.
    pub async fn win(&self) -> Tenure {
        let mut candidate = Candidate::new(self.config.identity.clone());
        let mut leader = None;
        loop {
            match timeout(self.config.deadline(), self.stand(&mut candidate)).await {
                Ok(Ok(Standing::Won(tenure))) => {
                    tracing::info!(lease = self.config.name, term = tenure.term.0, "Leading");
                    return *tenure;
                }
                Ok(Ok(Standing::Behind(holder))) if leader.as_ref() != Some(&holder) => {
                    tracing::info!(lease = self.config.name, holder, "Standing by");
                    leader = Some(holder);
                }
                Ok(Ok(Standing::Behind(_))) => {}
                Ok(Err(error)) => self.warn(&error),
                Err(_elapsed) => tracing::warn!("The API server does not answer in time"),
            }
            sleep(self.config.period()).await;
        }
    }

    /// Renews the lease until it is lost.
    pub async fn hold(&self, mut tenure: Tenure) -> Lost {
        loop {
            sleep(self.config.period()).await;
            let deadline = tenure.renewed + self.config.deadline();
            match timeout_at(deadline, self.renew(&tenure)).await {
                Ok(Ok(renewed)) => {
                    renewed
                        .permit
                        .extend(renewed.renewed + self.config.deadline());
                    tenure = renewed;
                }
                Ok(Err(lost)) => return lost,
                Err(_elapsed) => {
                    return Lost::NotRenewed {
                        name: self.config.name.clone(),
                        silence: self.config.deadline(),
                    };
                }
            }
        }
    }

    /// Gives the lease back if it is still that of `term`, so that others need not wait. Call it
    /// when nothing is written any more.
    ///
    /// # Errors
    /// When the API server refuses; the lease then expires by itself.
    pub async fn release(&self, term: Term) -> Result<(), kube::Error> {
        let Some(mut lease) = self.read().await? else {
            return Ok(());
        };
        if !seen(&lease).is_held_by(&self.config.identity, term.0) {
            return Ok(());
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        self.replace(&lease).await?;
        tracing::info!(lease = self.config.name, "Gave the lease back");
        Ok(())
    }

    /// One look at the lease, and one attempt when it is free.
    async fn stand(&self, candidate: &mut Candidate) -> Result<Standing, kube::Error> {
        let found = self.read().await?;
        let known = found.as_ref().map(seen);
        if let Move::WaitFor { holder, until } = candidate.judge(known.as_ref(), Instant::now()) {
            tracing::trace!(holder, ?until, "Lease is held");
            return Ok(Standing::Behind(holder));
        }
        let began = Instant::now();
        let term = Term(known.map_or(0, |seen| seen.term).wrapping_add(1));
        let lease = self.write(found, term).await?;
        Ok(Standing::Won(Box::new(Tenure {
            lease,
            term,
            renewed: began,
            permit: Permit::until(began + self.config.deadline()),
        })))
    }

    async fn write(&self, found: Option<Lease>, term: Term) -> Result<Lease, kube::Error> {
        let exists = found.is_some();
        let lease = self.ours(found.unwrap_or_default(), term);
        if exists {
            self.replace(&lease).await
        } else {
            self.leases.create(&PostParams::default(), &lease).await
        }
    }

    /// Tries until it succeeds or the lease is somebody else's; the caller sets the deadline.
    async fn renew(&self, tenure: &Tenure) -> Result<Tenure, Lost> {
        let mut lease = tenure.lease.clone();
        loop {
            let began = Instant::now();
            let error = match self.replace(&renewed(lease.clone())).await {
                Ok(lease) => {
                    return Ok(Tenure {
                        lease,
                        term: tenure.term,
                        renewed: began,
                        permit: tenure.permit.clone(),
                    });
                }
                Err(error) => error,
            };
            match self.read_after(&error, tenure.term).await? {
                Some(current) => lease = current,
                None => sleep(self.config.period()).await,
            }
        }
    }

    /// The lease as it is after a write that failed because it had changed; `None` when the write
    /// failed for another reason, or nobody answers.
    async fn read_after(&self, error: &kube::Error, term: Term) -> Result<Option<Lease>, Lost> {
        if !matches!(error, kube::Error::Api(status) if [404, 409].contains(&status.code)) {
            self.warn(error);
            return Ok(None);
        }
        match self.read().await {
            Ok(current) => self.still_ours(current, term).map(Some),
            Err(error) => {
                self.warn(&error);
                Ok(None)
            }
        }
    }

    /// Somebody else wrote into the lease; that may have been an annotation.
    fn still_ours(&self, current: Option<Lease>, term: Term) -> Result<Lease, Lost> {
        let holder = match current {
            Some(lease) if seen(&lease).is_held_by(&self.config.identity, term.0) => {
                return Ok(lease);
            }
            Some(lease) => seen(&lease).holder,
            None => None,
        };
        Err(Lost::Taken {
            name: self.config.name.clone(),
            holder: holder.unwrap_or_else(|| "nobody".to_owned()),
        })
    }

    async fn read(&self) -> Result<Option<Lease>, kube::Error> {
        self.leases.get_opt(&self.config.name).await
    }

    /// Fails when the lease has another version by now.
    async fn replace(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        let name = &self.config.name;
        self.leases
            .replace(name, &PostParams::default(), lease)
            .await
    }

    /// The lease with us as its holder.
    fn ours(&self, lease: Lease, term: Term) -> Lease {
        let annotations = lease.metadata.annotations.unwrap_or_default();
        let spec = lease.spec.unwrap_or_default();
        renewed(Lease {
            metadata: ObjectMeta {
                name: Some(self.config.name.clone()),
                annotations: Some(
                    annotations
                        .into_iter()
                        .chain(self.config.annotations.clone())
                        .collect(),
                ),
                ..lease.metadata
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.config.identity.clone()),
                lease_duration_seconds: i32::try_from(self.config.duration.as_secs()).ok(),
                lease_transitions: Some(term.0),
                acquire_time: Some(now()),
                ..spec
            }),
        })
    }

    fn warn(&self, error: &kube::Error) {
        let error = crate::error::Chain(error);
        tracing::warn!(lease = self.config.name, %error, "A request for the lease failed, trying again");
    }
}

/// How an attempt ended.
enum Standing {
    Won(Box<Tenure>),
    /// That one holds the lease.
    Behind(String),
}

// === impl Tenure ===

impl Tenure {
    pub const fn term(&self) -> Term {
        self.term
    }

    /// What to ask before each write, for as long as the tenure lasts.
    pub fn permit(&self) -> Permit {
        self.permit.clone()
    }
}

// === impl Permit ===

impl Permit {
    /// For the only writer there is.
    pub const fn always() -> Self {
        Self(None)
    }

    fn until(end: Instant) -> Self {
        Self(Some(Arc::new(Mutex::new(end))))
    }

    /// Whether a write may begin now.
    pub fn holds(&self) -> bool {
        let end = self.0.as_ref().map(|end| *end.lock());
        end.is_none_or(|end| Instant::now() < end)
    }

    fn extend(&self, end: Instant) {
        if let Some(held) = &self.0 {
            *held.lock() = end;
        }
    }
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or(0);
    Seen {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        term: spec.lease_transitions.unwrap_or(0),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn renewed(mut lease: Lease) -> Lease {
    lease.spec.get_or_insert_default().renew_time.replace(now());
    lease
}

/// For people to read, and to make every write a change. Nothing is decided by it.
fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}
