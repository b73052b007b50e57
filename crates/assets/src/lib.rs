//! What the tests and tools need on the host: which version, where it is cached, how it is made.
//!
//! ```text
//! cargo xtask codegen    --prepare_ovn-->     apt packages, Debian roots with OVN and Open vSwitch
//! cargo xtask test       --prepare_all-->     these, grpcurl, kube-apiserver
//! cargo xtask cluster up --prepare_cluster--> these, a node's root, Kubernetes, CoreDNS
//! a test                 --packages(), trixie_root(), kubernetes()--> what lies there, or an error
//! ```
//!
//! Making is idempotent, never asks anything, shows its progress on stderr, and is safe against
//! another run that makes the same thing at the same time. A test never makes anything: what it
//! misses is an error that names `cargo xtask test`, and never a reason to skip.

mod cache;
mod debian;
mod go;
mod kubernetes;
mod packages;
mod progress;
mod run;
pub mod versions;

use std::path::PathBuf;

use anyhow::Result;

pub use debian::DebianRoot;

use versions::{
    BOOKWORM, CLUSTER_COMMANDS, COREDNS, GRPCURL, GoTool, HOST_OVN, HOST_PACKAGES, IMAGE_PACKAGES,
    LAB_COMMANDS, NODE, SLIM, TRIXIE,
};

/// What a test says when something is missing.
const REMEDY: &str = "run `cargo xtask test`, or `cargo xtask cluster up`, which makes it";

/// Makes both versions of OVN and Open vSwitch: about a minute on a fresh host.
///
/// # Errors
/// One sentence that says what is missing and what to do: not Linux, not root, not Debian, or the
/// log of the command that failed.
pub fn prepare_ovn() -> Result<()> {
    packages::install(HOST_PACKAGES)?;
    if !packages::host_ovn()?.starts_with(HOST_OVN) {
        debian::make(BOOKWORM)?;
    }
    debian::make(TRIXIE).map(drop)
}

/// Makes everything that the tests of the laboratory need: seconds when all is there, about six
/// minutes on a fresh host.
///
/// # Errors
/// As [`prepare_ovn`], or there is no Go.
pub fn prepare_all() -> Result<()> {
    prepare_ovn()?;
    go::make(GRPCURL)?;
    kubernetes::make(LAB_COMMANDS)
}

/// Makes everything that a cluster needs: seconds when all is there, about ten minutes on a fresh
/// host.
///
/// # Errors
/// As [`prepare_all`].
pub fn prepare_cluster() -> Result<()> {
    prepare_all()?;
    debian::make(NODE)?;
    kubernetes::make(CLUSTER_COMMANDS)?;
    go::make(COREDNS).map(drop)
}

/// Makes everything that building our images needs.
///
/// # Errors
/// As [`prepare_all`].
pub fn prepare_images() -> Result<()> {
    packages::install(IMAGE_PACKAGES)?;
    debian::make_archive(SLIM).map(drop)
}

/// The files of `debian:trixie-slim`, the base of our images, as a tar archive.
///
/// # Errors
/// When it was never made, naming the command that makes it.
pub fn slim_archive() -> Result<PathBuf> {
    debian::find_archive(SLIM)
}

/// Where images are kept between builds; the directory may be absent.
///
/// # Errors
/// When there is no cache directory.
pub fn image_store() -> Result<PathBuf> {
    cache::path("images")
}

/// Builds a command from its Go module when it is absent, and returns its path.
///
/// # Errors
/// Go is missing, or the end of the log of the build that failed.
pub fn prepare_go_tool(tool: GoTool) -> Result<PathBuf> {
    go::make(tool)
}

/// Checks that the host has the Debian packages of [`versions::HOST_PACKAGES`].
///
/// # Errors
/// Names the missing packages and the command that installs them.
pub fn packages() -> Result<()> {
    packages::check(HOST_PACKAGES)
}

/// The Debian 12 root with OVN 23.03; `None` where the host's own programs are that.
///
/// # Errors
/// When it is needed and was never made, naming the command that makes it.
pub fn bookworm_root() -> Result<Option<DebianRoot>> {
    if packages::host_ovn()?.starts_with(HOST_OVN) {
        return Ok(None);
    }
    debian::find(BOOKWORM).map(Some)
}

/// The Debian 13 root with OVN 25.03, whose programs run on the host ([`DebianRoot::program`]).
///
/// # Errors
/// When it was never made, naming the command that makes it.
pub fn trixie_root() -> Result<DebianRoot> {
    debian::find(TRIXIE)
}

/// The Debian 13 root that a cluster's nodes share.
///
/// # Errors
/// When it was never made, naming the command that makes it.
pub fn node_root() -> Result<DebianRoot> {
    debian::find(NODE)
}

/// A Kubernetes command: from the directory that `KUBEBUILDER_ASSETS` names, else the cache.
///
/// # Errors
/// When it is missing in both, naming the command that builds it.
pub fn kubernetes(name: &str) -> Result<PathBuf> {
    kubernetes::find(name)
}

/// A command that [`prepare_go_tool`] built.
///
/// # Errors
/// When it was never built, naming the command that builds it.
pub fn go_tool(tool: GoTool) -> Result<PathBuf> {
    go::find(tool)
}
