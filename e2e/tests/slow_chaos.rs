//! Chaos: objects of all kinds come, change and go while programs are killed and the leader of NB
//! moves. Afterwards every deletion ends once nobody needs the object, nothing is left, no address
//! is given twice, and NB is what a controller makes of an empty one.
//!
//! `cargo xtask chaos --minutes 30 --seed 7`; the variables `CHAOS_MINUTES` and `CHAOS_SEED` are
//! the same. The seed decides the faults with their times, and the choice of operations.
#![cfg(test)]

#[path = "slow_chaos/object.rs"]
mod object;
#[path = "slow_chaos/operations.rs"]
mod operations;
#[path = "slow_chaos/rebuilt.rs"]
mod rebuilt;
#[path = "slow_chaos/routing.rs"]
mod routing;
#[path = "slow_chaos/spec.rs"]
mod spec;
#[path = "slow_chaos/unblocked.rs"]
mod unblocked;

use std::{collections::BTreeSet, env, str::FromStr, time::Duration};

use anyhow::{Context, Result, ensure};
use testkit::{
    Cluster, Database, Fault, Lab, LabOptions, OvnVersion,
    audit::{addresses_are_unique, nothing_is_left, the_plan_is_sound},
    beside,
    churn::Churn,
    fault::{Choice, Schedule},
    lab, tell, wait_until,
};
use tokio::time::{Instant, timeout};

use self::operations::{Operations, Tally};

const MINUTES: u32 = 10;
const PATIENCE: Duration = Duration::from_mins(2);
/// What ten minutes must hold at least.
const OPERATIONS_A_SECOND: f64 = 20.0;
const KILLS: usize = 10;
const MOVES: usize = 30;

/// In ten minutes, how often and how long.
const FAULTS: [(&str, usize, u64, u64); 13] = [
    ("kill controller", 12, 0, 1_000),
    ("move nb", 36, 0, 1_000),
    ("move sb", 12, 0, 1_000),
    ("kill daemon@n1", 3, 0, 1_000),
    ("kill daemon@n2", 3, 0, 1_000),
    ("kill ovn-controller@n1", 1, 0, 1_000),
    ("kill ovsdb@n2", 1, 0, 1_000),
    ("kill api-server", 2, 1_000, 5_000),
    ("slow api-server", 2, 2_000, 5_000),
    ("stop controller", 3, 500, 4_000),
    ("stop daemon@n1", 2, 500, 3_000),
    ("kill nb", 2, 0, 0),
    ("kill northd", 2, 0, 0),
];

/// What happened to programs.
#[derive(Debug, Default)]
struct Faults {
    kills: usize,
    moves: usize,
    others: usize,
    /// Programs that had ended by themselves.
    ended: usize,
}

#[test]
fn after_chaos_nothing_is_left_and_nb_is_what_a_plan_from_nothing_makes() {
    let minutes = number("CHAOS_MINUTES").unwrap_or(MINUTES).max(1);
    let seed = number("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let options = LabOptions::on(OvnVersion::V25_03)
        .central_members(3)
        .bare_nodes();
    lab::run(options, async move |lab| {
        let span = Duration::from_mins(1) * minutes;
        let schedule = Schedule::from_seed(seed, &choices(minutes), span);
        tell(format_args!(
            "chaos: seed {seed}, {minutes} minutes\n{schedule}"
        ))?;
        let cluster = Cluster::start(lab).await?;
        let (tally, faults, attached) = rage(&cluster, seed, &schedule, span)?;
        tell(format_args!(
            "chaos: seed {seed}: {:.1} operations a second ({tally}), {attached} pods attached, \
             {} controller kills, {} leadership moves, {} other faults, {} programs ended by themselves",
            tally.rate(span),
            faults.kills,
            faults.moves,
            faults.others,
            faults.ended,
        ))?;
        come_to_rest(&cluster).await?;
        rebuilt::equals(&cluster).await?;
        enough(&tally, &faults, span, minutes)
    });
}

/// Everything at once, until the schedule is over.
fn rage(
    cluster: &Cluster<'_>,
    seed: u64,
    schedule: &Schedule,
    span: Duration,
) -> Result<(Tally, Faults, usize)> {
    let churn = Churn::new(cluster, "c");
    let operations = Operations::new(cluster.lab(), seed);
    let end = Instant::now() + span;
    let faults = async || {
        let faults = follow(cluster, schedule, end).await;
        churn.end();
        operations.end();
        faults
    };
    let (tally, ((), faults)) = beside(
        async || operations.run().await,
        async || beside(async || churn.run().await, faults),
    )?;
    Ok((tally, faults, churn.counts().added.len()))
}

async fn follow(cluster: &Cluster<'_>, schedule: &Schedule, end: Instant) -> Result<Faults> {
    let mut faults = Faults::default();
    for step in schedule.steps() {
        pause(step.pause).await;
        faults.ended += cluster.start_ended()?;
        inject(cluster, &step.fault, step.lasting, &mut faults)
            .await
            .with_context(|| format!("`{step}`"))?;
    }
    pause(end.saturating_duration_since(Instant::now())).await;
    Ok(faults)
}

async fn inject(
    cluster: &Cluster<'_>,
    fault: &Fault,
    lasting: Duration,
    faults: &mut Faults,
) -> Result<()> {
    let lab = cluster.lab();
    let line = fault.to_string();
    let leader = |lab: &Lab| {
        lab.leader(Database::Northbound)
            .map(|it| it.name().to_owned())
    };
    // there is a leader soon after the last one was lost
    let before = wait_until("somebody leads", PATIENCE, async || leader(lab)).await?;
    let injected = wait_until("it can be injected", PATIENCE, async || {
        fault.inject(cluster)
    })
    .await?;
    injected.end_after(lasting).await?;
    match line.as_str() {
        "kill controller" => faults.kills += 1,
        "move nb" => {
            wait_until("another leads", PATIENCE, async || {
                let now = leader(lab)?;
                ensure!(now != before, "{now} does");
                Ok(())
            })
            .await?;
            faults.moves += 1;
        }
        _ => faults.others += 1,
    }
    Ok(())
}

/// Programs are ready, pods that were attached are gone, and so is what belonged to them.
async fn come_to_rest(cluster: &Cluster<'_>) -> Result<()> {
    let lab = cluster.lab();
    wait_until("no program has ended", PATIENCE, async || {
        ensure!(cluster.start_ended()? == 0, "one had ended");
        cluster.ready().await
    })
    .await?;
    unblocked::deletions(lab).await?;
    wait_until("nothing is left", PATIENCE, async || {
        nothing_is_left(lab, &BTreeSet::new()).await
    })
    .await?;
    addresses_are_unique(lab).await?;
    the_plan_is_sound(lab)
}

fn enough(tally: &Tally, faults: &Faults, span: Duration, minutes: u32) -> Result<()> {
    let rate = tally.rate(span);
    ensure!(
        rate >= OPERATIONS_A_SECOND,
        "{rate:.1} operations a second are too few"
    );
    let (kills, moves) = (scaled(KILLS, minutes), scaled(MOVES, minutes));
    ensure!(faults.kills >= kills, "{} kills", faults.kills);
    ensure!(faults.moves >= moves, "{} moves", faults.moves);
    Ok(())
}

fn choices(minutes: u32) -> Vec<Choice> {
    let chosen = FAULTS.iter().filter_map(|(line, times, least, most)| {
        Some(Choice {
            fault: line.parse().ok()?,
            times: scaled(*times, minutes),
            lasting_ms: *least..=*most,
        })
    });
    chosen.collect()
}

/// What is said of ten minutes, for another length.
fn scaled(times: usize, minutes: u32) -> usize {
    let minutes = usize::try_from(minutes).unwrap_or(usize::MAX);
    times.saturating_mul(minutes).div_ceil(10)
}

fn number<T: FromStr>(variable: &str) -> Option<T> {
    env::var(variable).ok()?.parse().ok()
}

async fn pause(duration: Duration) {
    drop(timeout(duration, std::future::pending::<()>()).await);
}
