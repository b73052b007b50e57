//! Pods that come and go while something happens: created, attached as kubelet would, detached,
//! deleted.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use crate::{Cluster, Sandbox, objects::pod, wait_until};

/// So many pods run at a time.
const RUNNING: usize = 4;
/// Whatever fails is tried again so long.
const PATIENCE: Duration = Duration::from_mins(3);
/// Longer than any pause.
const PAUSE: Duration = Duration::from_mins(10);
/// Before a pod's next sandbox, as kubelet has its back-off.
const BACKOFF: Duration = Duration::from_millis(200);

/// Pods, one after the other, until told to end.
#[derive(Debug)]
pub struct Churn<'a> {
    cluster: &'a Cluster<'a>,
    prefix: &'static str,
    is_over: AtomicBool,
    is_paused: AtomicBool,
    /// Whether it has heard of the pause.
    rests: AtomicBool,
    counts: Mutex<Counts>,
}

/// What became of them so far.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// When an `ADD` began that succeeded.
    pub added: Vec<Instant>,
    /// When one began that failed, and why.
    pub failed: Vec<(Instant, String)>,
    /// Pods that came and went.
    pub deleted: usize,
}

/// A pod that is attached.
#[derive(Debug)]
struct Attached {
    object: Pod,
    sandbox: Sandbox,
    addresses: Vec<IpAddr>,
}

// === impl Churn ===

impl<'a> Churn<'a> {
    /// Pods whose names start with `prefix`, on each node in turn.
    pub fn new(cluster: &'a Cluster<'a>, prefix: &'static str) -> Self {
        Self {
            cluster,
            prefix,
            is_over: AtomicBool::new(false),
            is_paused: AtomicBool::new(false),
            rests: AtomicBool::new(false),
            counts: Mutex::default(),
        }
    }

    /// Lets it end after the pod that it is at.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Lets no pod come or go.
    ///
    /// # Errors
    /// One does still; ask again.
    pub fn pause(&self) -> Result<()> {
        self.is_paused.store(true, Ordering::Relaxed);
        ensure!(self.rests.load(Ordering::Relaxed), "a pod comes or goes");
        Ok(())
    }

    /// Goes on after a pause.
    pub fn go_on(&self) {
        self.is_paused.store(false, Ordering::Relaxed);
    }

    async fn rest(&self) -> Result<()> {
        let is_paused =
            || self.is_paused.load(Ordering::Relaxed) && !self.is_over.load(Ordering::Relaxed);
        wait_until("the pause is over", PAUSE, async || {
            let rests = is_paused();
            self.rests.store(rests, Ordering::Relaxed);
            ensure!(!rests, "it lasts");
            Ok(())
        })
        .await
    }

    /// What became of them so far.
    pub fn counts(&self) -> Counts {
        self.counts.lock().clone()
    }

    /// Runs until [`Churn::end`], and deletes the pods.
    ///
    /// # Errors
    /// A pod is not attached or not deleted in three minutes, or has an address of another.
    pub async fn run(&self) -> Result<()> {
        let mut attached = VecDeque::new();
        let mut holders = BTreeMap::new();
        let nodes = self.cluster.lab().nodes().iter().cycle();
        for (number, node) in nodes.enumerate() {
            self.rest().await?;
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let pod = pod(&format!("{}{number}", self.prefix))
                .on(node.name())
                .build();
            let new = self.attach(&pod, node.name()).await?;
            for address in &new.addresses {
                let holder = holders.insert(*address, number);
                ensure!(
                    holder.is_none(),
                    "{address} was given to {number} while {holder:?} has it"
                );
            }
            attached.push_back(new);
            if attached.len() > RUNNING {
                self.detach(attached.pop_front(), &mut holders).await?;
            }
        }
        while !attached.is_empty() {
            self.detach(attached.pop_front(), &mut holders).await?;
        }
        Ok(())
    }

    async fn attach(&self, pod: &Pod, node: &str) -> Result<Attached> {
        let api_server = self.cluster.lab().api_server()?;
        let object = wait_until("a pod is created", PATIENCE, async || {
            api_server.ensure_pod(pod).await
        })
        .await?;
        wait_until("a pod is attached", PATIENCE, async || {
            self.try_attach(&object, node).await
        })
        .await
    }

    /// A sandbox whose `ADD` fails is torn down.
    async fn try_attach(&self, object: &Pod, node: &str) -> Result<Attached> {
        let sandbox = self.cluster.sandbox(object, node)?;
        let begun = Instant::now();
        match sandbox.add() {
            Ok(addresses) => {
                self.counts.lock().added.push(begun);
                Ok(Attached {
                    object: object.clone(),
                    sandbox,
                    addresses: addresses.values().copied().collect(),
                })
            }
            Err(error) => {
                let told = format!("{error:#}");
                self.counts.lock().failed.push((begun, told));
                drop(sandbox.del());
                drop(timeout(BACKOFF, pending::<()>()).await);
                Err(error)
            }
        }
    }

    async fn detach(
        &self,
        pod: Option<Attached>,
        holders: &mut BTreeMap<IpAddr, usize>,
    ) -> Result<()> {
        let pod = pod.context("there is a pod")?;
        let api_server = self.cluster.lab().api_server()?;
        wait_until("a pod is detached", PATIENCE, async || pod.sandbox.del()).await?;
        for address in &pod.addresses {
            holders.remove(address);
        }
        wait_until("a pod is deleted", PATIENCE, async || {
            api_server.ensure_no_pod(&pod.object).await
        })
        .await?;
        self.counts.lock().deleted += 1;
        Ok(())
    }
}

// === impl Counts ===

impl Counts {
    /// The calls of `ADD` that began after a moment and succeeded.
    pub fn added_after(&self, moment: Instant) -> usize {
        self.added.iter().filter(|begun| **begun > moment).count()
    }

    /// Why calls of `ADD` failed that began between two moments.
    pub fn failures(&self, from: Instant, to: Instant) -> Vec<&str> {
        let failed = self.failed.iter();
        failed
            .filter(|(begun, _)| (from..to).contains(begun))
            .map(|(_, why)| why.as_str())
            .collect()
    }

    /// Whether so many pods were attached since a moment.
    ///
    /// # Errors
    /// Fewer were.
    pub fn ensure_added(&self, count: usize, since: Instant) -> Result<()> {
        let added = self.added_after(since);
        let last = self.failed.last().map_or("nothing", |(_, why)| why);
        ensure!(added >= count, "{added} were, and {last} failed");
        Ok(())
    }
}
