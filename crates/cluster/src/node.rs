//! A node: a network namespace, a root of its own, containerd, kubelet and kube-proxy.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use model::DualStack;
use testkit::{Families, Netns, command::Invocation, wait_until};
use uuid::Uuid;

use crate::{
    cgroup, config,
    detached::Detached,
    directory::{Directory, create, write},
    identity::User,
    network,
};

mod fault;

const BOOT: &str = include_str!("node/boot.sh");
/// What a node takes from outside its root, into `/usr/local/bin`.
const PROGRAMS: [&str; 2] = ["kubelet", "kube-proxy"];
/// What runs the node's containers.
const RUNTIME: &str = "containerd";
/// Where Debian has CNI plugins, from the root.
const PLUGINS: &str = "usr/lib/cni";
const PATIENCE: Duration = Duration::from_mins(1);

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    name: String,
    number: u8,
    families: Families,
    directory: PathBuf,
    control: PathBuf,
    archives: PathBuf,
}

// === impl Node ===

impl Node {
    pub(crate) fn new(number: u8, families: Families, directory: &Directory) -> Self {
        let name = name(number);
        Self {
            directory: directory.node(&name),
            control: directory.control(),
            archives: directory.archives(),
            name,
            number,
            families,
        }
    }

    /// Its name as a Kubernetes node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace.
    pub fn netns(&self) -> Netns {
        network::netns(&self.name)
    }

    /// Its addresses on `eth0`, which are its InternalIP.
    pub fn addresses(&self) -> DualStack<IpAddr> {
        network::node_addresses(self.families, self.number)
    }

    /// A program of the node's root, run on the node.
    ///
    /// # Errors
    /// The node was not started.
    pub fn command(&self, program: &str) -> Result<Invocation> {
        let id = self.boot().id()?;
        Ok(Invocation::new("nsenter")
            .args(["--mount", "--uts", "--ipc", "--net"])
            .arg(format!("--target={id}"))
            .arg(format!("--pid=/proc/{id}/ns/pid_for_children"))
            .args(["--", program]))
    }

    /// Makes the node's root, and starts it for the first time.
    pub(crate) fn start(&self) -> Result<()> {
        self.write_root()?;
        self.boot_up()
    }

    /// Makes the node's namespace and starts its first process.
    fn boot_up(&self) -> Result<()> {
        network::lay_out_node(&self.name, self.families, self.number)?;
        let boot = self.directory.join("boot.sh");
        write(&boot, BOOT)?;
        let invocation = Invocation::new("unshare")
            .args([
                "--mount",
                "--uts",
                "--ipc",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .arg("sh")
            .arg(boot)
            .arg(&self.name)
            .arg(&self.directory)
            .arg(assets::node_root()?.path())
            .arg(&self.archives)
            .in_netns(self.netns().path());
        self.boot().start(&invocation, &cgroup::make(&self.name)?)
    }

    /// Waits for the root and starts containerd, and waits for that.
    pub(crate) async fn start_runtime(&self) -> Result<()> {
        let what = format!("{} has its root", self.name);
        self.wait(&what, &["test", "-e", "/run/booted"]).await?;
        self.spawn(RUNTIME)?;
        let what = format!("containerd of {} answers", self.name);
        self.wait(&what, &["ctr", "version"]).await
    }

    /// Starts kubelet and kube-proxy, without waiting for any.
    pub(crate) fn start_kubernetes(&self) -> Result<()> {
        PROGRAMS.iter().try_for_each(|program| self.spawn(program))
    }

    /// Fails when one of its programs has ended.
    pub(crate) fn check(&self) -> Result<()> {
        let programs = ["boot", RUNTIME].into_iter().chain(PROGRAMS);
        programs
            .into_iter()
            .try_for_each(|name| self.detached(name).check())
            .with_context(|| format!("on node {}", self.name))
    }

    /// Waits until a command succeeds on the node.
    async fn wait(&self, what: &str, words: &[&str]) -> Result<()> {
        let (program, arguments) = words.split_first().context("a command has a program")?;
        wait_until(what, PATIENCE, async || {
            if let Err(ended) = self.boot().check() {
                return Ok(Err(ended));
            }
            let command = self.command(program)?.args(arguments);
            command.read().map(|_output| Ok(()))
        })
        .await?
    }

    /// Starts one of the node's own programs.
    fn spawn(&self, program: &str) -> Result<()> {
        let invocation = self.command(program)?.args(self.arguments(program));
        let group = cgroup::make(&self.name)?;
        self.detached(program).start(&invocation, &group)
    }

    fn arguments(&self, program: &str) -> Vec<String> {
        let addresses: Vec<String> = self.addresses().values().map(IpAddr::to_string).collect();
        match program {
            "kubelet" => vec![
                "--config=/etc/kubernetes/kubelet.yaml".to_owned(),
                "--kubeconfig=/etc/kubernetes/kubelet.kubeconfig".to_owned(),
                format!("--hostname-override={}", self.name),
                format!("--node-ip={}", addresses.join(",")),
            ],
            "kube-proxy" => vec!["--config=/etc/kubernetes/kube-proxy.yaml".to_owned()],
            _ => Vec::new(),
        }
    }

    /// The node's first process, whose end is the end of all.
    fn boot(&self) -> Detached {
        self.detached("boot")
    }

    fn detached(&self, name: &str) -> Detached {
        Detached::new(name, &self.directory)
    }

    /// What the node's root has beyond the shared one.
    fn write_root(&self) -> Result<()> {
        let upper = self.directory.join("upper");
        let etc = |file: &str, text: String| write(&upper.join("etc").join(file), text);
        etc("hostname", format!("{}\n", self.name))?;
        etc("machine-id", format!("{}\n", Uuid::new_v4().simple()))?;
        etc("hosts", self.hosts())?;
        etc("resolv.conf", String::new())?;
        etc("containerd/config.toml", config::containerd())?;
        let addresses = self.addresses();
        let kubernetes = |file: &str, text: String| etc(&format!("kubernetes/{file}"), text);
        kubernetes("kubelet.yaml", config::kubelet(&self.name, &addresses)?)?;
        kubernetes(
            "kube-proxy.yaml",
            config::kube_proxy(&self.name, &addresses)?,
        )?;
        for (from, to) in [
            ("ca.crt".to_owned(), "ca.crt"),
            (User::kubelet(&self.name).kubeconfig(), "kubelet.kubeconfig"),
            (
                User::component("kube-proxy").kubeconfig(),
                "kube-proxy.kubeconfig",
            ),
        ] {
            let text = fs::read_to_string(self.control.join(&from))
                .with_context(|| format!("cannot read {from}"))?;
            kubernetes(to, text)?;
        }
        for directory in ["work", "root", "containerd", "programs"] {
            create(&self.directory.join(directory))?;
        }
        for directory in ["etc/cni/net.d", "opt/cni/bin", "var/lib/containerd"] {
            create(&upper.join(directory))?;
        }
        self.link_plugins()?;
        self.write_programs()
    }

    /// The standard CNI plugins, which every runtime is installed with: containerd cannot do
    /// without `loopback`.
    fn link_plugins(&self) -> Result<()> {
        let plugins = Path::new("/").join(PLUGINS);
        let found = assets::node_root()?.path().join(PLUGINS);
        let found =
            fs::read_dir(&found).with_context(|| format!("cannot read {}", found.display()))?;
        for plugin in found {
            let name = plugin?.file_name();
            let link = self.directory.join("upper/opt/cni/bin").join(&name);
            symlink(plugins.join(&name), &link)
                .with_context(|| format!("cannot link {}", link.display()))?;
        }
        Ok(())
    }

    /// A link that the boot script follows outside the root, and a file to bind it to.
    fn write_programs(&self) -> Result<()> {
        for name in PROGRAMS {
            let link = self.directory.join("programs").join(name);
            symlink(assets::kubernetes(name)?, &link)
                .with_context(|| format!("cannot link {}", link.display()))?;
            write(&self.directory.join("upper/usr/local/bin").join(name), "")?;
        }
        Ok(())
    }

    fn hosts(&self) -> String {
        let of_node = self.addresses();
        let lines = of_node
            .values()
            .map(|address| format!("{address} {}\n", self.name));
        let local = ["127.0.0.1 localhost\n", "::1 localhost\n"].map(str::to_owned);
        local.into_iter().chain(lines).collect()
    }
}

/// `n1` for 0, and so on.
pub(crate) fn name(number: u8) -> String {
    format!("n{}", u16::from(number) + 1)
}
