//! What this host is.

use anyhow::{Result, ensure};

/// Refuses to go on where namespaces cannot be made.
///
/// # Errors
/// One sentence that says what to do: on another system than Linux, or as another user than root.
pub(crate) fn require_root(what: &str) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "{what} makes Linux network namespaces: run it in a Linux machine, or leave it out with \
         `--level`"
    );
    ensure!(
        is_root(),
        "{what} needs root: run `sudo -E env \"PATH=$PATH\" cargo xtask test`, or leave it out \
         with `--level`"
    );
    Ok(())
}

/// Whether the effective user is root, as the owner of `/proc/self` tells.
#[cfg(target_os = "linux")]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(not(target_os = "linux"))]
fn is_root() -> bool {
    false
}
