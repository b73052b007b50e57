//! A cluster that runs, made by this or another process.

use std::{net::IpAddr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use assets::versions::HELM;
use model::DualStack;
use testkit::{Families, Netns, command::Invocation, wait_until};

use crate::{
    REMEDY, cgroup, control_plane,
    directory::{Directory, Record},
    image::{self, Import},
    network,
    node::Node,
    outside,
    program::{self, Program},
};

/// How long a killed process may take to end.
const GONE: Duration = Duration::from_secs(10);

/// A cluster that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    directory: Directory,
    families: Families,
    nodes: Vec<Node>,
}

// === impl Cluster ===

impl Cluster {
    /// The cluster in a directory.
    ///
    /// # Errors
    /// There is none.
    pub fn open(directory: &Directory) -> Result<Self> {
        let record = directory.record()?.with_context(|| {
            format!(
                "no cluster in {}: run `cargo xtask cluster up`",
                directory.path().display()
            )
        })?;
        Ok(Self::of(directory, &record))
    }

    pub(crate) fn of(directory: &Directory, record: &Record) -> Self {
        let nodes = (0..record.nodes).map(|number| Node::new(number, record.families, directory));
        Self {
            directory: directory.clone(),
            families: record.families,
            nodes: nodes.collect(),
        }
    }

    /// Where its files are.
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The families of its networks.
    pub const fn families(&self) -> Families {
        self.families
    }

    /// The addresses of its API server.
    pub fn api_addresses(&self) -> DualStack<IpAddr> {
        network::control_addresses(self.families)
    }

    /// Its nodes, `n1` first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node by name.
    ///
    /// # Errors
    /// The cluster has no such node.
    pub fn node(&self, name: &str) -> Result<&Node> {
        let mut nodes = self.nodes.iter();
        nodes
            .find(|node| node.name() == name)
            .with_context(|| format!("the cluster has no node {name}"))
    }

    /// The host that is no part of Kubernetes: every node's default route, at 10.200.0.1 and
    /// fd00:c8::1, and behind that 192.0.2.1 and 2001:db8::1.
    pub fn outside(&self) -> Netns {
        network::outside()
    }

    /// The addresses behind it that a web server listens on; [`outside::ADDRESS_PATH`] there
    /// answers with the client's address.
    pub fn outside_addresses(&self) -> DualStack<IpAddr> {
        outside::addresses(self.families)
    }

    /// `kubectl` as an administrator, where the API server is.
    ///
    /// # Errors
    /// It was never built.
    pub fn kubectl(&self) -> Result<Invocation> {
        Ok(Invocation::new(assets::kubernetes("kubectl")?)
            .arg("--kubeconfig")
            .arg(self.directory.kubeconfig())
            .arg("--cache-dir")
            .arg(self.directory.client("kubectl"))
            .in_netns(network::control().path()))
    }

    /// `helm` as an administrator, where the API server is.
    ///
    /// # Errors
    /// It was never built.
    pub fn helm(&self) -> Result<Invocation> {
        let helm = self.directory.client("helm");
        Ok(Invocation::new(assets::go_tool(HELM)?)
            .env("KUBECONFIG", self.directory.kubeconfig())
            .env("HELM_CACHE_HOME", helm.join("cache"))
            .env("HELM_CONFIG_HOME", helm.join("config"))
            .env("HELM_DATA_HOME", helm.join("data"))
            .in_netns(network::control().path()))
    }

    /// Creates and changes objects as a manifest says, on the server's side.
    ///
    /// # Errors
    /// What `kubectl` says.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        self.kubectl()?
            .args(["apply", "--server-side", "--force-conflicts", "-f", "-"])
            .input(manifest)
            .read()
            .map(drop)
    }

    /// Gives an image to every node, unless they have exactly this archive from before.
    ///
    /// # Errors
    /// The archive cannot be read, or a node's containerd refuses it: then what is wrong with it.
    pub fn import_image(&self, archive: &Path) -> Result<Import> {
        image::import(&self.directory, &self.nodes, archive)
    }

    /// Fails when a program of the cluster has ended, naming it.
    ///
    /// # Errors
    /// Then with the end of the program's log.
    pub fn check(&self) -> Result<()> {
        let mut checked = control_plane::check(&self.directory);
        for node in &self.nodes {
            checked = checked.and_then(|()| node.check());
        }
        checked.with_context(|| format!("the cluster is broken ({REMEDY})"))
    }

    /// Kills every process of a program by SIGKILL, in the control plane, on every node and in
    /// containers; returns their ids when they are gone. Those of the cluster itself are started
    /// again by [`Cluster::start_again`], those in containers by whoever runs those.
    ///
    /// # Errors
    /// A process cannot be ended.
    pub async fn kill_program(&self, program: &Program<'_>) -> Result<Vec<i32>> {
        let ids = self.processes(program)?;
        ids.iter().try_for_each(|id| cgroup::end(*id))?;
        wait_until("the killed processes are gone", GONE, async || {
            let left = self.processes(program)?;
            let is_left = ids.iter().any(|id| left.contains(id));
            ensure!(!is_left, "of {ids:?} there are {left:?}");
            Ok(())
        })
        .await?;
        Ok(ids)
    }

    /// The ids of a program's processes, wherever they run.
    ///
    /// # Errors
    /// The control groups cannot be read.
    pub fn processes(&self, program: &Program<'_>) -> Result<Vec<i32>> {
        let mut ids = program::find(control_plane::GROUP, program)?;
        for node in &self.nodes {
            ids.extend(node.processes(program)?);
        }
        Ok(ids)
    }

    /// Starts what has ended of the control plane and of the nodes' own programs, as systemd
    /// would, and waits for the API server and the runtimes.
    ///
    /// # Errors
    /// One of them does not answer in time.
    pub async fn start_again(&self) -> Result<()> {
        control_plane::start_again(&self.directory, self.families)?;
        for node in &self.nodes {
            node.start_again().await?;
        }
        control_plane::ready(self).await
    }

    /// Ends every process at once, as a power failure of the host does; files stay.
    ///
    /// # Errors
    /// A process cannot be ended.
    pub async fn kill(&self) -> Result<()> {
        cgroup::kill_all().await
    }

    /// One line about each part: its addresses, its programs, how many processes it has.
    ///
    /// # Errors
    /// The control groups cannot be read.
    pub fn describe(&self) -> Result<Vec<String>> {
        let addresses = self.api_addresses().to_string();
        let state = control_plane::check(&self.directory);
        let mut lines = vec![line(control_plane::GROUP, &addresses, state)?];
        for node in &self.nodes {
            let addresses = node.addresses().to_string();
            lines.push(line(node.name(), &addresses, node.check())?);
        }
        Ok(lines)
    }
}

fn line(part: &str, addresses: &str, state: Result<()>) -> Result<String> {
    let count = cgroup::count(part)?;
    let state = match state {
        Ok(()) => format!("{count} processes"),
        Err(error) => format!("broken: {error:#}"),
    };
    Ok(format!("{part:<8} {addresses:<28} {state}"))
}
