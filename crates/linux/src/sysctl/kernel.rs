//! Settings through `/proc/sys`, on a thread inside the namespace that they belong to.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::{fs, io};

use super::{Change, Key, Settings, diff};
use crate::{Error, Namespace};

/// The values of `keys`; those that this kernel lacks are left out.
///
/// # Errors
/// When one exists and cannot be read.
pub async fn observe(namespace: &Namespace, keys: BTreeSet<Key>) -> Result<Settings, Error> {
    let read = move || {
        let values = keys.into_iter().filter_map(|key| match read(&key) {
            Ok(value) => Some(Ok((key, value))),
            Err(source) if source.kind() == ErrorKind::NotFound => None,
            Err(source) => Some(Err(Error::kernel(format!("read sysctl {key}"), source))),
        });
        values.collect()
    };
    namespace.run(read).await?
}

/// Gives one setting its value.
///
/// # Errors
/// When the kernel refuses it.
pub async fn apply(namespace: &Namespace, change: Change) -> Result<(), Error> {
    let write = move || {
        let Change { key, value } = change;
        let result = fs::write(path(&key), &value);
        result.map_err(|source| Error::kernel(format!("set sysctl {key} to {value}"), source))
    };
    namespace.run(write).await?
}

/// Gives the settings their desired values. Returns the number of changes.
///
/// # Errors
/// As [`observe`] and [`apply`].
pub async fn reconcile(namespace: &Namespace, desired: &Settings) -> Result<usize, Error> {
    let actual = observe(namespace, desired.keys().cloned().collect()).await?;
    let changes = diff(desired, &actual);
    let made = changes.len();
    for change in changes {
        apply(namespace, change).await?;
    }
    Ok(made)
}

fn read(key: &Key) -> io::Result<String> {
    Ok(fs::read_to_string(path(key))?.trim().to_owned())
}

fn path(key: &Key) -> PathBuf {
    PathBuf::from("/proc/sys").join(&key.0)
}
