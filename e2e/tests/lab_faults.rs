//! What packets and pods notice of faults: each in turn during a running ping, and once more
//! during the creation of pods. Everything converges by itself, and no address is given twice.
//!
//! The ping is alone at first, since the userspace datapath of this lab drops a packet now and
//! then while a port comes or goes; the row `nothing` says how many.
#![cfg(test)]

use std::{fmt, time::Duration};

use anyhow::{Context, Result, ensure};
use model::IpFamily;
use testkit::{
    Cluster, Fault, Lab, LabOptions, OvnVersion, RunningPod,
    audit::{addresses_are_unique, nothing_is_left},
    beside,
    churn::Churn,
    lab,
    loss::{Loss, Pinging},
    network::Families,
    objects::pod,
    tell, wait_until,
};
use tokio::time::Instant;

/// A fault, how long it lasts in milliseconds, and whether packets pass through it.
const FAULTS: [(&str, u64, Traffic); 15] = [
    (NOTHING, 500, Traffic::Passes),
    ("kill controller", 0, Traffic::Passes),
    ("kill daemon@n1", 0, Traffic::Passes),
    ("kill northd", 500, Traffic::Passes),
    ("kill nb", 500, Traffic::Passes),
    ("kill sb", 500, Traffic::Passes),
    ("kill ovn-controller@n1", 500, Traffic::Stops),
    ("kill ovsdb@n1", 500, Traffic::Passes),
    ("kill ovsdb@n2", 500, Traffic::Passes),
    ("kill vswitchd@n1", 0, Traffic::Stops),
    ("stop controller", 5_000, Traffic::Passes),
    ("kill api-server", 20_000, Traffic::Passes),
    ("kill etcd", 3_000, Traffic::Passes),
    ("slow api-server", 5_000, Traffic::Passes),
    ("part n1 central mgmt", 5_000, Traffic::Passes),
];
const NOTHING: &str = "nothing";
const PATIENCE: Duration = Duration::from_mins(1);
/// Pods that have to be attached before a fault, and again after it.
const STEADY: usize = 3;
/// A fault lasts no longer than this while nothing but the ping notices it.
const ALONE: Duration = Duration::from_secs(5);
/// So many answers in a row, and nothing is on its way any more that was lost.
const ANSWERS: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Passes,
    Stops,
}

/// What was noticed of a fault.
struct Row {
    fault: &'static str,
    /// While nothing else happens.
    alone: Loss,
    /// While pods are created.
    beside: Loss,
    /// From the end of the fault to an `ADD` that succeeds.
    recovery: Duration,
    failed_within: usize,
    failed_beyond: Vec<String>,
}

#[test]
fn whatever_breaks_everything_converges_and_no_address_is_given_twice() {
    let options = LabOptions::on(OvnVersion::V25_03)
        .families(Families::Dual)
        .with_api_server()
        .bare_nodes();
    lab::run(options, async |lab| {
        let cluster = Cluster::start(lab).await?;
        let a = cluster.run_pod(pod("a"), "n1").await?;
        let b = cluster.run_pod(pod("b"), "n2").await?;
        let churn = Churn::new(&cluster, "c");
        let work = async || {
            let rows = faults(&cluster, &churn, [&a, &b]).await;
            churn.end();
            rows
        };
        let ((), rows) = beside(async || churn.run().await, work)?;
        print(&rows)?;
        check(&rows)?;
        let attached = ["a.default", "b.default"].map(str::to_owned).into();
        wait_until("nothing is left", PATIENCE, async || {
            nothing_is_left(lab, &attached).await
        })
        .await
    });
}

async fn faults(
    cluster: &Cluster<'_>,
    churn: &Churn<'_>,
    pods: [&RunningPod; 2],
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (fault, lasting, _) in FAULTS {
        let lasting = Duration::from_millis(lasting);
        let row = row(cluster, churn, pods, (fault, lasting)).await;
        rows.push(row.with_context(|| format!("`{fault}`"))?);
    }
    Ok(rows)
}

async fn row(
    cluster: &Cluster<'_>,
    churn: &Churn<'_>,
    pods: [&RunningPod; 2],
    (line, lasting): (&'static str, Duration),
) -> Result<Row> {
    let lab = cluster.lab();
    wait_until("no pod comes or goes", PATIENCE, async || churn.pause()).await?;
    let pings = ping(lab, pods, line).await?;
    broken(cluster, line, lasting.min(ALONE)).await?;
    let alone = finish(pings).await?;

    let start = Instant::now();
    churn.go_on();
    wait_until("pods are attached before", PATIENCE, async || {
        churn.counts().ensure_added(STEADY, start)
    })
    .await?;
    let pings = ping(lab, pods, line).await?;
    let begun = Instant::now();
    let ended = broken(cluster, line, lasting).await?;
    let whole = Instant::now();
    wait_until("pods are attached again", PATIENCE, async || {
        churn.counts().ensure_added(STEADY, whole)
    })
    .await?;
    let beside = finish(pings).await?;
    wait_until("addresses are unique", PATIENCE, async || {
        addresses_are_unique(lab).await
    })
    .await?;
    let counts = churn.counts();
    let first = counts.added.iter().find(|begun| **begun > ended);
    let beyond = counts.failures(whole, Instant::now());
    Ok(Row {
        fault: line,
        alone,
        beside,
        recovery: first.map_or(PATIENCE, |added| added.duration_since(ended)),
        failed_within: counts.failures(begun, whole).len(),
        failed_beyond: beyond.into_iter().map(str::to_owned).collect(),
    })
}

/// Injects a fault, ends it, and waits until everything works; returns when it ended.
async fn broken(cluster: &Cluster<'_>, line: &str, lasting: Duration) -> Result<Instant> {
    if line == NOTHING {
        return Ok(Instant::now());
    }
    let injected = line.parse::<Fault>()?.inject(cluster)?;
    injected.end_after(lasting).await?;
    let ended = Instant::now();
    cluster.ready().await?;
    wait_until("the nodes follow NB", PATIENCE, async || {
        let sync = ["--timeout=5", "--wait=hv", "sync"];
        cluster.lab().nbctl(sync).map(drop)
    })
    .await?;
    Ok(ended)
}

/// One for each family.
async fn ping(lab: &Lab, [a, b]: [&RunningPod; 2], line: &str) -> Result<Vec<Pinging>> {
    let mut pings = Vec::new();
    for family in [IpFamily::V4, IpFamily::V6] {
        let name = format!("ping-{}-{family:?}", line.replace(' ', "-"));
        let to = b.address(family)?;
        pings.push(Pinging::start(a.netns().path(), to, &name, lab.directory()).await?);
    }
    Ok(pings)
}

async fn finish(pings: Vec<Pinging>) -> Result<Loss> {
    let mut loss = Loss::default();
    for ping in pings {
        let before = ping.answered()?;
        wait_until("the ping is answered", PATIENCE, async || {
            let answered = ping.answered()? - before;
            ensure!(answered >= ANSWERS, "{answered} answers came");
            Ok(())
        })
        .await?;
        loss = loss.and(ping.finish().await?);
    }
    Ok(loss)
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<22}", self.fault)?;
        for loss in [self.alone, self.beside] {
            let outage = loss.outage.as_millis();
            write!(f, " | {:>6} | {:>5} | {outage:>9}", loss.sent, loss.lost)?;
        }
        write!(
            f,
            " | {:>12} | {:>11} | {:>17}",
            self.recovery.as_millis(),
            self.failed_within,
            self.failed_beyond.len()
        )
    }
}

const PACKETS: &str = " |   sent |  lost | outage ms";

fn print(rows: &[Row]) -> Result<()> {
    tell(format_args!(
        "{:<22}{PACKETS}{PACKETS} | next ADD, ms | failed ADDs | failed afterwards",
        "alone, then with pods"
    ))?;
    rows.iter().try_for_each(tell)
}

fn check(rows: &[Row]) -> Result<()> {
    for (row, (_, _, traffic)) in rows.iter().zip(FAULTS) {
        let beyond = &row.failed_beyond;
        ensure!(beyond.is_empty(), "`{}` is over: {beyond:?}", row.fault);
        let lost = row.alone.lost;
        ensure!(
            lost == 0 || traffic == Traffic::Stops,
            "`{}` cost {lost} packets",
            row.fault
        );
    }
    Ok(())
}
