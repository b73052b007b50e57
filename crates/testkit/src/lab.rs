//! A lab: two switches, a central part and nodes, laid out, run and taken down.

mod members;

use std::{
    env, fs,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use anyhow::{Context, Result};
use model::DualStack;
use tempfile::TempDir;

use crate::{
    api_server::ApiServer,
    command::script,
    fault::Disk,
    inspection,
    member::Member,
    netns::{self, Netns},
    network::{Families, MANAGEMENT, TUNNEL, add_address, plug},
    node::{MANAGEMENT_NIC, Node, Place, Supervision, TUNNEL_NIC, Tunnels},
    ovn::{Central, OvnVersion, Programs, SB_PORT},
};

/// How long a part of the lab may take to start before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The host of databases and API server.
pub(crate) const CENTRAL: &str = "central";
const CENTRAL_HOST: u8 = 2;
const FIRST_MEMBER_HOST: u8 = 3;
const FIRST_NODE_HOST: u8 = 11;
const OUTSIDE_HOST: u8 = 100;
/// Directories of labs; the id of the process that made one follows.
const PREFIX: &str = "kube-ovn-lab-";

/// What a lab consists of.
#[derive(Debug, Clone, Copy)]
pub struct LabOptions {
    version: OvnVersion,
    families: Families,
    nodes: u8,
    kubernetes: Kubernetes,
    tunnels: Tunnels,
    disk: Option<u64>,
    members: u8,
    supervision: Supervision,
}

/// Whether a lab has an API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kubernetes {
    Absent,
    ApiServer,
}

/// A running lab. Parts are dropped in this order: processes before their namespaces.
#[derive(Debug)]
pub struct Lab {
    options: LabOptions,
    api_server: Option<ApiServer>,
    nodes: Vec<Node>,
    central: Central,
    switch: Netns,
    /// Of the central part, when it is a small one.
    _disk: Option<Disk>,
    directory: TempDir,
}

// === impl LabOptions ===

impl LabOptions {
    /// Two nodes, IPv4, no API server.
    pub const fn on(version: OvnVersion) -> Self {
        Self {
            version,
            families: Families::V4,
            nodes: 2,
            kubernetes: Kubernetes::Absent,
            tunnels: Tunnels::ByLab,
            disk: None,
            members: 0,
            supervision: Supervision::ByLab,
        }
    }

    /// With a disk of so many bytes for NB, SB and their logs, that can be filled.
    pub const fn small_disk(mut self, bytes: u64) -> Self {
        self.disk = Some(bytes);
        self
    }

    /// With databases and northd on hosts `central1`, `central2`..., by `kube-ovn-central`; with an
    /// API server, too.
    pub const fn central_members(mut self, members: u8) -> Self {
        self.members = members;
        self.with_api_server()
    }

    /// With other families.
    pub const fn families(mut self, families: Families) -> Self {
        self.families = families;
        self
    }

    /// With another number of nodes, named `n1`, `n2`...
    pub const fn nodes(mut self, nodes: u8) -> Self {
        self.nodes = nodes;
        self
    }

    /// With nodes whose tunnel bridge our daemon has to make.
    pub const fn bare_nodes(mut self) -> Self {
        self.tunnels = Tunnels::ByDaemon;
        self
    }

    /// With bare nodes whose Open vSwitch is run by our `kube-ovn-central vswitch`.
    pub const fn supervised_nodes(mut self) -> Self {
        self.supervision = Supervision::ByProgram;
        self.bare_nodes()
    }

    /// With etcd and kube-apiserver in the central namespace.
    pub const fn with_api_server(mut self) -> Self {
        self.kubernetes = Kubernetes::ApiServer;
        self
    }
}

/// Starts a lab, runs a test in it on a thread that lives in its central namespace, and takes the
/// lab down.
///
/// When the test fails, the ends of all logs are printed. With `LAB_KEEP=1` in the environment the
/// lab stays as it is, for inspection, until the file that is printed is removed.
///
/// # Panics
/// When the lab cannot be started and when the test fails.
pub fn run<F>(options: LabOptions, test: F)
where
    F: AsyncFnOnce(&Lab) -> Result<()> + Send + 'static,
{
    let inside = thread::Builder::new()
        .name("lab".to_owned())
        .spawn(move || run_inside(options, test).unwrap_or_else(|error| panic_with(&error)));
    let outcome = inside
        .map_err(anyhow::Error::from)
        .map(thread::JoinHandle::join);
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => resume_unwind(panic),
        Err(error) => panic_with(&error),
    }
}

#[expect(clippy::panic, reason = "a failed lab is a failed test")]
fn panic_with(error: &anyhow::Error) -> ! {
    panic!("{error:#}")
}

/// The thread enters the namespace before the runtime is built, so that the runtime's own threads
/// are born in it.
fn run_inside(options: LabOptions, test: impl AsyncFnOnce(&Lab) -> Result<()>) -> Result<()> {
    let mut lab = Lab::lay_out(options)?;
    lab.central.netns().enter()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot build a runtime")?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            lab.ready().await?;
            test(&lab).await
        })
    }));
    if !matches!(outcome, Ok(Ok(()))) {
        inspection::report(lab.directory());
    }
    runtime.block_on(inspection::keep(lab.directory(), lab.namespaces()))?;
    drop(lab);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

// === impl Lab ===

impl Lab {
    /// Makes namespaces and starts every program, without waiting for any.
    fn lay_out(options: LabOptions) -> Result<Self> {
        netns::sweep()?;
        sweep(&env::temp_dir())?;
        let programs = Programs::find(options.version)?;
        let directory = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", process::id()))
            .tempdir()
            .context("no temporary directory")?;
        let switch = Netns::create("switch")?;
        switch.ip([MANAGEMENT, TUNNEL]
            .map(|network| format!("link add {} up type bridge", network.bridge)))?;

        let central = Netns::create("central")?;
        plug(&central, MANAGEMENT_NIC, CENTRAL_HOST, &switch, MANAGEMENT)?;
        let addresses = options.families.host(MANAGEMENT, CENTRAL_HOST);
        central.ip(addresses
            .values()
            .map(|address| add_address(MANAGEMENT_NIC, *address)))?;
        let api_server = match options.kubernetes {
            Kubernetes::Absent => None,
            Kubernetes::ApiServer => {
                let directory = subdirectory(directory.path(), "kubernetes")?;
                Some(ApiServer::start(&central, &addresses, &directory)?)
            }
        };
        let central_directory = subdirectory(directory.path(), "central")?;
        let disk = options.disk;
        let disk = disk.map(|bytes| Disk::mount(&central_directory, bytes));
        let disk = disk.transpose()?;
        let start = match options.members {
            0 => Central::start,
            _ => Central::without_databases,
        };
        let mut lab = Self {
            options,
            api_server,
            nodes: Vec::new(),
            central: start(central, programs.clone(), central_directory)?,
            switch,
            _disk: disk,
            directory,
        };
        for number in 0..options.members {
            let member = lab.new_member(number)?;
            lab.central.add(member);
        }
        for number in 0..options.nodes {
            let node = lab.lay_out_node(number, programs.clone())?;
            lab.nodes.push(node);
        }
        Ok(lab)
    }

    fn lay_out_node(&self, number: u8, programs: Programs) -> Result<Node> {
        let name = format!("n{}", number + 1);
        let families = self.options.families;
        let host = FIRST_NODE_HOST + number;
        let netns = Netns::create(&name)?;
        plug(&netns, MANAGEMENT_NIC, host, &self.switch, MANAGEMENT)?;
        plug(&netns, TUNNEL_NIC, host, &self.switch, TUNNEL)?;
        let management = families.host(MANAGEMENT, host);
        netns.ip(management
            .values()
            .map(|address| add_address(MANAGEMENT_NIC, *address)))?;
        let place = Place {
            netns,
            management,
            tunnel: families.host(TUNNEL, host),
            tunnel_mac: TUNNEL.mac(host),
            tunnels: self.options.tunnels,
            supervision: self.options.supervision,
            directory: subdirectory(self.directory.path(), &name)?,
        };
        Node::start(&name, place, programs, &self.southbound()?)
    }

    async fn ready(&mut self) -> Result<()> {
        if self.options.members == 0 {
            self.central.ready().await?;
        }
        if let Some(api_server) = &mut self.api_server {
            api_server.ready().await?;
        }
        if let Some(api_server) = self
            .api_server
            .as_ref()
            .filter(|_| self.options.members > 0)
        {
            self.central.ready_members(api_server).await?;
        }
        for node in &self.nodes {
            node.ready().await?;
        }
        Ok(())
    }

    /// The lab's files: a directory per part, with sockets and logs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The families of the lab's networks.
    pub const fn families(&self) -> Families {
        self.options.families
    }

    /// The version of OVN.
    pub const fn version(&self) -> OvnVersion {
        self.options.version
    }

    /// NB, SB and northd.
    pub const fn central(&self) -> &Central {
        &self.central
    }

    /// Runs `ovn-nbctl`.
    ///
    /// # Errors
    /// What it says.
    pub fn nbctl<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.central.nbctl(arguments)
    }

    /// Runs `ovn-nbctl` with a command per line, as one transaction ([`script`]).
    ///
    /// # Errors
    /// What it says.
    pub fn nb(&self, text: &str) -> Result<String> {
        self.central.nbctl(script(text))
    }

    /// Runs `ovn-sbctl`.
    ///
    /// # Errors
    /// What it says.
    pub fn sbctl<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.central.sbctl(arguments)
    }

    /// Waits until every chassis has installed what NB says now.
    ///
    /// # Errors
    /// It did not happen in 20 seconds.
    pub fn sync(&self) -> Result<()> {
        self.nbctl(["--timeout=20", "--wait=hv", "sync"]).map(drop)
    }

    /// A node by its name.
    ///
    /// # Errors
    /// The lab has no such node.
    pub fn node(&self, name: &str) -> Result<&Node> {
        self.nodes
            .iter()
            .find(|node| node.name() == name)
            .with_context(|| format!("the lab has no node {name}"))
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The API server.
    ///
    /// # Errors
    /// The lab was started without ([`LabOptions::with_api_server`]).
    pub fn api_server(&self) -> Result<&ApiServer> {
        self.api_server
            .as_ref()
            .context("the lab has no API server")
    }

    /// NB as a node or our controller reaches it.
    ///
    /// # Errors
    /// The lab has no addresses.
    pub fn northbound(&self) -> Result<String> {
        match self.members() {
            [] => self.remote(crate::ovn::NB_PORT),
            _ => Ok(self.central.nb_socket()),
        }
    }

    /// SB as a node reaches it.
    ///
    /// # Errors
    /// The lab has no addresses.
    pub fn southbound(&self) -> Result<String> {
        match self.members() {
            [] => self.remote(SB_PORT),
            _ => Ok(self.central.sb_socket()),
        }
    }

    fn remote(&self, port: u16) -> Result<String> {
        let addresses = self.options.families.host(MANAGEMENT, CENTRAL_HOST);
        let address = addresses.values().next().context("a lab has addresses")?;
        Ok(format!("tcp:{}", std::net::SocketAddr::new(*address, port)))
    }

    /// A host on the management network that knows nothing of pods, and its addresses.
    ///
    /// # Errors
    /// There is one already.
    pub fn outside(&self) -> Result<(Netns, DualStack<IpAddr>)> {
        let host = Netns::create("outside")?;
        plug(
            &host,
            MANAGEMENT_NIC,
            OUTSIDE_HOST,
            &self.switch,
            MANAGEMENT,
        )?;
        let addresses = self.options.families.host(MANAGEMENT, OUTSIDE_HOST);
        host.ip(addresses
            .values()
            .map(|address| add_address(MANAGEMENT_NIC, *address)))?;
        Ok((host, addresses))
    }

    /// The two bridges, to which central part and nodes are plugged.
    pub const fn switch(&self) -> &Netns {
        &self.switch
    }

    /// The addresses of `central` or a node on the management network.
    ///
    /// # Errors
    /// The lab has no such host.
    pub fn addresses_of(&self, host: &str) -> Result<DualStack<IpAddr>> {
        Ok(self.options.families.host(MANAGEMENT, self.station(host)?))
    }

    /// The number of the central part or a node on both networks.
    ///
    /// # Errors
    /// The lab has no such station.
    pub fn station(&self, name: &str) -> Result<u8> {
        if name == CENTRAL {
            return Ok(CENTRAL_HOST);
        }
        let mut nodes = self.nodes.iter();
        let number = nodes.position(|node| node.name() == name);
        let number = number.with_context(|| format!("the lab has no station {name}"))?;
        Ok(FIRST_NODE_HOST + u8::try_from(number)?)
    }

    /// Every namespace but those of pods.
    fn namespaces(&self) -> impl Iterator<Item = &Netns> {
        let nodes = self.nodes.iter().map(Node::netns);
        let members = self.members().iter().map(Member::netns);
        [self.central.netns(), &self.switch]
            .into_iter()
            .chain(members)
            .chain(nodes)
    }
}

/// Removes the directories whose makers were killed.
fn sweep(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if maker.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            Disk::forget(&path.join("central"));
            // another lab may do the same now
            drop(fs::remove_dir_all(&path));
        }
    }
    Ok(())
}

fn subdirectory(parent: &Path, name: &str) -> Result<PathBuf> {
    let path = parent.join(name);
    fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}
