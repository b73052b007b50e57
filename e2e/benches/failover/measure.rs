//! The outages of one laboratory, and what is said of them.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use testkit::{
    Lab,
    failover::{Cut, Gateways, Outage},
};
use tokio::time::{Instant, timeout};

use crate::{
    line::{host_load, report, rounded, tell},
    times::Times,
    usage::Process,
};

/// The node that is cut off: one without a controller, and one whose controller leads.
const NODE: &str = "n3";
const LEADER: &str = "n2";
/// Who leads while the other node is cut off.
const USUAL_LEADER: &str = "n1";
/// So long the programs are looked at while nothing happens.
const IDLE: Duration = Duration::from_secs(20);
/// So often at the most: what they do after an installation of many subnets ends in time.
const LOOKS: usize = 9;
/// As long as they use less by a tenth than they did just before, they are not at rest.
const FALLING: f64 = 0.9;

/// How many of what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) subnets: usize,
    pub(crate) runs: usize,
    pub(crate) leader_runs: usize,
}

/// What controllers and daemons do while nothing happens.
#[derive(Debug)]
struct Idle {
    probes_per_s: f64,
    /// Of one processor.
    cpu_percent: f64,
}

/// Prints a line for either way to cut a node off.
pub(crate) async fn measure(lab: &Lab, plan: Plan) -> Result<()> {
    let subnets = plan.subnets;
    tell(&format!("{subnets} subnets: begun"));
    let mut gateways = Gateways::start(lab, subnets).await?;
    tell(&format!("{subnets} subnets: installed"));
    let idle = Idle::settled(&gateways).await?;
    tell(&format!("{subnets} subnets: {idle:?}"));
    for cut in Cut::ALL {
        let before = host_load()?;
        gateways.lead(USUAL_LEADER).await?;
        let mut outages = Vec::new();
        for number in 0..plan.runs {
            let outage = gateways.outage(NODE, cut).await?;
            tell(&format!("{subnets} subnets: {cut} {number}: {outage:?}"));
            outages.push(outage);
        }
        let mut of_leader = Vec::new();
        for number in 0..plan.leader_runs {
            gateways.lead(LEADER).await?;
            let outage = gateways.outage(LEADER, cut).await?;
            tell(&format!(
                "{subnets} subnets: leader {cut} {number}: {outage:?}"
            ));
            of_leader.push(outage);
        }
        let recovered = times(&outages, |outage| outage.recovered);
        let [heard, leader_heard] =
            [&outages, &of_leader].map(|outages| times(outages, |outage| outage.heard));
        report(&json!({
            "subnets": subnets,
            "cut": cut.to_string(),
            "runs": lost(&outages).count(),
            "p50_s": seconds(&lost(&outages), 50),
            "max_s": seconds(&lost(&outages), 100),
            "flows_kept": share(&outages, |outage| outage.kept)?,
            "flows_kept_by_others": share(&outages, |outage| outage.kept_by_others)?,
            "recover_s": seconds(&recovered, 50),
            "recover_max_s": seconds(&recovered, 100),
            "lost_on_return": outages.iter().map(|it| it.lost_on_return).sum::<usize>(),
            "heard_max_s": seconds(&heard, 100),
            "leader_runs": of_leader.len(),
            "leader_lost_s": seconds(&lost(&of_leader), 100),
            "leader_heard_max_s": seconds(&leader_heard, 100),
            "probes_per_s": rounded(idle.probes_per_s),
            "cpu_percent": rounded(idle.cpu_percent),
            "rss_mib": rounded(memory(&gateways, Process::resident_mib)?.iter().sum()),
            "peak_mib": rounded(memory(&gateways, Process::peak_mib)?.into_iter().fold(0.0, f64::max)),
            "load": [before, host_load()?],
        }));
    }
    Ok(())
}

fn lost(outages: &[Outage]) -> Times {
    times(outages, |outage| outage.lost_for)
}

fn times(outages: &[Outage], of: impl Fn(&Outage) -> Duration) -> Times {
    outages.iter().map(of).collect()
}

fn seconds(times: &Times, percent: usize) -> Value {
    rounded(times.percentile(percent) / 1000.0)
}

/// Of all outages together.
fn share(outages: &[Outage], of: impl Fn(&Outage) -> (usize, usize)) -> Result<Value> {
    let (kept, all): (Vec<usize>, Vec<usize>) = outages.iter().map(of).unzip();
    let count = |flows: Vec<usize>| u32::try_from(flows.into_iter().sum::<usize>());
    let (kept, all) = (count(kept)?, count(all)?);
    Ok(rounded(f64::from(kept) / f64::from(all)))
}

/// Of each program.
fn memory(gateways: &Gateways<'_>, of: impl Fn(&Process) -> Result<f64>) -> Result<Vec<f64>> {
    let programs = gateways.program_ids()?.into_iter();
    programs.map(|id| of(&Process::new(id))).collect()
}

// === impl Idle ===

impl Idle {
    /// Once it falls no more.
    async fn settled(gateways: &Gateways<'_>) -> Result<Self> {
        let mut last = Self::of(gateways).await?;
        for _ in 1..LOOKS {
            let now = Self::of(gateways).await?;
            if now.cpu_percent > last.cpu_percent * FALLING {
                return Ok(now);
            }
            last = now;
        }
        bail!("the programs are not at rest: {last:?}")
    }

    async fn of(gateways: &Gateways<'_>) -> Result<Self> {
        let programs = gateways.program_ids()?;
        let used = || -> Result<f64> {
            let programs = programs.iter().map(|id| Process::new(*id).cpu_ms());
            programs.sum()
        };
        let (ms, probes, begun) = (used()?, gateways.probes()?, Instant::now());
        drop(timeout(IDLE, std::future::pending::<()>()).await);
        let seconds = begun.elapsed().as_secs_f64();
        let (ms, probes) = (used()? - ms, gateways.probes()? - probes);
        Ok(Self {
            probes_per_s: probes / seconds,
            cpu_percent: ms / 1000.0 / seconds * 100.0,
        })
    }
}
