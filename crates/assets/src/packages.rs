//! Debian packages of the host.

use std::{collections::BTreeSet, fs};

use anyhow::{Result, bail, ensure};

use crate::{
    REMEDY, progress,
    run::{command, run},
};

const NOT_DEBIAN: &str =
    "the tests need a Debian or Ubuntu host: run them there, or in a container";

/// Fails when a package is missing.
pub(crate) fn check(packages: &[&'static str]) -> Result<()> {
    let missing = missing(packages)?;
    ensure!(
        missing.is_empty(),
        "Debian packages are missing ({}): {REMEDY}",
        missing.join(", ")
    );
    Ok(())
}

/// The version of the host's OVN, as `23.03.1-1~deb12u2`.
pub(crate) fn host_ovn() -> Result<String> {
    let version = ["--show", "--showformat", "${Version}", "ovn-central"];
    run(command("dpkg-query").args(version), REMEDY)
}

/// Installs the missing packages; asks apt nothing when none is missing.
pub(crate) fn install(packages: &[&'static str]) -> Result<()> {
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(
        is_root()?,
        "Debian packages are missing: run as root, or `apt-get install {}` first",
        missing.join(" ")
    );
    let title = format!("Installing {}", missing.join(" "));
    progress::step(&title, "about a minute", || {
        run(apt_get().arg("update"), NOT_DEBIAN)?;
        run(
            apt_get()
                .args(["install", "--no-install-recommends"])
                .args(&missing),
            NOT_DEBIAN,
        )
    })?;
    check(packages)
}

/// Whether this process may install packages and make namespaces.
///
/// # Errors
/// When this is not Linux.
pub(crate) fn is_root() -> Result<bool> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        bail!("the tests need Linux: run them on a Linux host or in a container");
    };
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1));
    Ok(effective == Some("0"))
}

/// A lock held by another apt is waited for, and changed configuration files are kept.
fn apt_get() -> std::process::Command {
    let mut apt_get = command("apt-get");
    apt_get.args([
        "-y",
        "-q",
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Dpkg::Options::=--force-confold",
    ]);
    apt_get
}

fn missing(packages: &[&'static str]) -> Result<Vec<&'static str>> {
    let format = "${db:Status-Status} ${Package}\n";
    let listed = run(
        command("dpkg-query").args(["--show", "--showformat", format]),
        NOT_DEBIAN,
    )?;
    let installed: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .collect();
    Ok(packages
        .iter()
        .filter(|name| !installed.contains(**name))
        .copied()
        .collect())
}
