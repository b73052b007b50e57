//! Taking a cluster down.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{cgroup, check, directory::Directory, network};

/// Takes down what is left of a cluster, whichever process made it and however far it came:
/// processes, control groups, namespaces, settings of the kernel, files. Nothing to do is fine.
///
/// # Errors
/// The first thing that cannot be removed; run it again.
pub async fn down(directory: &Directory) -> Result<()> {
    check::root()?;
    let lock = directory.lock()?;
    clear(directory).await?;
    directory.unlock(lock)
}

/// The same for who holds the lock.
pub(crate) async fn clear(directory: &Directory) -> Result<()> {
    cgroup::remove().await?;
    network::remove()?;
    // a damaged record is no reason to leave the rest
    if let Ok(Some(record)) = directory.record() {
        record.sysctls.restore()?;
    }
    remove(directory.path())
}

/// Every mount lay in a namespace that ended with the node's first process.
fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    if let Some(mount) = below
        .clone()
        .find(|mount| Path::new(mount).starts_with(path))
    {
        anyhow::bail!("{mount} is still mounted: unmount it, and try again");
    }
    fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
}
