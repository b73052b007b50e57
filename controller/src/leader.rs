//! What only the leader does: it alone writes, to the northbound database and to Kubernetes.
//!
//! ```text
//! index listed, NB read --> stand by --lease won--> bootstrap, recorder, editor, reporter, canary,
//!                                                      |              gateways, chassis, sync
//!                                                      |
//!                    exit <--lease lost, canary mute---+
//! ```
//!
//! Whoever loses the lease ends, and stands by after its restart. Where only the API server was
//! silent, all of the process begins anew, with nothing kept ([`is_silenced`]): a container that
//! ended as often as that would be made to wait longer and longer. The lease is given back only
//! when nothing is written any more.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use controller_index::{Shared, Verdicts};
use controller_status::{Bootstrap, Editor, PoolReporter, Recorder, Reporter, Writer};
use controller_sync::chassis::Chassis;
use controller_sync::{Canary, Metrics, Sync};
use kit::backoff::Backoff;
use kit::lease::{Election, Lost, Permit, Tenure, Term};
use kit::readiness::{Condition, Readiness};
use kit::shutdown::Shutdown;
use kit::tasks::{TaskError, Tasks};
use kube::Client;
use model::NodeName;
use tokio::time::timeout;

use crate::gateways::{self, Hub, Reports, Rules, Watcher};
use crate::{adoption, drive};

/// How long the leader's tasks may take to end; less than a lease outlives its last renewal.
const GRACE: Duration = Duration::from_secs(4);
/// How long giving back the lease may take.
const RELEASE: Duration = Duration::from_secs(2);
/// A leader whose canary is away for so long lets another one try.
const MUTE: Duration = Duration::from_secs(30);

/// A controller that may become the leader.
pub(crate) struct Leader {
    pub(crate) index: Shared,
    pub(crate) nb: ovsdb::Client,
    pub(crate) sb: (ovsdb::Client, ovsdb::Driver),
    pub(crate) kubernetes: Client,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) liveness: Liveness,
    /// `None` for the only controller there is.
    pub(crate) election: Option<Election>,
}

/// What the watch over gateway nodes needs besides.
pub(crate) struct Liveness {
    pub(crate) hub: Hub,
    pub(crate) reports: Reports,
    pub(crate) rules: Rules,
    pub(crate) metrics: gateways::Metrics,
}

// === impl Leader ===

impl Leader {
    /// Stands by, leads, and gives the lease back.
    ///
    /// # Errors
    /// When the lease is lost, or a task fails.
    pub(crate) async fn run(self, warm: Condition, shutdown: Shutdown) -> anyhow::Result<()> {
        let Some(tenure) = shutdown.run_until_cancelled(self.stand(&warm)).await else {
            return Ok(());
        };
        let election = self.election.clone();
        let term = tenure.as_ref().map(Tenure::term);
        let ended = self.lead(tenure, &warm, shutdown).await;
        if let (Some(election), Some(term)) = (election, term)
            && !matches!(ended, Err(TaskError::Stuck { .. }))
        {
            release(&election, term).await;
        }
        Ok(ended?)
    }
    /// Waits until all is known that a leader must know, and then for the lease. Whoever cannot
    /// reach the database does not stand.
    async fn stand(&self, warm: &Condition) -> Option<Tenure> {
        warm.unmet("waiting for the objects of every kind to be listed");
        self.listed().await;
        warm.unmet("waiting for the northbound database");
        self.nb.replica().connected().await;
        let election = self.election.as_ref()?;
        warm.met();
        loop {
            tokio::select! {
                tenure = election.win() => return Some(tenure),
                () = self.disconnected() => tracing::warn!("Not standing without a database"),
            }
            self.nb.replica().connected().await;
        }
    }

    async fn disconnected(&self) {
        let mut versions = self.nb.replica().watch();
        let lost = versions.wait_for(|version| !version.connected).await;
        if lost.map(drop).is_err() {
            tracing::debug!("The client of the northbound database has ended");
        }
    }

    async fn listed(&self) {
        let mut writes = self.index.subscribe();
        while !self.index.read().is_synced() {
            if writes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Every task that writes.
    async fn lead(
        self,
        tenure: Option<Tenure>,
        warm: &Condition,
        shutdown: Shutdown,
    ) -> Result<(), TaskError> {
        let settled = self.readiness.condition("settled");
        let canary = Canary::new(self.nb.clone(), self.readiness.condition("writable"));
        warm.met();
        let mut tasks = Tasks::new(shutdown.clone());
        let permit = tenure.as_ref().map_or_else(Permit::always, Tenure::permit);
        let kubernetes = permit.guard(self.kubernetes);
        let canary = match self.election.zip(tenure) {
            Some((election, tenure)) => {
                tasks.spawn("lease", hold(election, tenure, shutdown.clone()));
                canary.giving_up_after(MUTE)
            }
            None => canary,
        };
        tasks.spawn("canary", canary.run(shutdown.clone()));
        tasks.spawn(
            "bootstrap",
            ensure(self.bootstrap, kubernetes.clone(), shutdown.clone()),
        );
        let (verdicts, writer) = (Verdicts::default(), Writer::new(kubernetes));
        let recorder =
            Recorder::new(self.index.clone(), writer.clone()).while_permitted(permit.clone());
        let pools = PoolReporter::new(self.index.clone(), recorder.contents(), writer.clone());
        let pools = pools.while_permitted(permit.clone());
        tasks.spawn("pools", pools.run(shutdown.clone()));
        let (index, usages) = (self.index.clone(), recorder.usages());
        let editor = Editor::new(self.index.clone(), writer.clone());
        let editor = editor.while_permitted(permit.clone());
        tasks.spawn("editor", editor.run(shutdown.clone()));
        let reporter = Reporter::new(index, verdicts.clone(), usages, writer.clone());
        let reporter = reporter.while_permitted(permit.clone());
        tasks.spawn("recorder", recorder.run(shutdown.clone()));
        tasks.spawn("reporter", reporter.run(shutdown.clone()));
        let out = silent_before(&self.index, &self.nb);
        let watcher = self.liveness.watcher(self.index.clone(), writer.clone());
        tasks.spawn("gateways", watcher.run(out, shutdown.clone()));
        let (sb, driver) = self.sb;
        let chassis = Chassis::new(self.index.clone(), sb, permit.clone());
        tasks.spawn("sb", drive(driver, shutdown.clone()));
        tasks.spawn("chassis", chassis.run(shutdown.clone()));
        let (index, nb) = (self.index.clone(), self.nb.clone());
        let sync = Sync::new(self.index, self.nb, verdicts, self.metrics, settled);
        tasks.spawn("sync", async move {
            let recorded = adoption::record_macs(&index, &nb, &writer, &permit);
            match shutdown.run_until_cancelled(recorded).await {
                Some(()) => sync.while_permitted(permit.clone()).run(shutdown).await,
                None => Ok(()),
            }
        });
        tasks.join(GRACE).await
    }
}

// === impl Liveness ===

impl Liveness {
    fn watcher(self, index: Shared, writer: Writer) -> Watcher {
        Watcher {
            index,
            hub: self.hub,
            reports: self.reports,
            rules: self.rules,
            metrics: self.metrics,
            writer,
        }
    }
}

/// Before anything is planned: the gateway nodes that the last leader took out stay out until it is
/// known better.
fn silent_before(index: &Shared, nb: &ovsdb::Client) -> BTreeSet<NodeName> {
    let view = controller_sync::view(nb).unwrap_or_default();
    let silent = gateways::silent_before(index.read().inputs(), &view);
    index.write(|index| index.set_silent(&silent));
    silent
}

/// Whether a controller ended, with all its tasks, because the API server was away for too long.
pub(crate) fn is_silenced(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| matches!(cause.downcast_ref(), Some(Lost::NotRenewed { .. })))
}

async fn hold(election: Election, tenure: Tenure, shutdown: Shutdown) -> Result<(), Lost> {
    match shutdown.run_until_cancelled(election.hold(tenure)).await {
        Some(lost) => Err(lost),
        None => Ok(()),
    }
}

/// A lease that is not given back expires by itself.
async fn release(election: &Election, term: Term) {
    match timeout(RELEASE, election.release(term)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let error = kit::error::Chain(&error);
            tracing::warn!(%error, "Cannot give the lease back");
        }
        Err(_elapsed) => tracing::warn!("Cannot give the lease back in time"),
    }
}

/// Creates the default objects, however long the API server takes to be there.
async fn ensure(
    bootstrap: Bootstrap,
    client: Client,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    while let Some(Err(error)) = shutdown
        .run_until_cancelled(bootstrap.ensure(&client))
        .await
    {
        warn(&error);
        shutdown.run_until_cancelled(backoff.wait()).await;
    }
    shutdown.cancelled().await;
    Ok(())
}

fn warn(error: &kube::Error) {
    let error = kit::error::Chain(error);
    tracing::warn!(%error, "Cannot create the default objects; are the CRDs of deploy/crds installed?");
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ended_by(lost: Lost) -> anyhow::Error {
        let mut tasks = Tasks::new(Shutdown::new());
        tasks.spawn("lease", async { Err(lost) });
        let leader = async { anyhow::Ok(tasks.join(GRACE).await?) };
        let mut program = Tasks::new(Shutdown::new());
        program.spawn("leader", leader);
        program.join(GRACE).await.unwrap_err().into()
    }

    #[tokio::test]
    async fn a_silent_api_server_is_no_reason_to_end() {
        let name = "kube-ovn-controller".to_owned();
        let silence = Duration::from_secs(10);
        let silenced = ended_by(Lost::NotRenewed { name, silence }).await;
        assert!(is_silenced(&silenced), "{silenced:#}");
    }

    #[tokio::test]
    async fn a_lease_that_another_holds_is_one() {
        let (name, holder) = ("kube-ovn-controller".to_owned(), "other".to_owned());
        let taken = ended_by(Lost::Taken { name, holder }).await;
        assert!(!is_silenced(&taken), "{taken:#}");
    }
}
