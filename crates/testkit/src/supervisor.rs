//! A node's Open vSwitch as a cluster has it: run by our `kube-ovn-central vswitch`.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parking_lot::Mutex;

use crate::{bin::bin, command::Invocation, netns::Netns, ovn::Programs, process::Process};

/// What the supervisor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Child {
    /// `ovsdb-server` of the node.
    Database,
    /// `ovs-vswitchd`.
    Switch,
    /// `ovn-controller`.
    Controller,
}

/// The supervisor of one node.
#[derive(Debug)]
pub struct Supervisor {
    directory: PathBuf,
    process: Mutex<Process>,
}

/// What a supervisor is told about its node.
#[derive(Debug)]
pub(crate) struct Station<'a> {
    pub(crate) name: &'a str,
    pub(crate) netns: &'a Netns,
    pub(crate) address: IpAddr,
    pub(crate) southbound: &'a str,
    /// For all its files.
    pub(crate) directory: &'a Path,
}

/// The programs that a supervisor finds by `PATH`.
const PROGRAMS: [&str; 5] = [
    "ovsdb-tool",
    "ovsdb-server",
    "ovs-vswitchd",
    "ovn-controller",
    "ovs-dpctl",
];

// === impl Child ===

impl Child {
    /// All, in the order of their start.
    pub const ALL: [Self; 3] = [Self::Database, Self::Switch, Self::Controller];

    /// The name of its program.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Database => "ovsdb-server",
            Self::Switch => "ovs-vswitchd",
            Self::Controller => "ovn-controller",
        }
    }
}

// === impl Supervisor ===

impl Supervisor {
    /// Starts it on these programs of Open vSwitch and OVN.
    ///
    /// # Errors
    /// It was not built.
    pub(crate) fn start(station: &Station<'_>, programs: &Programs) -> Result<Self> {
        let directory = station.directory;
        let folder = |option: &str| format!("--{option}={}", directory.display());
        let program = Invocation::new(bin("kube-ovn-central")?)
            .in_netns(station.netns.path())
            .env("PATH", path(programs, &directory.join("bin"))?)
            .env("RUST_BACKTRACE", "1")
            .env("NO_COLOR", "1")
            .args(["vswitch", "--datapath-type=netdev"])
            .arg(format!("--node-name={}", station.name))
            .arg(format!("--address={}", station.address))
            .arg(format!("--ovn-remote={}", station.southbound))
            .arg(folder("database-directory"))
            .arg(folder("run-directory"))
            .arg(folder("ovn-run-directory"))
            .arg(format!(
                "--schema-directory={}",
                programs.schema("").display()
            ));
        // the lab's nodes are chassis by their own names
        fs::write(directory.join("system-id.conf"), station.name)?;
        Ok(Self {
            process: Mutex::new(program.spawn("vswitch", directory)?),
            directory: directory.to_owned(),
        })
    }

    /// Starts it as it was started; one that runs is killed.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_again(&self) -> Result<()> {
        self.process.lock().start_again()
    }

    /// Asks it to end, as a kubelet does with a pod, and waits until it has.
    ///
    /// # Errors
    /// It does not run.
    pub fn stop(&self) -> Result<()> {
        self.process.lock().end()
    }

    /// The process id of a child.
    ///
    /// # Errors
    /// It has not been started yet.
    pub fn id(&self, child: Child) -> Result<Pid> {
        let file = self.directory.join(format!("{}.pid", child.program()));
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{} has not been started", child.program()))?;
        Ok(Pid::from_raw(text.trim().parse()?))
    }

    /// Sends a signal to a child.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, child: Child, signal: Signal) -> Result<()> {
        kill(self.id(child)?, signal).with_context(|| format!("cannot signal {}", child.program()))
    }
}

/// A `PATH` that begins with a folder of scripts, one for each program that is not the host's.
fn path(programs: &Programs, folder: &Path) -> Result<String> {
    let usual = std::env::var("PATH").context("there is no PATH")?;
    fs::create_dir(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for name in PROGRAMS {
        let line = programs.command(name)?.command_line();
        let words: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
        if words.len() == 1 {
            continue;
        }
        let script = folder.join(name);
        fs::write(
            &script,
            format!("#!/bin/sh\nexec '{}' \"$@\"\n", words.join("' '")),
        )?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    }
    Ok(format!("{}:{usual}", folder.display()))
}
