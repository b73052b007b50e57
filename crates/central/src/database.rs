//! One of OVN's two databases: its file, its server, and whether the server leads.
//!
//! The file is a cluster of one member from the start, so that it can grow, and because a client
//! can resume its monitor only on a cluster.

use std::{
    ffi::OsString,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use kit::readiness::Condition;
use ovsdb::{Client, Columns, Options, Remote};

use crate::{
    args::{CentralArgs, ProgramArgs},
    program::{Program, ProgramError},
};

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
    /// `ptcp:6641:[::]`
    listen: String,
    /// `tcp:[10.0.0.1]:6643`, which the file keeps.
    member: String,
    tls: Vec<String>,
}

/// Why a database cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error(transparent)]
    Program(#[from] ProgramError),
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
            listen: format!("p{scheme}:{port}:{}", bracketed(args.listen_address)),
            member: format!("{scheme}:{}:{member_port}", bracketed(args.address)),
            tls: args.programs.tls_options(),
        }
    }

    /// Makes the file when there is none. One that belongs to another address of this host is
    /// made anew with the same content.
    ///
    /// # Errors
    /// The file cannot be made, or is no member of a cluster.
    pub(crate) async fn prepare(&self) -> Result<(), DatabaseError> {
        let name = self.kind.name;
        if !self.file.exists() {
            tracing::info!(database = name, file = %self.file.display(), "Making a new cluster");
            return self.create(&self.schema).await;
        }
        let address = self.address().await?;
        if address == self.member {
            return Ok(());
        }
        tracing::warn!(database = name, from = %address, to = %self.member, "Moving the cluster");
        let content = self.beside("content");
        remove(&content)?;
        let extract = tool("cluster-to-standalone").arg(&content);
        extract.arg(&self.file).finish().await?;
        self.create(&content).await?;
        remove(&content)
    }

    /// Whether the file exists and belongs to our address.
    ///
    /// # Errors
    /// The file is no member of a cluster.
    pub(crate) async fn is_here(&self) -> Result<bool, DatabaseError> {
        Ok(self.file.exists() && self.address().await? == self.member)
    }

    async fn address(&self) -> Result<String, ProgramError> {
        tool("db-local-address").arg(&self.file).finish().await
    }

    /// The cluster that the file belongs to; `None` where there is no file.
    ///
    /// # Errors
    /// The file is no member of a cluster.
    pub(crate) async fn cluster_id(&self) -> Result<Option<String>, DatabaseError> {
        if !self.file.exists() {
            return Ok(None);
        }
        Ok(Some(tool("db-cid").arg(&self.file).finish().await?))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), DatabaseError> {
        remove(&self.file)
    }

    /// `nb` or `sb`.
    pub(crate) const fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Makes a cluster of one from a schema or from a database, and then the file in one step.
    async fn create(&self, content: &Path) -> Result<(), DatabaseError> {
        let draft = self.beside("draft");
        remove(&draft)?;
        let create = tool("create-cluster").arg(&draft).arg(content);
        create.arg(&self.member).finish().await?;
        fs::rename(&draft, &self.file).map_err(|source| DatabaseError::File {
            path: self.file.clone(),
            done: "put in place",
            source,
        })
    }

    /// Brings the database that is served to the schema of the programs, which only a server can do
    /// to a cluster.
    ///
    /// # Errors
    /// The server refuses, as it does when content would be lost.
    pub(crate) async fn convert(&self) -> Result<(), DatabaseError> {
        let client = |command: &str| {
            Program::new("ovsdb-client")
                .arg("--timeout=60")
                .arg(command)
                .arg(self.remote().to_string())
                .arg(&self.schema)
        };
        if client("needs-conversion").finish().await? == "yes" {
            tracing::info!(
                database = self.kind.name,
                "Converting to the schema of this version"
            );
            client("convert").finish().await?;
        }
        Ok(())
    }

    fn beside(&self, extension: &str) -> PathBuf {
        let mut path = OsString::from(&self.file);
        path.push(".");
        path.push(extension);
        path.into()
    }

    /// The server.
    pub(crate) fn server(&self) -> Program {
        Program::new("ovsdb-server")
            .titled(self.kind.name)
            .directory("OVS_RUNDIR", &self.run_directory)
            .arg(format!("--remote=p{}", self.remote()))
            .arg(format!("--remote={}", self.listen))
            .path_option("--unixctl", &self.control())
            .path_option("--pidfile", &self.run_file("pid"))
            .args(self.tls.iter().cloned())
            .arg(&self.file)
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

    /// Keeps `condition` as the server leads or does not, for ever.
    pub(crate) async fn follow(self, condition: Condition) {
        let options = Options::new(vec![self.remote()], self.kind.database)
            .table(self.kind.global, Columns::All)
            .leader_only();
        let (client, driver) = Client::new(options);
        tokio::join!(
            driver.run(),
            follow(&client, "no leader answers", &condition)
        );
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

fn tool(command: &str) -> Program {
    Program::new("ovsdb-tool").arg(command)
}

/// Removes what an interrupted run may have left.
fn remove(path: &Path) -> Result<(), DatabaseError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DatabaseError::File {
            path: path.to_owned(),
            done: "removed",
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// An address as OVSDB's tools print it back: only IPv6 has brackets.
fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
