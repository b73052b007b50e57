//! What a cluster, and what was installed on it, could leave on the host.

use std::{collections::BTreeSet, fs};

use anyhow::Result;
use testkit::command::Invocation;

use crate::{cgroup, network, sysctl::Sysctls};

/// The programs that only a cluster runs.
const PROGRAMS: [&str; 3] = ["containerd", "kube-proxy", "kubelet"];

/// The parts of the host that a cluster touches; two are equal when it left nothing in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    namespaces: BTreeSet<String>,
    mounts: BTreeSet<String>,
    groups: BTreeSet<String>,
    programs: BTreeSet<String>,
    links: BTreeSet<String>,
    routes: BTreeSet<String>,
    rules: BTreeSet<String>,
    settings: Sysctls,
}

// === impl Footprint ===

impl Footprint {
    /// Looks at the host as it is.
    ///
    /// # Errors
    /// A part of it cannot be read.
    pub fn observe() -> Result<Self> {
        Ok(Self {
            namespaces: network::present()?.into_iter().collect(),
            mounts: mounts()?,
            groups: cgroup::present()?.into_iter().collect(),
            programs: programs(),
            links: names("/sys/class/net").collect(),
            routes: lines(&host(&["ip", "route", "show", "table", "all"])?),
            rules: lines(&host(&["nft", "--stateless", "list", "ruleset"])?),
            settings: Sysctls::observe(),
        })
    }

    /// Whether there is neither a cluster nor a part of one; says nothing of links, routes, rules
    /// and settings, which a host has anyway.
    pub fn is_without_cluster(&self) -> bool {
        let parts = [&self.namespaces, &self.groups, &self.programs];
        parts.iter().all(|part| part.is_empty())
    }
}

/// Not those that only name a network namespace, of others' perhaps.
fn mounts() -> Result<BTreeSet<String>> {
    let mounts = lines(&fs::read_to_string("/proc/self/mounts")?);
    let is_name = |mount: &String| mount.starts_with("nsfs ");
    Ok(mounts.into_iter().filter(|mount| !is_name(mount)).collect())
}

fn host(words: &[&str]) -> Result<String> {
    Invocation::of(words.iter().map(Into::into).collect()).read()
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

fn names(directory: &str) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// The command lines of [`PROGRAMS`]; one that has ended and was not yet reaped has none.
fn programs() -> BTreeSet<String> {
    names("/proc")
        .filter(|name| name.parse::<u32>().is_ok())
        .filter_map(|id| fs::read_to_string(format!("/proc/{id}/cmdline")).ok())
        .filter(|line| {
            let program = line.split('\0').next().unwrap_or_default();
            let name = program.rsplit('/').next().unwrap_or_default();
            PROGRAMS.iter().any(|known| name.starts_with(known))
        })
        .collect()
}
