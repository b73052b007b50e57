//! What the tunnel's link had before a bridge took it over, on disk.

use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use daemon_plan::tunnel::{Hop, Record};
use ipnet::IpNet;
use linux::LinkName;
use serde::{Deserialize, Serialize};

/// The file of one record.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {}; see that the folder is mounted", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}; see that the folder is mounted and writable", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} holds no record of a link; put the addresses back and delete it", path.display())]
    Malformed { path: PathBuf },
}

/// The record as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    nic: String,
    mac: String,
    addresses: Vec<IpNet>,
    #[serde(default)]
    routes: Vec<Via>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Via {
    destination: String,
    gateway: Option<IpAddr>,
}

const FILE: &str = "tunnel.json";

// === impl Journal ===

impl Journal {
    /// The record in `folder`, which need not exist yet.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join(FILE),
        }
    }

    /// `None` when nothing was recorded.
    pub(crate) fn read(&self) -> Result<Option<Record>, Error> {
        let path = || self.path.clone();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(Error::Read {
                    path: path(),
                    source,
                });
            }
        };
        let record = parse(&text).ok_or_else(|| Error::Malformed { path: path() })?;
        Ok(Some(record))
    }

    /// On the disk when it returns. Readers see the old record or the new one.
    pub(crate) fn write(&self, record: &Record) -> Result<(), Error> {
        self.replace(record).map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }

    fn replace(&self, record: &Record) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder)?;
        let draft = self.path.with_extension("draft");
        let entry = Entry {
            nic: record.nic.to_string(),
            mac: record.mac.to_string(),
            addresses: record.addresses.clone(),
            routes: record.routes.iter().map(Via::of).collect(),
        };
        fs::write(&draft, serde_json::to_string(&entry)?)?;
        File::open(&draft)?.sync_all()?;
        fs::rename(&draft, &self.path)?;
        File::open(folder)?.sync_all()
    }

    /// Succeeds when there is none.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Write {
                path: self.path.clone(),
                source,
            }),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn parse(text: &str) -> Option<Record> {
    let entry: Entry = serde_json::from_str(text).ok()?;
    Some(Record {
        nic: LinkName::new(entry.nic).ok()?,
        mac: entry.mac.parse().ok()?,
        addresses: entry.addresses,
        routes: entry.routes.iter().map(Via::hop).collect::<Option<_>>()?,
    })
}

// === impl Via ===

impl Via {
    fn of(hop: &Hop) -> Self {
        Self {
            destination: hop.destination.to_string(),
            gateway: hop.gateway,
        }
    }

    fn hop(&self) -> Option<Hop> {
        let destination = self.destination.parse().ok()?;
        let gateway = self.gateway;
        Some(Hop {
            destination,
            gateway,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(&folder.path().join("made"));
        assert_eq!(journal.read().unwrap(), None);
        let record = Record {
            nic: "eth1".parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            addresses: ["10.1.0.1/24", "fd01::1/64"]
                .map(|net| net.parse().unwrap())
                .into(),
            routes: [Hop {
                destination: "10.9.0.0/16".parse().unwrap(),
                gateway: "10.1.0.254".parse().ok(),
            }]
            .into(),
        };
        journal.write(&record).unwrap();
        assert_eq!(journal.read().unwrap(), Some(record));
        journal.remove().unwrap();
        journal.remove().unwrap();
        assert_eq!(journal.read().unwrap(), None);
    }

    #[test]
    fn half_a_record_is_an_error_and_not_none() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        fs::write(folder.path().join(FILE), "{\"nic\":").unwrap();
        assert!(matches!(journal.read(), Err(Error::Malformed { .. })));
    }
}
