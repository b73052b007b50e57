//! One of OVN's two databases: its file and its server.
//!
//! The file is a member of a cluster from the start, so that it can grow, and because a client
//! can resume its monitor only on a cluster.

mod control;
mod file;

use std::{io, net::IpAddr, path::PathBuf};

use kit::readiness::Condition;
use ovsdb::{Client, Remote};

use crate::{
    args::{CentralArgs, ProgramArgs},
    program::{Program, ProgramError},
    unixctl::UnixctlError,
    watchdog::Control,
};

pub(crate) use file::Found;

/// What tells the two databases apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// As logs, readiness and file names have it.
    pub(crate) name: &'static str,
    pub(crate) database: &'static str,
    schema: &'static str,
    /// The table with one row.
    global: &'static str,
}

/// The northbound database: what the controller wants.
pub(crate) const NORTHBOUND: Kind = Kind {
    name: "nb",
    database: "OVN_Northbound",
    schema: "ovn/ovn-nb.ovsschema",
    global: "NB_Global",
};

/// The southbound database: what northd makes of it.
pub(crate) const SOUTHBOUND: Kind = Kind {
    name: "sb",
    database: "OVN_Southbound",
    schema: "ovn/ovn-sb.ovsschema",
    global: "SB_Global",
};

/// A database of this host.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    kind: Kind,
    file: PathBuf,
    schema: PathBuf,
    run_directory: PathBuf,
    /// `tcp` or `ssl`.
    scheme: &'static str,
    port: u16,
    member_port: u16,
    /// `ptcp:6641:[::]`
    listen: String,
    /// `tcp:10.0.0.1:6643`, which the file keeps.
    member: String,
    tls: Vec<String>,
}

/// Who may reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    ToThisHost,
    ToAll,
}

/// Why a database cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Control(#[from] UnixctlError),
    #[error("the server's answer about its cluster is not understood: {0}")]
    Answer(String),
    #[error("{} cannot be {done}", path.display())]
    File {
        path: PathBuf,
        done: &'static str,
        source: io::Error,
    },
}

// === impl Database ===

impl Database {
    pub(crate) fn new(kind: Kind, args: &CentralArgs) -> Self {
        let (port, member_port) = match kind.name {
            "nb" => (args.nb_port, args.nb_cluster_port),
            _ => (args.sb_port, args.sb_cluster_port),
        };
        let ProgramArgs {
            schema_directory, ..
        } = &args.programs;
        let scheme = args.programs.scheme();
        Self {
            kind,
            file: args
                .database_directory
                .join(format!("ovn{}_db.db", kind.name)),
            schema: schema_directory.join(kind.schema),
            run_directory: args.run_directory.clone(),
            scheme,
            port,
            member_port,
            listen: format!("p{scheme}:{port}:{}", bracketed(args.listen_address)),
            member: format!("{scheme}:{}:{member_port}", bracketed(args.address)),
            tls: args.programs.tls_options(),
        }
    }

    /// `nb` or `sb`.
    pub(crate) const fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Whether northd makes its content.
    pub(crate) fn is_compiled(&self) -> bool {
        self.kind.name == SOUTHBOUND.name
    }

    /// The server, which other hosts may reach as well; see also [`Database::listen`].
    pub(crate) fn server(&self, shown: Shown) -> Program {
        let listen = format!("--remote={}", self.listen);
        Program::new("ovsdb-server")
            .titled(self.kind.name)
            .directory("OVS_RUNDIR", &self.run_directory)
            .arg(format!("--remote=p{}", self.remote()))
            .args((shown == Shown::ToAll).then_some(listen))
            .path_option("--unixctl", &self.control())
            .control(Control::At(self.control()))
            .path_option("--pidfile", &self.run_file("pid"))
            .args(self.tls.iter().cloned())
            .arg(&self.file)
    }

    /// How programs of another host reach its server there.
    pub(crate) fn remote_at(&self, host: IpAddr) -> String {
        format!("{}:{}:{}", self.scheme, bracketed(host), self.port)
    }

    /// How members know the member of a host.
    pub(crate) fn member_at(&self, host: IpAddr) -> String {
        format!("{}:{}:{}", self.scheme, bracketed(host), self.member_port)
    }

    /// How programs of this host reach it.
    pub(crate) fn remote(&self) -> Remote {
        Remote::Unix(self.run_file("sock"))
    }

    /// Its control socket, which has a name of its own: both servers are the same program.
    fn control(&self) -> PathBuf {
        self.run_file("ctl")
    }

    fn run_file(&self, extension: &str) -> PathBuf {
        let name = format!("ovn{}_db.{extension}", self.kind.name);
        self.run_directory.join(name)
    }
}

/// Keeps `condition` as the client is connected or not, for ever; `why` says what is missing.
pub(crate) async fn follow(client: &Client, why: &'static str, condition: &Condition) {
    let mut versions = client.replica().watch();
    loop {
        if versions.borrow_and_update().connected {
            condition.met();
        } else {
            condition.unmet(why);
        }
        if versions.changed().await.is_err() {
            return;
        }
    }
}

/// An address as OVSDB's tools print it back: only IPv6 has brackets.
fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
