//! A lab with our own programs: the CRDs, Node objects, the controller, a daemon on each node.

use std::{
    env, fs,
    io::{Read, Write},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::Api;
use model::{DualStack, IpFamily};

use crate::{
    Lab, Netns, Node, Sandbox,
    bin::bin,
    command::Invocation,
    lab::CENTRAL,
    node::{TUNNEL_NIC, Tunnels},
    objects::{self, PodBuilder},
    process::{Process, Processes},
    wait_until,
};

const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/crds");
pub(crate) const CONTROLLER: &str = "controller";
pub(crate) const CONTROLLER_ADMIN: u16 = 10660;
pub(crate) const DAEMON_ADMIN: u16 = 10665;
const READY: Duration = Duration::from_secs(30);
const HTTP_DEADLINE: Duration = Duration::from_secs(2);
const LOG_FILTER: &str = "info,controller=debug,daemon=debug";

/// Our programs, running in a lab with an API server.
#[derive(Debug)]
pub struct Cluster<'lab> {
    lab: &'lab Lab,
    /// Where the controller is: `central`, or a node.
    host: String,
    /// The controller and, by the names of their nodes, the daemons.
    processes: Processes,
}

/// A pod that was attached by `ADD`.
#[derive(Debug)]
pub struct RunningPod {
    /// The object as it was created, with its UID.
    pub object: Pod,
    /// Its namespace and its way to the plugin.
    pub sandbox: Sandbox,
    /// The addresses of the CNI result.
    pub addresses: DualStack<IpAddr>,
}

// === impl Cluster ===

impl<'lab> Cluster<'lab> {
    /// Applies the CRDs, creates the Node objects and starts our programs.
    ///
    /// # Errors
    /// A program was not built, or is not ready after 30 seconds: then what it still lacks.
    pub async fn start(lab: &'lab Lab) -> Result<Self> {
        let mut cluster = Self::start_without_daemons(lab).await?;
        for node in lab.nodes() {
            cluster.start_daemon(node)?;
        }
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Applies the CRDs, creates the Node objects and starts the controller alone: pods get
    /// addresses and ports, but nothing attaches them.
    ///
    /// # Errors
    /// The controller was not built, or is not ready after 30 seconds: then what it still lacks.
    pub async fn start_without_daemons(lab: &'lab Lab) -> Result<Self> {
        let mut cluster = Self::prepare(lab).await?;
        cluster.start_controller()?;
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Applies the CRDs and creates the Node objects; starts nothing.
    ///
    /// # Errors
    /// The API server rejects them.
    pub async fn prepare(lab: &'lab Lab) -> Result<Self> {
        let api_server = lab.api_server()?;
        api_server.apply_crds(Path::new(CRDS)).await?;
        for node in lab.nodes() {
            api_server
                .create_node(&objects::node(node.name(), node.addresses()))
                .await?;
        }
        Ok(Self {
            lab,
            host: CENTRAL.to_owned(),
            processes: Processes::default(),
        })
    }

    /// The same with a controller on a host of the lab that stands for leader, and daemons that report
    /// to whoever leads.
    ///
    /// # Errors
    /// A program was not built, or is not ready after 30 seconds: then what it still lacks.
    pub async fn start_elected(lab: &'lab Lab, host: &str) -> Result<Self> {
        let mut cluster = Self::prepare(lab).await?;
        host.clone_into(&mut cluster.host);
        let controller = cluster.candidate(host)?;
        let directory = lab.directory().join(host);
        cluster
            .processes
            .spawn(CONTROLLER, &controller, &directory)?;
        for node in lab.nodes() {
            cluster.start_daemon(node)?;
        }
        cluster.ready().await?;
        cluster.bring_certificates().await?;
        Ok(cluster)
    }

    /// Waits until the controller and every daemon that was started are ready.
    ///
    /// # Errors
    /// They are not after 30 seconds: then what one still lacks.
    pub async fn ready(&self) -> Result<()> {
        self.controller_ready(CONTROLLER_ADMIN).await?;
        let nodes = self.lab.nodes().iter();
        for node in nodes.filter(|node| self.processes.contains(&daemon(node.name()))) {
            let what = format!("the daemon of {} is ready", node.name());
            wait_until(&what, READY, async || ask(node.netns(), DAEMON_ADMIN)).await?;
        }
        Ok(())
    }

    /// Waits until the controller whose admin server has that port is ready.
    ///
    /// # Errors
    /// It is not after 30 seconds: then what it still lacks.
    pub async fn controller_ready(&self, admin_port: u16) -> Result<()> {
        let netns = self.netns_of(&self.host)?;
        wait_until("the controller is ready", READY, async || {
            ask(netns, admin_port)
        })
        .await
    }

    /// Puts the Secret's certificates where the daemons look for them, as kubelet would.
    ///
    /// # Errors
    /// No controller makes the Secret.
    pub async fn bring_certificates(&self) -> Result<()> {
        bring_certificates(self.lab, &tls(self.lab)).await
    }

    fn netns_of(&self, host: &str) -> Result<&'lab Netns> {
        if host == CENTRAL {
            return Ok(self.lab.central().netns());
        }
        Ok(self.lab.node(host)?.netns())
    }

    /// Starts the only controller; one that runs is killed first.
    ///
    /// # Errors
    /// It was not built.
    pub fn start_controller(&mut self) -> Result<()> {
        let program = self.controller_program()?.arg("--leader-elect=false");
        let program = program.arg(format!(
            "--grpc-address=unix:{}",
            debug_socket(self.lab).display()
        ));
        let directory = self.lab.directory().join("central");
        self.processes.spawn(CONTROLLER, &program, &directory)
    }

    /// A controller, to be started beside NB and the API server.
    ///
    /// # Errors
    /// It was not built.
    pub fn controller_program(&self) -> Result<Invocation> {
        self.controller_of(&self.lab.northbound()?)
    }

    /// A controller on a host of the lab, `central` or a node, that stands for leader under the host's
    /// name, for three seconds at a time. Daemons find it by its address in the Lease.
    ///
    /// # Errors
    /// It was not built, or the lab has no such host.
    pub fn candidate(&self, host: &str) -> Result<Invocation> {
        let addresses = self.lab.addresses_of(host)?;
        let address = addresses.values().next().context("a host has an address")?;
        Ok(self
            .controller_program()?
            .in_netns(self.netns_of(host)?.path())
            .arg(format!("--identity={host}"))
            .arg(format!("--pod-ip={address}"))
            .arg("--leader-elect-lease-duration=3"))
    }

    /// A controller of another NB.
    ///
    /// # Errors
    /// It was not built.
    pub fn controller_of(&self, northbound: &str) -> Result<Invocation> {
        let families = self.lab.families().all();
        Ok(ours("controller")?
            .in_netns(self.lab.central().netns().path())
            .arg(format!("--ovn-nb-addr={northbound}"))
            .arg(format!("--ovn-sb-addr={}", self.lab.southbound()?))
            .arg(format!(
                "--kubeconfig={}",
                self.lab.api_server()?.kubeconfig().display()
            ))
            .arg(format!(
                "--default-cidr={}",
                join(families, "10.16.0.0/16", "fd00:10:16::/112")
            ))
            .arg(format!(
                "--node-switch-cidr={}",
                join(families, "100.64.0.0/16", "fd00:100:64::/112")
            )))
    }

    /// Starts the daemon of a node; one that runs is killed first.
    ///
    /// # Errors
    /// It was not built.
    pub fn start_daemon(&mut self, node: &Node) -> Result<()> {
        let options = match node.tunnels() {
            Tunnels::ByLab => Vec::new(),
            Tunnels::ByDaemon => vec![format!("--iface={TUNNEL_NIC}")],
        };
        self.start_daemon_with(node, &options)
    }

    /// The same with these options besides.
    ///
    /// # Errors
    /// It was not built.
    pub fn start_daemon_with(&mut self, node: &Node, options: &[String]) -> Result<()> {
        let program = ours("daemon")?
            .in_netns(node.netns().path())
            .arg(format!("--node-name={}", node.name()))
            .arg(format!("--bind-socket={}", socket(node).display()))
            .arg(format!("--ovs-socket={}", node.ovs_socket()))
            .arg(format!(
                "--kubeconfig={}",
                self.lab.api_server()?.kubeconfig().display()
            ))
            .arg(format!("--state-dir={}", node.directory().display()))
            .arg(format!("--tls-directory={}", tls(self.lab).display()))
            .args(options);
        let name = daemon(node.name());
        self.processes.spawn(&name, &program, node.directory())
    }

    /// Kills the daemon of a node.
    pub fn kill_daemon(&mut self, node: &Node) {
        drop(self.processes.remove(&daemon(node.name())));
    }

    /// Kills the daemon of a node and has it take away what it made.
    ///
    /// # Errors
    /// What it says.
    pub fn uninstall_daemon(&mut self, node: &Node) -> Result<String> {
        self.kill_daemon(node);
        ours("daemon")?
            .in_netns(node.netns().path())
            .arg("uninstall")
            .arg(format!("--ovs-socket={}", node.ovs_socket()))
            .arg(format!("--state-dir={}", node.directory().display()))
            .read()
    }

    /// The process id of the daemon of a node.
    ///
    /// # Errors
    /// It was not started.
    pub fn daemon_id(&self, node: &Node) -> Result<u32> {
        let id = |daemon: &mut Process| Ok(daemon.id());
        self.processes.with(&daemon(node.name()), id)
    }

    /// What the daemon of a node says about its readiness.
    ///
    /// # Errors
    /// It is not ready: then what it still lacks.
    pub fn ask_daemon(&self, node: &Node) -> Result<()> {
        ask(node.netns(), DAEMON_ADMIN)
    }

    /// Starts what has ended by itself, as kubelet does, and returns how many programs had.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn start_ended(&self) -> Result<usize> {
        self.processes.start_ended()
    }

    /// The controller's process.
    ///
    /// # Errors
    /// It could not be started before.
    pub fn controller(&mut self) -> Result<&mut Process> {
        self.processes
            .get_mut(CONTROLLER)
            .context("the controller was started")
    }

    /// The lab in which they run.
    pub const fn lab(&self) -> &'lab Lab {
        self.lab
    }

    /// The programs: `controller`, `daemon-<node>`.
    pub(crate) const fn processes(&self) -> &Processes {
        &self.processes
    }

    /// Creates a pod on a node and attaches it as kubelet would, at once.
    ///
    /// # Errors
    /// The API server rejects the pod, or `ADD` fails.
    pub async fn run_pod(&self, pod: PodBuilder, node: &str) -> Result<RunningPod> {
        let object = self
            .lab
            .api_server()?
            .create_pod(&pod.on(node).build())
            .await?;
        let sandbox = self.sandbox(&object, node)?;
        let addresses = sandbox.add()?;
        Ok(RunningPod {
            object,
            sandbox,
            addresses,
        })
    }

    /// A new sandbox of a pod that exists, not attached yet.
    ///
    /// # Errors
    /// The namespace cannot be made.
    pub fn sandbox(&self, pod: &Pod, node: &str) -> Result<Sandbox> {
        let node = self.lab.node(node)?;
        Sandbox::create(node, pod, &socket(node))
    }

    /// The same in a namespace that was made before.
    ///
    /// # Errors
    /// The lab has no such node.
    pub fn sandbox_within(&self, netns: Netns, pod: &Pod, node: &str) -> Result<Sandbox> {
        let node = self.lab.node(node)?;
        Sandbox::within(netns, node, pod, &socket(node))
    }
}

// === impl RunningPod ===

impl RunningPod {
    /// Its namespace.
    pub const fn netns(&self) -> &Netns {
        self.sandbox.netns()
    }

    /// Its IPv4 address, or the IPv6 one where it has no other.
    ///
    /// # Errors
    /// The CNI result held none.
    pub fn first_address(&self) -> Result<IpAddr> {
        self.addresses
            .values()
            .next()
            .copied()
            .context("a pod has an address")
    }

    /// Its address of a family.
    ///
    /// # Errors
    /// It has none.
    pub fn address(&self, family: IpFamily) -> Result<IpAddr> {
        self.addresses
            .get(family)
            .copied()
            .with_context(|| format!("{} has no {family:?} address", self.netns().name()))
    }
}

/// The name of a node's daemon among the processes.
pub(crate) fn daemon(node: &str) -> String {
    format!("daemon-{node}")
}

/// Writes the content of the controllers' Secret into a folder, once there is one.
///
/// # Errors
/// No controller makes it within 30 seconds.
pub async fn bring_certificates(lab: &Lab, folder: &Path) -> Result<()> {
    let secrets = Api::<Secret>::namespaced(lab.api_server()?.client()?, "kube-system");
    let secret = wait_until("the Secret is made", READY, async || {
        Ok(secrets.get("kube-ovn-tls").await?)
    })
    .await?;
    fs::create_dir_all(folder)?;
    for (name, content) in secret.data.context("the Secret is empty")? {
        fs::write(folder.join(name), content.0)?;
    }
    Ok(())
}

/// The daemons' folder of certificates, without any until [`Cluster::bring_certificates`].
fn tls(lab: &Lab) -> PathBuf {
    lab.directory().join("tls")
}

/// Where the only controller answers questions.
pub(crate) fn debug_socket(lab: &Lab) -> PathBuf {
    lab.directory().join("central").join("debug.sock")
}

fn socket(node: &Node) -> PathBuf {
    node.directory().join("daemon.sock")
}

/// One of our programs; `RUST_LOG` is handed through.
fn ours(name: &str) -> Result<Invocation> {
    let filter = env::var("RUST_LOG").unwrap_or_else(|_| LOG_FILTER.to_owned());
    Ok(Invocation::new(bin(name)?)
        .env("RUST_LOG", filter)
        .env("RUST_BACKTRACE", "1")
        .env("NO_COLOR", "1"))
}

fn join(families: &[IpFamily], v4: &str, v6: &str) -> String {
    let cidrs: Vec<&str> = families
        .iter()
        .map(|family| match family {
            IpFamily::V4 => v4,
            IpFamily::V6 => v6,
        })
        .collect();
    cidrs.join(",")
}

/// Asks `/readyz`; the error is what is missing.
fn ask(netns: &Netns, port: u16) -> Result<()> {
    get(netns, port, "/readyz").map(drop)
}

/// What the admin server of a program answers.
///
/// # Errors
/// It does not answer, or not with 200.
pub(crate) fn get(netns: &Netns, port: u16, path: &str) -> Result<String> {
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let mut stream = netns.run(|| Ok(TcpStream::connect_timeout(&address, HTTP_DEADLINE)?))?;
    stream.set_read_timeout(Some(HTTP_DEADLINE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "it answers {answer}");
    Ok(answer)
}
