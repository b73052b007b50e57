//! The cache: one directory for all checkouts, entries keyed by version, each made once.

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::progress;

/// The path of an entry, whether it exists or not.
pub(crate) fn path(entry: &str) -> Result<PathBuf> {
    Ok(root()?.join(entry))
}

/// `$XDG_CACHE_HOME/kube-ovn-rs`, or `~/.cache/kube-ovn-rs`.
fn root() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("no cache directory: set XDG_CACHE_HOME or HOME")?;
    Ok(cache.join("kube-ovn-rs"))
}

/// Returns the entry's path; when it is absent, `make` fills a partial path beside it, which is
/// then renamed into place. Only one process makes an entry, the others wait for it.
pub(crate) fn entry(entry: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let path = path(entry)?;
    if path.exists() {
        return Ok(path);
    }
    let _lock = lock(&sibling(&path, "lock")?, entry)?;
    if path.exists() {
        return Ok(path);
    }
    let partial = sibling(&path, "partial")?;
    remove(&partial)?;
    make(&partial)?;
    fs::rename(&partial, &path).with_context(|| format!("cannot move {entry} into place"))?;
    Ok(path)
}

fn lock(path: &Path, entry: &str) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress::line(&format!("Waiting for another run that makes {entry}"));
            file.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    Ok(file)
}

/// `.<name>.<suffix>` in the entry's own directory, which is created.
fn sibling(path: &Path, suffix: &str) -> Result<PathBuf> {
    let parent = path
        .parent()
        .context("an entry lies in the cache directory")?;
    let name = path
        .file_name()
        .context("an entry has a name")?
        .to_string_lossy();
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    Ok(parent.join(format!(".{name}.{suffix}")))
}

/// What an interrupted run left.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else if path.exists() {
        fs::remove_file(path)
    } else {
        Ok(())
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}
