//! The loop that reports: statuses of subnets and VPCs, written where they differ, and events for
//! what users must mend.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use api::{SubnetStatus, VpcStatus};
use controller_index::{Shared, Verdicts};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kit::shutdown::Shutdown;
use model::{SubnetName, VpcName};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::complaints::{self, Complaint};
use crate::ledger::Usages;
use crate::statuses::{self, Timeless};
use crate::writer::{WriteError, Writer};

/// How often statuses are compared: a pod that comes and one that goes in between are no write.
const PERIOD: Duration = Duration::from_secs(1);
/// How often the counters of a subnet are written, beside its conditions: while pods come and go
/// they are never right for long.
const COUNTED: Duration = Duration::from_secs(5);
/// How often what is written is read again, in case somebody else wrote.
const REREAD: Duration = Duration::from_mins(1);

/// Reports what became of intent.
#[derive(Debug)]
pub struct Reporter {
    index: Shared,
    verdicts: Verdicts,
    usages: watch::Receiver<Usages>,
    writer: Writer,
    written: Written,
    read: Option<Instant>,
    told: BTreeSet<Complaint>,
    /// When a subnet's status was written last.
    counted: BTreeMap<SubnetName, Instant>,
}

/// The statuses as the API server has them.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) subnets: BTreeMap<SubnetName, SubnetStatus>,
    pub(crate) vpcs: BTreeMap<VpcName, VpcStatus>,
}

// === impl Reporter ===

impl Reporter {
    pub fn new(
        index: Shared,
        verdicts: Verdicts,
        usages: watch::Receiver<Usages>,
        writer: Writer,
    ) -> Self {
        Self {
            index,
            verdicts,
            usages,
            writer,
            written: Written::default(),
            read: None,
            told: BTreeSet::new(),
            counted: BTreeMap::new(),
        }
    }

    /// Runs until shutdown.
    ///
    /// # Errors
    /// Never; what fails is tried again.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Some(Err(error)) = shutdown.run_until_cancelled(self.report()).await {
                warn(&error);
            }
        }
        Ok(())
    }

    async fn report(&mut self) -> Result<(), WriteError> {
        if self.read.is_none_or(|read| read.elapsed() > REREAD) {
            self.written = self.writer.read_statuses().await?;
            self.read = Some(Instant::now());
        }
        self.report_subnets().await?;
        self.report_vpcs().await?;
        self.tell().await
    }

    async fn report_subnets(&mut self) -> Result<(), WriteError> {
        let usages = self.usages.borrow().clone();
        let wanted = statuses::subnets(&self.index.read(), &self.verdicts, &usages);
        let known = &mut self.written.subnets;
        known.retain(|name, _| statuses::is_known(&self.index.read(), name));
        self.counted.retain(|name, _| known.contains_key(name));
        for (name, status) in wanted {
            let former = known.get(&name);
            let timeless = former.map(Timeless::timeless);
            let is_same = timeless.as_ref() == Some(&status);
            let is_news = timeless.is_none_or(|it| it.conditions != status.conditions);
            let is_early = |at: &Instant| at.elapsed() < COUNTED;
            if is_same || (!is_news && self.counted.get(&name).is_some_and(is_early)) {
                continue;
            }
            let status = status.stamped(former, &now());
            self.writer.write_subnet_status(&name, &status).await?;
            self.counted.insert(name.clone(), Instant::now());
            known.insert(name, status);
        }
        Ok(())
    }

    async fn report_vpcs(&mut self) -> Result<(), WriteError> {
        let wanted = statuses::vpcs(&self.index.read(), &self.verdicts);
        let known = &mut self.written.vpcs;
        known.retain(|name, _| wanted.iter().any(|(it, _)| it == name));
        for (name, status) in wanted {
            let former = known.get(&name);
            if former.is_some_and(|it| it.timeless() == status) {
                continue;
            }
            let status = status.stamped(former, &now());
            self.writer.write_vpc_status(&name, &status).await?;
            known.insert(name, status);
        }
        Ok(())
    }

    /// An event of each object that users must mend, once.
    async fn tell(&mut self) -> Result<(), WriteError> {
        let complaints = complaints::all(&self.index.read(), &self.verdicts);
        self.told.retain(|told| complaints.contains(told));
        for complaint in complaints {
            if !self.told.contains(&complaint) {
                self.writer.tell(&complaint).await?;
                self.told.insert(complaint);
            }
        }
        Ok(())
    }
}

fn now() -> Time {
    Time(Timestamp::now())
}

fn warn(error: &WriteError) {
    let error = kit::error::Chain(error);
    tracing::warn!(%error, "Could not report");
}
