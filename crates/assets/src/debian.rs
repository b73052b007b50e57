//! A root directory of another Debian, whose programs run on the host without a chroot.
//!
//! They are started by the root's own loader, with the root's own libraries, so every socket,
//! path and namespace means what it means on the host.

use std::{
    env::consts::ARCH,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail, ensure};

use crate::{
    REMEDY, cache, packages, progress,
    run::{command, run},
    versions::Suite,
};

/// Where programs lie in the root. The third is `ovs-vswitchd` without DPDK: `/usr/sbin` has only
/// a link through `/etc/alternatives`, which would lead to the host's.
const PROGRAM_DIRECTORIES: [&str; 3] = ["usr/bin", "usr/sbin", "usr/lib/openvswitch-switch"];

/// A Debian root directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianRoot {
    path: PathBuf,
}

// === impl DebianRoot ===

impl DebianRoot {
    /// The root directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The command line that starts `name` on the host: the loader, its options, the program.
    ///
    /// # Errors
    /// When the root has no such program.
    pub fn program(&self, name: &str) -> Result<Vec<OsString>> {
        let program = PROGRAM_DIRECTORIES
            .iter()
            .map(|directory| self.path.join(directory).join(name))
            .find(|path| path.is_file() && !leaves_the_root(path));
        let Some(program) = program else {
            bail!("{} has no program {name}", self.path.display());
        };
        Ok(vec![
            self.loader()?.into(),
            "--library-path".into(),
            self.libraries().into(),
            program.into(),
        ])
    }

    /// A file below `usr/share`, as `ovn/ovn-nb.ovsschema`.
    pub fn share(&self, file: &str) -> PathBuf {
        self.path.join("usr/share").join(file)
    }

    /// The dynamic loader, named by the platform's ABI. Not by way of `/lib64`, where Debian 12 has
    /// an absolute link.
    fn loader(&self) -> Result<PathBuf> {
        let loader = match ARCH {
            "x86_64" => "ld-linux-x86-64.so.2",
            "aarch64" => "ld-linux-aarch64.so.1",
            other => bail!("the tests need an x86_64 or aarch64 host, not {other}"),
        };
        Ok(self.libraries().join(loader))
    }

    /// Debian's multiarch directory.
    fn libraries(&self) -> PathBuf {
        self.path.join(format!("usr/lib/{ARCH}-linux-gnu"))
    }
}

/// An absolute link would be followed on the host.
fn leaves_the_root(path: &Path) -> bool {
    path.read_link().is_ok_and(|target| target.is_absolute())
}

/// The root that was made before.
pub(crate) fn find(suite: Suite) -> Result<DebianRoot> {
    let path = cache::path(&entry(suite))?;
    ensure!(
        path.is_dir(),
        "the Debian {} root {} is absent: {REMEDY}",
        suite.name,
        path.display()
    );
    Ok(DebianRoot { path })
}

/// Makes the root when it is absent.
pub(crate) fn make(suite: Suite) -> Result<DebianRoot> {
    let path = cache::entry(&entry(suite), |partial| {
        bootstrap(suite, Format::Directory, partial)
    })?;
    Ok(DebianRoot { path })
}

/// The archive that was made before.
pub(crate) fn find_archive(suite: Suite) -> Result<PathBuf> {
    let path = cache::path(&archive_entry(suite))?;
    ensure!(path.is_file(), "{} is absent: {REMEDY}", path.display());
    Ok(path)
}

/// Makes the root as an archive when it is absent.
pub(crate) fn make_archive(suite: Suite) -> Result<PathBuf> {
    cache::entry(&archive_entry(suite), |partial| {
        bootstrap(suite, Format::Tar, partial)
    })
}

/// As what a root is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Directory,
    Tar,
}

fn bootstrap(suite: Suite, format: Format, path: &Path) -> Result<()> {
    ensure!(
        packages::is_root()?,
        "a Debian root is made by root: run as root"
    );
    let format = match format {
        Format::Directory => "directory",
        Format::Tar => "tar",
    };
    let mut mmdebstrap = command("mmdebstrap");
    mmdebstrap
        .arg("--variant=minbase")
        .arg(format!("--format={format}"))
        .args(
            suite
                .packages
                .iter()
                .map(|name| format!("--include={name}")),
        )
        .arg(suite.name)
        .arg(path);
    let role = suite.role.unwrap_or("complete");
    let title = format!("Making a Debian {} root ({role})", suite.name);
    progress::step(&title, "about a minute", || {
        run(&mut mmdebstrap, "apt-get install mmdebstrap").map(drop)
    })
}

fn entry(suite: Suite) -> String {
    let role = suite
        .role
        .map(|role| format!("-{role}"))
        .unwrap_or_default();
    format!("debian-{}{role}-{}", suite.name, suite.recipe)
}

fn archive_entry(suite: Suite) -> String {
    format!("{}.tar", entry(suite))
}
