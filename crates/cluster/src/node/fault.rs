//! What may befall a node: a program is killed, its power fails.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use testkit::wait_until;

use super::{Node, PATIENCE, PROGRAMS, RUNTIME};
use crate::{
    cgroup, network,
    program::{self, Program},
};

/// Where kubelet tells how it is (its setting `healthzPort`).
const HEALTHZ: &str = "http://127.0.0.1:10248/healthz";

// === impl Node ===

impl Node {
    /// The ids of a program's processes, on the node itself and in its containers.
    ///
    /// # Errors
    /// The control groups cannot be read.
    pub fn processes(&self, program: &Program<'_>) -> Result<Vec<i32>> {
        program::find(self.name(), program)
    }

    /// Starts those of containerd, kubelet and kube-proxy that do not run, as systemd would.
    ///
    /// # Errors
    /// The node is off, or containerd or kubelet does not answer in time.
    pub async fn start_again(&self) -> Result<()> {
        if !self.runs(RUNTIME)? {
            self.start_runtime().await?;
        }
        self.keep_kubernetes().await
    }

    /// Starts kubelet and kube-proxy until kubelet answers: it ends when containerd, which answers
    /// already, has not found its pods again yet.
    async fn keep_kubernetes(&self) -> Result<()> {
        let what = format!("kubelet of {} answers", self.name());
        wait_until(&what, PATIENCE, async || {
            for program in PROGRAMS {
                self.spawn_missing(program)?;
            }
            let healthz = ["wget", "-q", "-O", "-", HEALTHZ];
            let wget = self.command("busybox")?.args(healthz);
            wget.read().map(drop)
        })
        .await
    }

    fn spawn_missing(&self, program: &str) -> Result<()> {
        if self.runs(program)? {
            return Ok(());
        }
        self.spawn(program)
    }

    fn runs(&self, program: &str) -> Result<bool> {
        Ok(!self.processes(&Program::named(program))?.is_empty())
    }

    /// Cuts its power: all its processes end at once, and its namespaces, memory and network with
    /// them. What is on its disk stays.
    ///
    /// # Errors
    /// A process or the namespace cannot be ended.
    pub async fn power_off(&self) -> Result<()> {
        cgroup::power_off(self.name()).await?;
        network::take_away_node(self.name(), self.number)
    }

    /// Gives it power again: containerd, kubelet and kube-proxy start on what is on the disk.
    ///
    /// # Errors
    /// It was not off, or containerd or kubelet does not answer in time.
    pub async fn power_on(&self) -> Result<()> {
        self.boot_up()?;
        self.start_runtime().await?;
        self.keep_kubernetes().await
    }

    /// The network namespace of a pod that runs on the node.
    ///
    /// # Errors
    /// None of its processes runs.
    pub fn pod_netns(&self, uid: &str) -> Result<PathBuf> {
        let processes = cgroup::members_of(self.name(), &format!("pod{uid}"))?;
        ensure!(!processes.is_empty(), "no process of pod {uid} runs");
        let first = processes.first().context("there is one")?;
        Ok(PathBuf::from(format!("/proc/{first}/ns/net")))
    }

    /// Whether a container of a pod has a process.
    ///
    /// # Errors
    /// The control groups cannot be read.
    pub fn runs_container(&self, id: &str) -> Result<bool> {
        Ok(!id.is_empty() && !cgroup::members_of(self.name(), id)?.is_empty())
    }
}
