//! `cargo xtask shim`: the CNI plugin as a static program, which runs in any host's root.

use std::{
    env::consts::ARCH,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{console, process, workspace::Workspace};

/// The C library that is linked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Library {
    /// Smaller, and quicker to start.
    Musl,
    /// Where the toolchain's target for musl cannot be had.
    Gnu,
}

/// Builds the plugin, says with which C library, and returns where it is.
///
/// # Errors
/// When the build fails.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let library = if is_installed(workspace, &Library::Musl.target())? {
        Library::Musl
    } else {
        Library::Gnu
    };
    let target = library.target();
    console::say(&format!("building the CNI plugin for {target}, static"));
    let arguments = [
        "build",
        "--locked",
        "-p",
        "cni-shim",
        "--profile",
        "shim",
        "--target",
        &target,
    ];
    let mut cargo = process::cargo(workspace, &arguments);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::run(cargo)?;
    Ok(workspace.target().join(target).join("shim/cni-shim"))
}

/// Whether the toolchain has the standard library of a target.
fn is_installed(workspace: &Workspace, target: &str) -> Result<bool> {
    let mut rustc = process::command(workspace, "rustc");
    rustc.args(["--print", "target-libdir", "--target", target]);
    let mut is_there = false;
    process::stream(rustc, |line| is_there = Path::new(line).is_dir())?;
    Ok(is_there)
}

// === impl Library ===

impl Library {
    /// The target triple for this machine's processor.
    fn target(self) -> String {
        let library = match self {
            Self::Musl => "musl",
            Self::Gnu => "gnu",
        };
        format!("{ARCH}-unknown-linux-{library}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_this_toolchain_is_installed() {
        assert!(is_installed(&Workspace::here(), &Library::Gnu.target()).unwrap());
    }

    #[test]
    fn a_target_that_is_not_downloaded_is_not_installed() {
        let foreign = "riscv64gc-unknown-linux-musl";
        assert!(!is_installed(&Workspace::here(), foreign).unwrap());
    }
}
