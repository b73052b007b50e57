//! What each `IPPool` says of itself: a pure function, and the loop that writes where it differs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use api::condition::READY;
use api::{Condition, IpPoolStatus};
use controller_index::{Index, IpPool, Kind, Shared};
use controller_ipam::Content;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kit::lease::Permit;
use kit::shutdown::Shutdown;
use model::{AddressRange, IpPoolName};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::failures::Failures;
use crate::ledger::Contents;
use crate::writer::Writer;

const PERIOD: Duration = Duration::from_secs(1);
/// How often what is written is read again, in case somebody else wrote.
const REREAD: Duration = Duration::from_mins(1);

/// Writes the statuses of pools.
#[derive(Debug)]
pub struct PoolReporter {
    index: Shared,
    contents: watch::Receiver<Contents>,
    writer: Writer,
    /// As the API server has them.
    written: BTreeMap<IpPoolName, IpPoolStatus>,
    read: Option<Instant>,
    /// By the pool that was written; `None` is reading.
    failures: Failures<Option<IpPoolName>>,
    permit: Permit,
}

// === impl PoolReporter ===

impl PoolReporter {
    pub fn new(index: Shared, contents: watch::Receiver<Contents>, writer: Writer) -> Self {
        Self {
            index,
            contents,
            writer,
            written: BTreeMap::new(),
            read: None,
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
        let contents = self.contents.borrow().clone();
        let wanted = statuses(&self.index.read(), &contents);
        let is_read = self.read.is_some_and(|read| read.elapsed() <= REREAD);
        if !is_read && !wanted.is_empty() {
            let read = self.writer.read_pool_statuses().await;
            let Some(read) = self.failures.note(None, read) else {
                return;
            };
            self.written = read.into_iter().collect();
            self.read = Some(Instant::now());
        }
        self.written.retain(|name, _| wanted.contains_key(name));
        for (name, status) in wanted {
            let former = self.written.get(&name);
            if former.cloned().map(timeless).as_ref() == Some(&status) {
                continue;
            }
            let status = stamped(status, former);
            let written = self.writer.write_pool_status(&name, &status).await;
            if self.failures.note(Some(name.clone()), written).is_some() {
                self.written.insert(name, status);
            }
        }
    }
}

/// The status of each pool, without times.
fn statuses(index: &Index, contents: &Contents) -> BTreeMap<IpPoolName, IpPoolStatus> {
    let usable = index.ip_pools().iter().filter_map(|(name, pool)| {
        let content = contents.get(name)?;
        let v4 = content.v4.clone().unwrap_or_default();
        let v6 = content.v6.clone().unwrap_or_default();
        let status = IpPoolStatus {
            conditions: vec![ready(fault(index, name, pool, &[&v4, &v6]))],
            v4_available: v4.usage.available_ips(),
            v4_available_range: list(&v4.free),
            v4_using: v4.usage.using_ips(),
            v4_using_range: list(&v4.used),
            v6_available: v6.usage.available_ips(),
            v6_available_range: list(&v6.free),
            v6_using: v6.usage.using_ips(),
            v6_using_range: list(&v6.used),
        };
        Some((name.clone(), status))
    });
    let rejected = index.rejected().iter();
    let unusable = rejected.filter(|(object, _)| object.kind == Kind::IpPool);
    let unusable = unusable.filter_map(|(object, rejection)| {
        let name = IpPoolName::new(object.name.clone()).ok()?;
        let is_usable = index.ip_pools().get(&name).is_some();
        let status = IpPoolStatus {
            conditions: vec![ready(Some(rejection.why.to_string()))],
            ..IpPoolStatus::default()
        };
        Some((name, status)).filter(|_| !is_usable)
    });
    usable.chain(unusable).collect()
}

/// What is wrong with the pool.
fn fault(index: &Index, name: &IpPoolName, pool: &IpPool, content: &[&Content]) -> Option<String> {
    if let Some(why) = &pool.fault {
        return Some(why.to_string());
    }
    let subnet = &pool.subnet;
    if index.subnets().get(subnet).is_none() {
        return Some(format!(
            "subnet `{subnet}` does not exist; create it or name another"
        ));
    }
    let mut earlier = index
        .pools_of(subnet)
        .take_while(|(other, _)| *other < name);
    let shared = earlier.find_map(|(other, its)| Some((other, shared(&its.ranges, &pool.ranges)?)));
    if let Some((other, range)) = shared {
        return Some(format!(
            "{range} is of the IP pool `{other}` too, which has it; give each address to one pool"
        ));
    }
    let is_empty = |it: &&Content| it.free.is_empty() && it.used.is_empty();
    content.iter().all(is_empty).then(|| {
        format!("no address is a host of subnet `{subnet}`; write addresses that are inside of it")
    })
}

/// A range of `these` that has an address of `those`.
fn shared(those: &[AddressRange], these: &[AddressRange]) -> Option<AddressRange> {
    let meets = |one: &&AddressRange| {
        let meets =
            |other: &AddressRange| one.contains(other.start()) || other.contains(one.start());
        those.iter().any(meets)
    };
    these.iter().find(meets).copied()
}

fn ready(fault: Option<String>) -> Condition {
    let (status, reason) = match &fault {
        None => ("True", "PoolReady"),
        Some(_) => ("False", "ValidateIPPoolFailed"),
    };
    Condition {
        type_: READY.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: fault.unwrap_or_default(),
        ..Condition::default()
    }
}

fn list(ranges: &[AddressRange]) -> String {
    let texts: Vec<_> = ranges.iter().map(ToString::to_string).collect();
    texts.join(",")
}

fn timeless(mut status: IpPoolStatus) -> IpPoolStatus {
    for condition in &mut status.conditions {
        condition.last_update_time = None;
        condition.last_transition_time = None;
    }
    status
}

/// With times: that of `former` where the condition did not turn.
fn stamped(mut status: IpPoolStatus, former: Option<&IpPoolStatus>) -> IpPoolStatus {
    let now = Some(Time(Timestamp::now()));
    for condition in &mut status.conditions {
        let conditions = former.into_iter().flat_map(|former| &former.conditions);
        let mut same = conditions.filter(|it| it.status == condition.status);
        let since = same.find_map(|it| it.last_transition_time.clone());
        condition.last_transition_time = since.or_else(|| now.clone());
        condition.last_update_time.clone_from(&now);
    }
    status
}

#[cfg(test)]
mod tests;
