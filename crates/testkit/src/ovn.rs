//! OVN's programs in two versions, and its central part: NB, SB and northd.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use assets::DebianRoot;

use crate::{
    ApiServer, Database, Member, command::Invocation, lab::PATIENCE, netns::Netns,
    process::Processes, wait_until,
};

/// Where the central part listens: NB and SB, as in a cluster.
pub const NB_PORT: u16 = 6641;
/// See [`NB_PORT`].
pub const SB_PORT: u16 = 6642;

/// The OVN to run the lab on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OvnVersion {
    /// That of Debian 12, with OVS 3.1.
    V23_03,
    /// That of Debian 13, with OVS 3.5.
    V25_03,
}

/// How to start the programs of one version.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The host's own when absent.
    root: Option<DebianRoot>,
}

/// NB, SB and northd in the central namespace.
#[derive(Debug)]
pub struct Central {
    netns: Netns,
    directory: PathBuf,
    programs: Programs,
    processes: Processes,
    /// Hosts that have the databases in place of this one.
    members: Vec<Member>,
}

// === impl OvnVersion ===

impl OvnVersion {
    /// Both, oldest first.
    pub const ALL: [Self; 2] = [Self::V23_03, Self::V25_03];

    /// As `ovn-northd --version` prints it.
    pub const fn number(self) -> &'static str {
        match self {
            Self::V23_03 => "23.03",
            Self::V25_03 => "25.03",
        }
    }
}

// === impl Programs ===

impl Programs {
    /// Finds the programs of a version.
    ///
    /// # Errors
    /// They are not installed, or of another version.
    pub fn find(version: OvnVersion) -> Result<Self> {
        assets::packages()?;
        let root = match version {
            OvnVersion::V23_03 => assets::bookworm_root()?,
            OvnVersion::V25_03 => Some(assets::trixie_root()?),
        };
        let programs = Self { root };
        let printed = programs.command("ovn-northd")?.arg("--version").read()?;
        ensure!(
            printed.contains(version.number()),
            "ovn-northd is not {} but {printed}",
            version.number()
        );
        Ok(programs)
    }

    /// A program by its name.
    ///
    /// # Errors
    /// The Debian root lacks it.
    pub fn command(&self, name: &str) -> Result<Invocation> {
        match &self.root {
            None => Ok(Invocation::new(name)),
            Some(root) => Ok(Invocation::of(root.program(name)?)),
        }
    }

    /// A schema, as `ovn/ovn-nb.ovsschema`.
    pub fn schema(&self, file: &str) -> PathBuf {
        match &self.root {
            None => Path::new("/usr/share").join(file),
            Some(root) => root.share(file),
        }
    }

    /// Makes an empty standalone database.
    ///
    /// # Errors
    /// What `ovsdb-tool` says.
    pub fn create_database(&self, file: &Path, schema: &str) -> Result<()> {
        let tool = self
            .command("ovsdb-tool")?
            .arg("create")
            .arg(file)
            .arg(self.schema(schema));
        tool.read().map(drop)
    }
}

// === impl Central ===

impl Central {
    /// Starts NB and SB; northd follows in [`Central::ready`].
    ///
    /// # Errors
    /// A program cannot be started.
    pub(crate) fn start(netns: Netns, programs: Programs, directory: PathBuf) -> Result<Self> {
        let central = Self::without_databases(netns, programs, directory)?;
        central.start_database("nb", "ovn/ovn-nb.ovsschema", NB_PORT)?;
        central.start_database("sb", "ovn/ovn-sb.ovsschema", SB_PORT)?;
        Ok(central)
    }

    /// The databases will be on other hosts ([`Central::add`]).
    ///
    /// # Errors
    /// None; as [`Central::start`].
    #[expect(clippy::unnecessary_wraps, reason = "in place of Central::start")]
    pub(crate) fn without_databases(
        netns: Netns,
        programs: Programs,
        directory: PathBuf,
    ) -> Result<Self> {
        Ok(Self {
            netns,
            directory,
            programs,
            processes: Processes::default(),
            members: Vec::new(),
        })
    }

    /// A host that has the databases; it starts in [`Central::ready_members`].
    pub(crate) fn add(&mut self, member: Member) {
        self.members.push(member);
    }

    /// One member of a raft cluster: a standalone server cannot resume a monitor (T8 of the
    /// measurements), and users run clusters.
    fn start_database(&self, name: &str, schema: &str, port: u16) -> Result<()> {
        let file = self.file(name, "db");
        self.programs
            .command("ovsdb-tool")?
            .arg("create-cluster")
            .arg(&file)
            .arg(self.programs.schema(schema))
            .arg(format!("unix:{}", self.file(name, "raft").display()))
            .read()?;
        let server = self
            .programs
            .command("ovsdb-server")?
            .arg(format!(
                "--remote=punix:{}",
                self.file(name, "sock").display()
            ))
            .arg(format!("--remote=ptcp:{port}:[::]"))
            .arg(format!("--unixctl={}", self.file(name, "ctl").display()))
            .arg(&file);
        self.spawn(name, &server)
    }

    fn start_northd(&self) -> Result<()> {
        let northd = self
            .programs
            .command("ovn-northd")?
            .arg(format!("--ovnnb-db={}", self.nb_socket()))
            .arg(format!("--ovnsb-db={}", self.sb_socket()))
            .arg(format!(
                "--unixctl={}",
                self.file("northd", "ctl").display()
            ));
        self.spawn("northd", &northd)
    }

    fn spawn(&self, name: &str, program: &Invocation) -> Result<()> {
        let program = program.clone().in_netns(self.netns.path());
        self.processes.spawn(name, &program, &self.directory)
    }

    /// Starts northd once both databases listen (it would wait a second before it tries again),
    /// and waits until it has compiled the empty NB.
    ///
    /// # Errors
    /// It has not after [`PATIENCE`].
    pub(crate) async fn ready(&self) -> Result<()> {
        for name in ["nb", "sb"] {
            let socket = self.file(name, "sock");
            wait_until("the databases listen", PATIENCE, async || {
                ensure!(socket.exists(), "{} is absent", socket.display());
                Ok(())
            })
            .await?;
        }
        self.start_northd()?;
        self.answers().await
    }

    /// Creates the members' pods, starts all at once, and waits until northd has compiled the empty
    /// NB.
    ///
    /// # Errors
    /// It has not after [`PATIENCE`].
    pub(crate) async fn ready_members(&self, api_server: &ApiServer) -> Result<()> {
        for member in &self.members {
            member.create_pod(api_server).await?;
        }
        for member in &self.members {
            member.start()?;
        }
        self.answers().await
    }

    async fn answers(&self) -> Result<()> {
        wait_until("northd answers", PATIENCE, async || {
            self.nbctl(["--timeout=1", "--wait=sb", "sync"]).map(drop)
        })
        .await
    }

    /// Its programs: `nb`, `sb`, `northd`.
    pub(crate) const fn processes(&self) -> &Processes {
        &self.processes
    }

    /// The files of the databases, and the logs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The namespace that NB, SB, the API server and our controller share.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The hosts that have the databases, if there are some.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// NB by its unix socket, as `--db` takes it; by the members' addresses where there are some.
    pub fn nb_socket(&self) -> String {
        self.socket(Database::Northbound)
    }

    /// SB, likewise.
    pub fn sb_socket(&self) -> String {
        self.socket(Database::Southbound)
    }

    fn socket(&self, database: Database) -> String {
        let remotes = self.members.iter().map(|member| member.remote(database));
        let remotes: Vec<_> = remotes.collect();
        if remotes.is_empty() {
            return format!("unix:{}", self.file(database.name(), "sock").display());
        }
        remotes.join(",")
    }

    /// Runs `ovn-nbctl`.
    ///
    /// # Errors
    /// What it says.
    pub fn nbctl<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.ctl("ovn-nbctl", &self.nb_socket(), arguments)
    }

    /// Runs `ovn-sbctl`.
    ///
    /// # Errors
    /// What it says.
    pub fn sbctl<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.ctl("ovn-sbctl", &self.sb_socket(), arguments)
    }

    /// Asks `ovn-trace` about one packet: the datapath and the packet's match expression.
    ///
    /// # Errors
    /// What it says.
    pub fn trace(&self, datapath: &str, packet: &str) -> Result<String> {
        self.ctl(
            "ovn-trace",
            &self.sb_socket(),
            ["--minimal", datapath, packet],
        )
    }

    /// Runs `ovn-appctl` against northd.
    ///
    /// # Errors
    /// What it says.
    pub fn northd_appctl<A: AsRef<str>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        self.appctl("northd", arguments)
    }

    /// Runs `ovn-appctl` against NB's server.
    ///
    /// # Errors
    /// What it says.
    pub fn nb_appctl<A: AsRef<str>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        self.appctl("nb", arguments)
    }

    fn appctl<A: AsRef<str>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        self.programs
            .command("ovn-appctl")?
            .arg("-t")
            .arg(self.file(name, "ctl"))
            .args(arguments.into_iter().map(|word| word.as_ref().to_owned()))
            .read()
    }

    fn ctl<A: AsRef<str>>(
        &self,
        program: &str,
        database: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        self.programs
            .command(program)?
            .in_netns(self.netns.path())
            .arg(format!("--db={database}"))
            .args(arguments.into_iter().map(|word| word.as_ref().to_owned()))
            .read()
            .context("in the central part")
    }

    fn file(&self, name: &str, suffix: &str) -> PathBuf {
        self.directory.join(format!("{name}.{suffix}"))
    }
}
