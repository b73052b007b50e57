//! What must be so before a cluster is made; each failure is one sentence with its remedy.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::{
    sys::{statfs, statvfs::statvfs},
    unistd::geteuid,
};

use crate::{REMEDY, cgroup, directory::Directory, network};

/// What two nodes with the images of the chart take, in GiB.
const SPACE_GIB: u64 = 6;
const GIB: u64 = 1 << 30;

/// Checks that this is root, who alone may make and take down a cluster.
pub(crate) fn root() -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "a cluster is made of namespaces and mounts: run as root"
    );
    Ok(())
}

/// Checks the host.
///
/// # Errors
/// The first thing that is in the way.
pub(crate) fn host(directory: &Directory) -> Result<()> {
    cgroup::check()?;
    if let [first, ..] = network::present()?.as_slice() {
        anyhow::bail!("the network namespace {first} is left of another cluster: {REMEDY}");
    }
    let parent = directory.path().ancestors().find(|path| path.exists());
    let parent = parent.unwrap_or_else(|| Path::new("/"));
    space(parent)?;
    file_system(parent)
}

fn space(path: &Path) -> Result<()> {
    let found = statvfs(path).with_context(|| format!("cannot examine {}", path.display()))?;
    let free = found.blocks_available() * found.fragment_size() / GIB;
    ensure!(
        free >= SPACE_GIB,
        "{} has {free} GiB free, a cluster needs {SPACE_GIB}: free some, or name another place \
         with `--directory`",
        path.display()
    );
    Ok(())
}

/// A node's root is an overlay, which cannot lie on an overlay.
fn file_system(path: &Path) -> Result<()> {
    let found =
        statfs::statfs(path).with_context(|| format!("cannot examine {}", path.display()))?;
    ensure!(
        found.filesystem_type() != statfs::OVERLAYFS_SUPER_MAGIC,
        "{} lies on overlayfs: name a directory on a volume with `--directory`",
        path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_of_memory_is_no_overlay() {
        file_system(Path::new("/dev/shm")).unwrap();
    }

    #[test]
    fn a_small_file_system_is_refused_with_a_remedy() {
        let error = space(Path::new("/proc")).unwrap_err().to_string();
        assert!(error.contains("--directory"), "{error}");
    }
}
