//! The loop that reports: statuses of subnets and VPCs, written where they differ, and events for
//! what users must mend.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use api::{SubnetStatus, VpcStatus};
use controller_index::{Shared, Verdicts};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kit::lease::Permit;
use kit::shutdown::Shutdown;
use model::{SubnetName, VpcName};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::complaints::{self, Complaint};
use crate::failures::Failures;
use crate::ledger::Usages;
use crate::statuses::{self, Timeless};
use crate::writer::Writer;

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
    failures: Failures<Write>,
    permit: Permit,
}

/// What is written, or read. Each may fail for itself.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Write {
    Reading,
    Subnet(SubnetName),
    Vpc(VpcName),
    Event(Complaint),
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
            failures: Failures::default(),
            permit: Permit::always(),
        }
    }

    /// Nothing is written without the permit.
    pub fn while_permitted(self, permit: Permit) -> Self {
        Self { permit, ..self }
    }

    /// Runs until shutdown.
    ///
    /// # Errors
    /// Never; what fails is tried again.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if self.permit.holds() {
                shutdown.run_until_cancelled(self.report()).await;
            }
        }
        Ok(())
    }

    async fn report(&mut self) {
        if self.read.is_none_or(|read| read.elapsed() > REREAD) {
            let read = self.writer.read_statuses().await;
            let Some(written) = self.failures.note(Write::Reading, read) else {
                return;
            };
            self.written = written;
            self.read = Some(Instant::now());
        }
        self.report_subnets().await;
        self.report_vpcs().await;
        self.tell().await;
    }

    async fn report_subnets(&mut self) {
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
            let written = self.writer.write_subnet_status(&name, &status).await;
            let what = Write::Subnet(name.clone());
            if self.failures.note(what, written).is_some() {
                self.counted.insert(name.clone(), Instant::now());
                known.insert(name, status);
            }
        }
    }

    async fn report_vpcs(&mut self) {
        let wanted = statuses::vpcs(&self.index.read(), &self.verdicts);
        let known = &mut self.written.vpcs;
        known.retain(|name, _| wanted.iter().any(|(it, _)| it == name));
        for (name, status) in wanted {
            let former = known.get(&name);
            if former.is_some_and(|it| it.timeless() == status) {
                continue;
            }
            let status = status.stamped(former, &now());
            let written = self.writer.write_vpc_status(&name, &status).await;
            let what = Write::Vpc(name.clone());
            if self.failures.note(what, written).is_some() {
                known.insert(name, status);
            }
        }
    }

    /// An event of each object that users must mend, once.
    async fn tell(&mut self) {
        let complaints = complaints::all(&self.index.read(), &self.verdicts);
        self.told.retain(|told| complaints.contains(told));
        let news = complaints.into_iter();
        let news: Vec<_> = news.filter(|it| !self.told.contains(it)).collect();
        for complaint in news {
            let told = self.writer.tell(&complaint).await;
            let what = Write::Event(complaint.clone());
            if self.failures.note(what, told).is_some() {
                self.told.insert(complaint);
            }
        }
    }
}

fn now() -> Time {
    Time(Timestamp::now())
}

#[cfg(test)]
mod tests;
