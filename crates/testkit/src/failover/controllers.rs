//! Controllers on nodes, of which one leads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use nix::sys::signal::Signal;

use crate::{Cluster, Lab, Node, process::Process, wait_until};

/// Where they are; the first leads at first.
const NODES: [&str; 2] = ["n1", "n2"];
/// A lease of 15 seconds that nobody gave back, and what comes after it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where daemons report.
const GRPC: u16 = 10670;
/// A state in the kernel's tables of connections.
const ESTABLISHED: &str = "01";

/// The controllers by their nodes, by whose names they hold the lease.
#[derive(Debug)]
pub(super) struct Controllers<'lab> {
    lab: &'lab Lab,
    processes: BTreeMap<String, Process>,
}

// === impl Controllers ===

impl<'lab> Controllers<'lab> {
    /// Starts them, one after the other.
    ///
    /// # Errors
    /// They were not built, or the first does not lead after a minute.
    pub(super) async fn start(cluster: &Cluster<'lab>) -> Result<Self> {
        let mut controllers = Self {
            lab: cluster.lab(),
            processes: BTreeMap::new(),
        };
        for name in NODES {
            let node = cluster.lab().node(name)?;
            let process = start(cluster, node)?;
            controllers.processes.insert(name.to_owned(), process);
            controllers.wait_for_leader().await?;
        }
        Ok(controllers)
    }

    /// Their process ids.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.processes.values().map(Process::id)
    }

    /// Where they are.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &'lab Node> {
        let nodes = self.lab.nodes().iter();
        nodes.filter(|node| self.processes.contains_key(node.name()))
    }

    /// Sends a signal to that of a node, where there is one.
    pub(super) fn signal(&self, node: &str, signal: Signal) -> Result<()> {
        let process = self.processes.get(node);
        process.map_or(Ok(()), |process| process.signal(signal))
    }

    /// Starts what has ended by itself, as kubelet does.
    pub(super) fn start_ended(&mut self) -> Result<()> {
        for process in self.processes.values_mut() {
            if process.has_ended()? {
                process.start_again()?;
            }
        }
        Ok(())
    }

    /// Lets that of a node lead, and the other stand by.
    pub(super) async fn lead(&mut self, node: &str) -> Result<()> {
        self.start_ended()?;
        if self.wait_for_leader().await? == node {
            return Ok(());
        }
        for (other, process) in &mut self.processes {
            if other != node {
                process.end()?;
            }
        }
        wait_until(&format!("{node} leads"), PATIENCE, async || {
            let leader = self.leader().await?;
            ensure!(leader == node, "`{leader}` does");
            Ok(())
        })
        .await?;
        self.start_ended()?;
        self.hear_all().await
    }

    /// Waits until the daemons of all nodes have a call to who leads.
    pub(super) async fn hear_all(&self) -> Result<()> {
        let leader = self.wait_for_leader().await?;
        let leader = self.processes.get(&leader).context("it is elsewhere")?;
        let nodes = self.lab.nodes().len();
        wait_until("all daemons report", PATIENCE, async || {
            let callers = callers(leader.id())?;
            ensure!(callers.len() == nodes, "{} do", callers.len());
            Ok(())
        })
        .await
    }

    async fn wait_for_leader(&self) -> Result<String> {
        wait_until("a controller leads", PATIENCE, async || {
            let leader = self.leader().await?;
            ensure!(!leader.is_empty(), "nobody does");
            Ok(leader)
        })
        .await
    }

    async fn leader(&self) -> Result<String> {
        let client = self.lab.api_server()?.client()?;
        let leases = Api::<Lease>::namespaced(client, "kube-system");
        let lease = leases.get("kube-ovn-controller").await?;
        let spec = lease.spec.context("a lease has a spec")?;
        Ok(spec.holder_identity.unwrap_or_default())
    }
}

/// The addresses from which somebody calls the gRPC port of a process, as the kernel writes them.
fn callers(id: u32) -> Result<BTreeSet<String>> {
    let port = format!(":{GRPC:04X}");
    let mut callers = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{id}/net/{table}"))?;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, local, remote, ESTABLISHED, ..] = words.as_slice() else {
                continue;
            };
            if let Some((address, _)) = remote.split_once(':')
                && local.ends_with(&port)
            {
                callers.insert(address.to_owned());
            }
        }
    }
    Ok(callers)
}

fn start(cluster: &Cluster<'_>, node: &Node) -> Result<Process> {
    let address = node.addresses().values().next();
    let address = address.context("a node has an address")?;
    let socket = node.directory().join("controller.sock");
    cluster
        .controller_program()?
        .in_netns(node.netns().path())
        .arg(format!("--identity={}", node.name()))
        .arg(format!("--pod-ip={address}"))
        .arg(format!("--grpc-address=unix:{}", socket.display()))
        .spawn("controller", node.directory())
}
