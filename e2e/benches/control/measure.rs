//! The measurement, from an empty API server to the line.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use testkit::{Cluster, Lab, audit, dump::ensure_equal, wait_until};
use tokio::time::Instant;

use crate::{
    burst::{self, per_second},
    children::Children,
    line::{rounded, tell},
    northbound::{Names, Northbound},
    pods::{Pods, Seen},
    times::Times,
    usage::Process,
    world::{self, World},
};

const PATIENCE: Duration = Duration::from_mins(2);
/// Pods that are not counted: the API server's first ones take longer.
const WARM_UP: usize = 200;
/// Pods that are created one by one.
const SINGLES: usize = 300;
/// How often a subnet or a node is added.
const TRIES: usize = 10;
/// The numbers of subnets and nodes that are added, above those of the others.
const FIRST: usize = 200;

type Figures = Map<String, Value>;

/// A running measurement.
struct Run<'lab> {
    lab: &'lab Lab,
    world: World<'lab>,
    cluster: Cluster<'lab>,
    pods: &'lab Pods,
    nb: Northbound<'lab>,
    count: usize,
    figures: Figures,
    failed: usize,
}

/// The figures for so many pods.
pub(crate) async fn measure(lab: &Lab, count: usize) -> Result<Figures> {
    let world = World::new(lab)?;
    let cluster = Cluster::prepare(lab).await?;
    let pods = Pods::new();
    let mut run = Run {
        lab,
        world,
        cluster,
        pods: &pods,
        nb: Northbound::watch(lab)?,
        count,
        figures: Figures::from_iter([("pods".to_owned(), count.into())]),
        failed: 0,
    };
    tokio::select! {
        ended = pods.follow(world.client()?) => {
            ended?;
            bail!("nobody looks at the pods any more")
        }
        done = run.everything() => done?,
    }
    run.figures.insert("failed".to_owned(), run.failed.into());
    Ok(run.figures)
}

// === impl Run ===

impl Run<'_> {
    async fn everything(&mut self) -> Result<()> {
        tell(&format!("{} pods: begun", self.count));
        self.world.create().await?;
        self.create_only().await?;
        self.start().await?;
        self.burst().await?;
        self.one_by_one().await?;
        self.subnets().await?;
        self.nodes().await?;
        self.restart().await?;
        self.rebuild().await?;
        audit::addresses_are_unique(self.lab).await
    }

    fn note(&mut self, key: &str, value: Value) {
        tell(&format!("{} pods: {key} {value}", self.count));
        self.figures.insert(key.to_owned(), value);
    }

    fn note_cpu(&mut self, key: &str, before: &Children, pods: usize) -> Result<()> {
        let pods = to_float(pods)?;
        let used = before.used()?.into_iter();
        let used = used.map(|(name, milliseconds)| (name, rounded(milliseconds / pods)));
        self.note(key, used.collect::<Figures>().into());
        Ok(())
    }

    /// Without a controller; leaves no pod.
    async fn create_only(&mut self) -> Result<()> {
        burst::create(self.world, WARM_UP).await;
        self.no_pods().await?;
        let children = Children::new()?;
        let created = burst::create(self.world, self.count).await;
        self.failed += created.refused;
        self.note("create_only_per_s", rounded(created.rate()));
        self.note_cpu("create_only_cpu_ms_a_pod", &children, self.count)?;
        self.no_pods().await
    }

    async fn no_pods(&self) -> Result<()> {
        self.world.delete_pods().await?;
        let none = |seen: &Seen| seen.present.is_empty().then_some(());
        self.pods.until("no pod is left", PATIENCE, none).await
    }

    /// Starts the controller, and waits until NB has all but pods.
    async fn start(&mut self) -> Result<()> {
        self.cluster.start_controller()?;
        self.cluster.ready().await?;
        self.at_rest().await
    }

    /// Waits until nothing has been written to NB for longer than the canary rests.
    async fn at_rest(&self) -> Result<()> {
        let rows = || self.nb.rows();
        wait_until("NB is at rest", PATIENCE, async || {
            let before = rows()?;
            pause(Duration::from_secs(1)).await;
            ensure_equal(&before, &rows()?)
        })
        .await
    }

    async fn burst(&mut self) -> Result<()> {
        tell(&format!("{} pods: the controller is at rest", self.count));
        let controller = self.controller()?;
        let (cpu, transactions) = (controller.cpu_ms()?, self.nb.transactions()?);
        let children = Children::new()?;
        let created = burst::create(self.world, self.count).await;
        let allocated = created.allocated(self.pods).await;
        self.failed += created.refused + allocated.missing;
        let count = self.count - created.refused - allocated.missing;
        self.note("pods_per_s", rounded(per_second(count, allocated.span)));
        self.note("loaded_p99_ms", rounded(allocated.times.percentile(99)));
        self.note_cpu("pods_cpu_ms_a_pod", &children, count)?;
        let all = self.ports();
        let ports = &mut self.nb.ports;
        let has_all = |names: &Names| names.has_all(&all);
        ports.until("NB has all ports", PATIENCE, has_all).await?;
        let milliseconds = controller.cpu_ms()? - cpu;
        let transactions = self.nb.transactions()? - transactions;
        self.at_rest().await?;
        let rows = self.nb.rows()?.len();
        self.note("cpu_ms_a_pod", rounded(milliseconds / to_float(count)?));
        self.note("nb_txns", transactions.into());
        self.note("nb_rows", rows.into());
        self.note("rss_mib", rounded(controller.resident_mib()?));
        Ok(())
    }

    /// The names of the ports of all pods with addresses.
    fn ports(&self) -> Vec<String> {
        let seen = self.pods.seen();
        seen.allocated.keys().cloned().collect()
    }

    async fn one_by_one(&mut self) -> Result<()> {
        let mut times = Vec::new();
        for number in 0..SINGLES {
            times.push(self.one(&format!("one-{number}"), number).await?);
        }
        let times: Times = times.into_iter().collect();
        self.note("one_p50_ms", rounded(times.percentile(50)));
        self.note("one_p99_ms", rounded(times.percentile(99)));
        Ok(())
    }

    async fn one(&self, name: &str, number: usize) -> Result<Duration> {
        let begun = Instant::now();
        self.world.create_pod(name, number).await?;
        let port = world::port(name, number);
        let allocated = self.pods.allocated(&port, PATIENCE).await?;
        Ok(allocated.duration_since(begun))
    }

    async fn subnets(&mut self) -> Result<()> {
        let mut times = Vec::new();
        for number in FIRST..FIRST + TRIES {
            let name = world::subnet(number);
            let begun = Instant::now();
            self.world.create_subnet(number).await?;
            let has_it = |names: &Names| names.has(&name);
            let seen = self.nb.switches.until(&name, PATIENCE, has_it).await?;
            times.push(seen.duration_since(begun));
        }
        let times: Times = times.into_iter().collect();
        self.note("subnet_add_ms", rounded(times.percentile(50)));
        Ok(())
    }

    async fn nodes(&mut self) -> Result<()> {
        let (mut added, mut deleted) = (Vec::new(), Vec::new());
        for number in FIRST..FIRST + TRIES {
            let port = format!("node-{}", world::node(number));
            let begun = Instant::now();
            self.world.create_node(number).await?;
            let has_it = |names: &Names| names.has(&port);
            let seen = self.nb.ports.until(&port, PATIENCE, has_it).await?;
            added.push(seen.duration_since(begun));
            let begun = Instant::now();
            self.world.delete_node(number).await?;
            let is_gone = |names: &Names| !names.has(&port);
            let seen = self.nb.ports.until(&port, PATIENCE, is_gone).await?;
            deleted.push(seen.duration_since(begun));
        }
        let (added, deleted): (Times, Times) =
            (added.into_iter().collect(), deleted.into_iter().collect());
        self.note("node_add_ms", rounded(added.percentile(50)));
        self.note("node_del_ms", rounded(deleted.percentile(50)));
        Ok(())
    }

    async fn restart(&mut self) -> Result<()> {
        self.cluster.controller()?.kill()?;
        self.world.create_pod("restart", 0).await?;
        let begun = Instant::now();
        self.cluster.controller()?.start_again()?;
        let port = world::port("restart", 0);
        let allocated = self.pods.allocated(&port, PATIENCE).await?;
        let span = allocated.duration_since(begun);
        self.note("restart_s", rounded(span.as_secs_f64()));
        self.cluster.ready().await?;
        self.at_rest().await
    }

    async fn rebuild(&mut self) -> Result<()> {
        let before = self.nb.rows()?;
        let begun = Instant::now();
        self.nb.empty()?;
        let all = self.ports();
        let has_all = |names: &Names| names.has_all(&all);
        let is_gone = |names: &Names| !all.iter().all(|port| names.has(port));
        let ports = &mut self.nb.ports;
        ports.until("NB is empty", PATIENCE, is_gone).await?;
        let mut seen = ports.until("all ports are back", PATIENCE, has_all).await?;
        if ensure_equal(&before, &self.nb.rows()?).is_err() {
            wait_until("NB is as before", PATIENCE, async || {
                ensure_equal(&before, &self.nb.rows()?)
            })
            .await?;
            seen = Instant::now();
        }
        let span = seen.duration_since(begun);
        self.note("rebuild_s", rounded(span.as_secs_f64()));
        let peak = self.controller()?.peak_mib()?;
        self.note("peak_mib", rounded(peak));
        Ok(())
    }

    fn controller(&mut self) -> Result<Process> {
        Ok(Process::new(self.cluster.controller()?.id()))
    }
}

fn to_float(count: usize) -> Result<f64> {
    u32::try_from(count).map(f64::from).context("so many pods")
}

async fn pause(duration: Duration) {
    drop(tokio::time::timeout(duration, std::future::pending::<()>()).await);
}
