//! Faults that take minutes, under pods that come and go and a running ping: the leader of NB moves
//! again and again; the API server is gone for a minute.
#![cfg(test)]

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use model::IpFamily;
use testkit::{
    Cluster, Database, Fault, Lab, LabOptions, OvnVersion,
    audit::{addresses_are_unique, nothing_is_left},
    beside,
    churn::Churn,
    lab,
    loss::Pinging,
    objects::pod,
    tell, wait_until,
};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_mins(2);
/// Between two moves of the leader.
const PERIOD: Duration = Duration::from_secs(5);
const MOVES: usize = 60;
const MOVES_OF_SB: usize = 24;
const OUTAGE: Duration = Duration::from_mins(1);
/// Pods that are attached again after a fault.
const STEADY: usize = 5;
/// Between two pods whom nothing was done to: longer than ovn-controller or vswitchd take to begin
/// anew on a busy machine, and shorter than any of these faults.
const LONGEST_OUTAGE: Duration = Duration::from_secs(5);
/// Of all packets, at most one in so many.
const LOST_AT_MOST: u64 = 20;

#[test]
fn r14_pods_come_and_go_while_the_leader_of_nb_moves_every_five_seconds() {
    let options = LabOptions::on(OvnVersion::V25_03).central_members(3);
    lab::run(options.bare_nodes(), async |lab| {
        let moves = async |_: &Cluster<'_>| move_often(lab, Database::Northbound, MOVES).await;
        under_load(lab, "moves", moves).await
    });
}

#[test]
fn r14_pods_come_and_go_while_the_leader_of_sb_moves_every_five_seconds() {
    let options = LabOptions::on(OvnVersion::V25_03).central_members(3);
    lab::run(options.bare_nodes(), async |lab| {
        let moves =
            async |_: &Cluster<'_>| move_often(lab, Database::Southbound, MOVES_OF_SB).await;
        under_load(lab, "moves of sb", moves).await
    });
}

#[test]
fn pods_come_and_go_again_after_a_minute_without_the_api_server() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options.bare_nodes(), async |lab| {
        under_load(lab, "outage", async |cluster| {
            let fault: Fault = "kill api-server".parse()?;
            fault.inject(cluster)?.end_after(OUTAGE).await
        })
        .await
    });
}

/// No `ADD` fails, within or afterwards, pods that run hardly notice, no address is given twice,
/// nothing is left.
async fn under_load(
    lab: &Lab,
    name: &str,
    fault: impl AsyncFnOnce(&Cluster<'_>) -> Result<()>,
) -> Result<()> {
    let cluster = Cluster::start(lab).await?;
    let a = cluster.run_pod(pod("a"), "n1").await?;
    let b = cluster.run_pod(pod("b"), "n2").await?;
    let churn = Churn::new(&cluster, "c");
    let to = b.address(IpFamily::V4)?;
    let ping = Pinging::start(a.netns().path(), to, name, lab.directory()).await?;
    let work = async || {
        let done = during(&cluster, &churn, fault).await;
        churn.end();
        done
    };
    let ((), (begun, ended)) = beside(async || churn.run().await, work)?;
    let loss = ping.finish().await?;
    let counts = churn.counts();
    let within = counts.failures(begun, ended);
    let beyond = counts.failures(ended, Instant::now());
    tell(format_args!(
        "{name}: {} pods attached, {} failed ADDs within, {} afterwards; \
         {} packets sent, {} lost, outage {} ms",
        counts.added.len(),
        within.len(),
        beyond.len(),
        loss.sent,
        loss.lost,
        loss.outage.as_millis(),
    ))?;
    ensure!(
        within.is_empty() && beyond.is_empty(),
        "{within:?} {beyond:?}"
    );
    ensure!(loss.outage < LONGEST_OUTAGE, "{:?}", loss.outage);
    ensure!(loss.lost * LOST_AT_MOST < loss.sent, "{loss:?}");
    addresses_are_unique(lab).await?;
    let attached: BTreeSet<String> = ["a.default", "b.default"].map(str::to_owned).into();
    wait_until("nothing is left", PATIENCE, async || {
        nothing_is_left(lab, &attached).await
    })
    .await
}

/// Returns when the fault began, and when all worked again.
async fn during(
    cluster: &Cluster<'_>,
    churn: &Churn<'_>,
    fault: impl AsyncFnOnce(&Cluster<'_>) -> Result<()>,
) -> Result<(Instant, Instant)> {
    let begun = Instant::now();
    wait_until("pods are attached before", PATIENCE, async || {
        churn.counts().ensure_added(STEADY, begun)
    })
    .await?;
    let begun = Instant::now();
    fault(cluster).await?;
    cluster.ready().await?;
    let ended = Instant::now();
    wait_until("pods are attached again", PATIENCE, async || {
        churn.counts().ensure_added(STEADY, ended)
    })
    .await?;
    Ok((begun, ended))
}

/// So many times, one every [`PERIOD`].
async fn move_often(lab: &Lab, database: Database, times: usize) -> Result<()> {
    let start = Instant::now();
    for number in 1..=times {
        move_leader(lab, database).await?;
        let next = start + PERIOD * u32::try_from(number)?;
        let rest = next.saturating_duration_since(Instant::now());
        drop(timeout(rest, std::future::pending::<()>()).await);
    }
    Ok(())
}

async fn move_leader(lab: &Lab, database: Database) -> Result<()> {
    let before = wait_until("somebody leads", PATIENCE, async || lab.leader(database)).await?;
    let fault = match database {
        Database::Northbound => "move nb",
        Database::Southbound => "move sb",
    };
    fault.parse::<Fault>()?.inject(lab)?.end()?;
    wait_until("another leads", PATIENCE, async || {
        let now = lab.leader(database)?.name();
        ensure!(now != before.name(), "{now} does");
        Ok(())
    })
    .await
}
