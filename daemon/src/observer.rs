//! What this node sees of gateway nodes, for the leading controller.
//!
//! ```text
//! Lease --address--> leader --Assignment--> Prober --echo requests--> gateway nodes
//!                      ^                       |
//!                      \------- Report -- Sights
//! ```
//!
//! The daemon dials the leader and keeps one call. While there is none, probing goes on as last
//! assigned, so that the next leader hears the truth with the first report.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::{Stream, stream};
use kit::backoff::{Backoff, sleep};
use kit::error::Chain;
use kit::shutdown::Shutdown;
use kit::tls::{BadAddress, Identity};
use model::{DualStack, IpFamily, NodeName};
use probe::{Assignment, Pace, Sights};
use proto::liveness::v1;
use proto::liveness::v1::liveness_client::LivenessClient;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use crate::object::Leader;
use crate::table::Table;

/// The Lease of the controllers.
pub(crate) const LEASE: &str = "kube-ovn-controller";
const SOONEST: Duration = Duration::from_millis(50);
/// A new leader should not wait for us.
const LATEST: Duration = Duration::from_millis(500);
/// Reports are not kept back for longer than this, nor sent more often, whatever the leader says.
const SLOWEST: Duration = Duration::from_secs(1);
const FASTEST: Duration = Duration::from_millis(20);

/// Reports to whoever leads.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) node: NodeName,
    pub(crate) leader: watch::Receiver<Table<Leader>>,
    pub(crate) identity: Identity,
    pub(crate) assignment: watch::Sender<Assignment>,
    pub(crate) sights: watch::Receiver<Sights>,
}

/// Why a call to the leader ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Address(#[from] BadAddress),
    #[error("the leader ended the call")]
    Refused(#[from] Status),
    #[error("the leader listens no more")]
    Ended,
}

// === impl Observer ===

impl Observer {
    /// Reports until shutdown.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        shutdown.run_until_cancelled(self.report()).await;
    }

    async fn report(&mut self) {
        let mut backoff = Backoff::new(SOONEST, LATEST);
        let mut last = None;
        loop {
            let Some(address) = self.leader().await else {
                return;
            };
            let mut leader = self.leader.clone();
            let is_other = |table: &Table<Leader>| of(table) != Some(address);
            let failed = tokio::select! {
                Err(error) = self.observe(address, &mut backoff) => Some(Chain(&error).to_string()),
                moved = leader.wait_for(is_other) => moved.map(drop).err().map(|it| it.to_string()),
            };
            if failed.is_some() && failed != last {
                let error = failed.clone().unwrap_or_default();
                tracing::warn!(%address, error, "Cannot report to the leader, trying again");
            }
            if failed.is_some() {
                backoff.wait().await;
            }
            last = failed;
        }
    }

    /// Where the leader is, once there is one; `None` when nobody will ever know.
    async fn leader(&mut self) -> Option<SocketAddr> {
        let table = self.leader.wait_for(|table| of(table).is_some()).await;
        of(&*table.ok()?)
    }

    /// One call, for as long as it lasts.
    async fn observe(
        &self,
        leader: SocketAddr,
        backoff: &mut Backoff,
    ) -> Result<Infallible, Error> {
        let channel = kit::tls::channel(leader, &self.identity)?;
        let (period, periods) = watch::channel(FASTEST);
        let reports = reports(self.node.clone(), self.sights.clone(), periods);
        let mut client = LivenessClient::new(channel);
        let mut assignments = client.observe(reports).await?.into_inner();
        tracing::info!(%leader, "Reporting to the leader");
        while let Some(assignment) = assignments.message().await? {
            backoff.reset();
            period.send_replace(millis(assignment.report_ms).clamp(FASTEST, SLOWEST));
            self.assignment.send_replace(read(assignment));
        }
        Err(Error::Ended)
    }
}

/// Where the one leads who holds the Lease.
fn of(table: &Table<Leader>) -> Option<SocketAddr> {
    let mut leases = table.rows.values();
    leases.find_map(|leader| leader.address)
}

/// A report at once, at each change, and after each period in which there is something to say.
fn reports(
    node: NodeName,
    sights: watch::Receiver<Sights>,
    period: watch::Receiver<Duration>,
) -> impl Stream<Item = v1::Report> + Send + 'static {
    let first = true;
    stream::unfold(
        (sights, period, first),
        move |(mut sights, period, first)| {
            let node = node.clone();
            async move {
                if !first {
                    let (wait, is_idle) = (*period.borrow(), sights.borrow().is_empty());
                    tokio::select! {
                        changed = sights.changed() => changed.ok()?,
                        () = sleep(wait), if !is_idle => {}
                    }
                }
                let report = report(&node, &sights.borrow_and_update(), Instant::now());
                Some((report, (sights, period, false)))
            }
        },
    )
}

fn report(node: &NodeName, sights: &Sights, now: Instant) -> v1::Report {
    let sights = sights.iter().map(|(node, sight)| v1::Sight {
        node: node.to_string(),
        answers: sight.answers,
        for_ms: number(now.saturating_duration_since(sight.since).as_millis()),
        round_trip_us: number(sight.round_trip.unwrap_or_default().as_micros()),
    });
    v1::Report {
        node: node.to_string(),
        sights: sights.collect(),
    }
}

/// What cannot be read is not probed.
fn read(assignment: v1::Assignment) -> Assignment {
    let pace = Pace {
        interval: millis(assignment.interval_ms),
        losses: u8::try_from(assignment.losses).unwrap_or(u8::MAX),
    };
    let nodes = assignment.targets.into_iter().filter_map(|target| {
        let mut addresses = DualStack::NONE;
        for address in target
            .addresses
            .iter()
            .filter_map(|it| it.parse::<IpAddr>().ok())
        {
            *addresses.get_mut(IpFamily::of(address)) = Some(address);
        }
        Some((NodeName::new(target.node).ok()?, addresses))
    });
    Assignment {
        pace,
        nodes: nodes.collect(),
    }
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}

fn number(number: u128) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use probe::Sight;

    use super::*;

    #[test]
    fn a_report_says_for_how_long_something_has_been_seen() {
        let now = Instant::now();
        let node = NodeName::new("n2").unwrap();
        let sight = Sight {
            answers: true,
            since: now - Duration::from_secs(3),
            round_trip: Some(Duration::from_micros(420)),
        };
        let report = report(&NodeName::new("n1").unwrap(), &[(node, sight)].into(), now);
        assert_eq!(report.node, "n1");
        let [sight] = report.sights.as_slice() else {
            panic!("there is one sight");
        };
        assert_eq!(
            (sight.node.as_str(), sight.for_ms, sight.round_trip_us),
            ("n2", 3000, 420)
        );
    }

    #[test]
    fn what_cannot_be_read_of_an_assignment_is_left_out() {
        let target = |node: &str, addresses: &[&str]| v1::Target {
            node: node.to_owned(),
            addresses: addresses.iter().map(|it| (*it).to_owned()).collect(),
        };
        let read = read(v1::Assignment {
            interval_ms: 100,
            losses: 3,
            report_ms: 150,
            targets: vec![
                target("n2", &["100.64.0.3", "nonsense", "fd00::3"]),
                target("N!", &[]),
            ],
        });
        let addresses = "100.64.0.3,fd00::3".parse().unwrap();
        assert_eq!(
            read.nodes,
            [(NodeName::new("n2").unwrap(), addresses)].into()
        );
        assert_eq!(read.pace, Pace::default());
    }
}
