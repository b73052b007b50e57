//! The directory of a cluster: who is in it, and where everything lies.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use testkit::Families;

use crate::{REMEDY, sysctl::Sysctls};

/// The directory of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
}

/// What another process must know to find a cluster again and to take it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// How many nodes it has, `n1`, `n2`...
    pub(crate) nodes: u8,
    /// The families of its networks.
    #[serde(with = "families")]
    pub(crate) families: Families,
    /// What the host's kernel was told before the cluster's programs told it something else.
    pub(crate) sysctls: Sysctls,
}

/// Keeps other processes from bringing up or taking down the same cluster.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

// === impl Directory ===

impl Directory {
    /// A directory that may or may not hold a cluster.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Certificates, kubeconfigs and logs of the control plane, and its etcd.
    pub fn control(&self) -> PathBuf {
        self.path.join("control")
    }

    /// What a node reads, writes and logs.
    pub fn node(&self, name: &str) -> PathBuf {
        self.path.join("nodes").join(name)
    }

    /// Image archives; every node sees it as `/mnt`.
    pub fn archives(&self) -> PathBuf {
        self.path.join("archives")
    }

    /// What a client program of the administrator keeps between its runs.
    pub(crate) fn client(&self, name: &str) -> PathBuf {
        self.path.join("clients").join(name)
    }

    /// A kubeconfig that may do everything, usable in the namespaces of the cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.control().join("admin.kubeconfig")
    }

    /// The record, when a cluster was begun here.
    pub(crate) fn record(&self) -> Result<Option<Record>> {
        let path = self.record_path();
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let record = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged: {REMEDY}", path.display()))?;
        Ok(Some(record))
    }

    /// Writes the record, before anything else is made.
    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        create(&self.path)?;
        let path = self.record_path();
        let partial = path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec_pretty(record)?)
            .and_then(|()| fs::rename(&partial, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes the lock, which lies beside the directory.
    ///
    /// # Errors
    /// Another process holds it.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.lock_path();
        create(path.parent().context("a cluster's directory is not /")?)?;
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "another process brings the cluster in {} up or down: wait for it",
                self.path.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Gives the lock back where nothing is left to protect: its file goes, too.
    pub(crate) fn unlock(&self, lock: Lock) -> Result<()> {
        drop(lock);
        fs::remove_file(self.lock_path()).context("cannot remove the lock")
    }

    /// Beside the directory, which comes and goes while the lock is held.
    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    fn record_path(&self) -> PathBuf {
        self.path.join("cluster.json")
    }
}

/// Makes a directory and those above it.
pub(crate) fn create(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Writes a file, and makes the directories above it.
pub(crate) fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    if let Some(parent) = path.parent() {
        create(parent)?;
    }
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

/// [`Families`] as `v4`, `v6` or `dual`.
mod families {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use testkit::Families;

    const NAMES: [(Families, &str); 3] = [
        (Families::V4, "v4"),
        (Families::V6, "v6"),
        (Families::Dual, "dual"),
    ];

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(value: &Families, to: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(families, _)| families == value);
        to.serialize_str(name.map_or("", |(_, name)| name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Families, D::Error> {
        let text = String::deserialize(from)?;
        let found = NAMES.iter().find(|(_, name)| *name == text);
        let unknown = || D::Error::custom(format!("`{text}` is no choice of families"));
        found.map(|(families, _)| *families).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            nodes: 2,
            families: Families::Dual,
            sysctls: Sysctls::default(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(temporary.path().join("cluster"));
        assert_eq!(directory.record().unwrap(), None);
        directory.write_record(&record()).unwrap();
        assert_eq!(directory.record().unwrap(), Some(record()));
    }

    #[test]
    fn a_damaged_record_names_the_remedy() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(temporary.path());
        write(&temporary.path().join("cluster.json"), "{").unwrap();
        let error = directory.record().unwrap_err();
        assert!(error.to_string().contains("cluster down"), "{error}");
    }

    #[test]
    fn two_processes_cannot_hold_the_lock() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Directory::new(temporary.path().join("cluster"));
        let lock = directory.lock().unwrap();
        assert!(directory.lock().is_err());
        drop(lock);
        assert!(directory.lock().is_ok());
    }
}
