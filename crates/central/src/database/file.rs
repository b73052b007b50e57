//! The file of a database: what it is, how it is made, and how it goes.

use std::{
    ffi::OsString,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use super::{Database, DatabaseError};
use crate::program::{Program, ProgramError};

/// What `ovsdb-tool check-cluster` says of a file that waits to be let in.
const EMPTY: &str = "all logs are empty";

/// What lies where the file should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// No server can use it; why.
    Spoiled(String),
    Member {
        cluster: String,
        server: String,
        /// Whether it has yet to be let in.
        is_joining: bool,
        /// Whether it is for our address.
        is_ours: bool,
    },
}

// === impl Found ===

impl Found {
    /// The cluster of a file that can be used.
    pub(crate) fn cluster(&self) -> Option<&str> {
        match self {
            Self::Member { cluster, .. } => Some(cluster),
            Self::Nothing | Self::Spoiled(_) => None,
        }
    }

    /// Whether it is for our address.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(self, Self::Member { is_ours: true, .. })
    }
}

// === impl Database ===

impl Database {
    /// Whether there is a file.
    pub(crate) fn exists(&self) -> bool {
        self.file.exists()
    }

    /// Reads the file.
    pub(crate) async fn look(&self) -> Found {
        if !self.exists() {
            return Found::Nothing;
        }
        match self.read().await {
            Ok(found) => found,
            Err(error) => Found::Spoiled(error.to_string()),
        }
    }

    async fn read(&self) -> Result<Found, ProgramError> {
        let is_joining = match tool("check-cluster").arg(&self.file).finish().await {
            Ok(_consistent) => false,
            Err(ProgramError::Failed { said, .. }) if said.contains(EMPTY) => true,
            Err(error) => return Err(error),
        };
        Ok(Found::Member {
            cluster: tool("db-cid").arg(&self.file).finish().await?,
            server: tool("db-sid").arg(&self.file).finish().await?,
            is_joining,
            is_ours: tool("db-local-address").arg(&self.file).finish().await? == self.member,
        })
    }

    /// Makes the file when there is none. One that belongs to another address of this host is
    /// made anew with the same content, as a cluster of its own.
    ///
    /// # Errors
    /// The file cannot be made, or is no member of a cluster.
    pub(crate) async fn prepare(&self) -> Result<(), DatabaseError> {
        match self.look().await {
            Found::Nothing | Found::Spoiled(_) => self.create(&self.schema).await,
            found if found.is_ours() => Ok(()),
            Found::Member { .. } => self.renew().await,
        }
    }

    /// Makes a new cluster of one with the content of the file.
    ///
    /// # Errors
    /// The file cannot be read or made.
    pub(crate) async fn renew(&self) -> Result<(), DatabaseError> {
        let content = self.beside("content");
        remove(&content)?;
        let extract = tool("cluster-to-standalone").arg(&content);
        extract.arg(&self.file).finish().await?;
        self.create(&content).await?;
        remove(&content)
    }

    /// Makes a new and empty cluster of one.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(crate) async fn begin(&self) -> Result<(), DatabaseError> {
        self.create(&self.schema).await
    }

    /// Makes a file that asks the members on these hosts to be let in.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(crate) async fn join(&self, cluster: &str, hosts: &[IpAddr]) -> Result<(), DatabaseError> {
        let draft = self.beside("draft");
        remove(&draft)?;
        let join = Program::new("ovsdb-tool").arg(format!("--cid={cluster}"));
        join.arg("join-cluster")
            .arg(&draft)
            .arg(self.kind.database)
            .arg(&self.member)
            .args(hosts.iter().map(|host| self.member_at(*host)))
            .finish()
            .await?;
        self.put(&draft)
    }

    /// Removes the file.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), DatabaseError> {
        remove(&self.file)
    }

    /// Moves a file that cannot be used out of the way; an older one goes.
    ///
    /// # Errors
    /// It cannot be moved.
    pub(crate) fn set_aside(&self) -> Result<(), DatabaseError> {
        let aside = self.beside("spoiled");
        fs::rename(&self.file, &aside).map_err(|source| DatabaseError::File {
            path: self.file.clone(),
            done: "moved aside",
            source,
        })
    }

    /// Makes a cluster of one from a schema or from a database, and then the file in one step.
    async fn create(&self, content: &Path) -> Result<(), DatabaseError> {
        let draft = self.beside("draft");
        remove(&draft)?;
        let create = tool("create-cluster").arg(&draft).arg(content);
        create.arg(&self.member).finish().await?;
        self.put(&draft)
    }

    fn put(&self, draft: &Path) -> Result<(), DatabaseError> {
        fs::rename(draft, &self.file).map_err(|source| DatabaseError::File {
            path: self.file.clone(),
            done: "put in place",
            source,
        })
    }

    fn beside(&self, extension: &str) -> PathBuf {
        let mut path = OsString::from(&self.file);
        path.push(".");
        path.push(extension);
        path.into()
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
