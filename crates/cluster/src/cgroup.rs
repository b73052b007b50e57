//! The control group of a cluster: every process is in it, so none can be forgotten.
//!
//! On cgroup v1 a group is a directory in each hierarchy, on v2 in the only one. A node's kubelet
//! makes the groups of pods below `<GROUP>/<node>`.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::{AccessFlags, Pid, access},
};
use testkit::wait_until;

use crate::directory::create;

/// The name of the cluster's group.
pub(crate) const GROUP: &str = "kube-ovn-rs";
const ROOT: &str = "/sys/fs/cgroup";
/// What a group of the v1 hierarchy `cpuset` must have before it takes a process.
const CPUSET: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
/// Where the programs of a node are; on v2 only leaves hold processes.
const SYSTEM: &str = "system";
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of a node's group, as kubelet wants it.
pub(crate) fn of_node(name: &str) -> String {
    format!("/{GROUP}/{name}")
}

/// Makes the groups of a node, or of the control plane, in every hierarchy. Returns the file that
/// takes the ids of its processes.
pub(crate) fn make(name: &str) -> Result<PathBuf> {
    let hierarchies = hierarchies()?;
    for hierarchy in &hierarchies {
        let mut group = hierarchy.clone();
        for part in [GROUP, name] {
            copy_cpuset(&group, &group.join(part))?;
            group.push(part);
        }
    }
    let first = hierarchies.first().context("there is a hierarchy")?;
    let system = first.join(GROUP).join(name).join(SYSTEM);
    copy_cpuset(&first.join(GROUP).join(name), &system)?;
    Ok(system.join("cgroup.procs"))
}

/// Fails with a remedy where no group can be made.
pub(crate) fn check() -> Result<()> {
    let hierarchies = hierarchies()?;
    let writable = hierarchies
        .iter()
        .all(|path| access(path, AccessFlags::W_OK).is_ok());
    ensure!(
        writable,
        "{ROOT} is mounted read-only: run on the host, or in a privileged container"
    );
    Ok(())
}

/// The groups of clusters that exist.
pub(crate) fn present() -> Result<Vec<String>> {
    let groups = groups()?.into_iter();
    let present = groups.filter(|group| group.exists());
    Ok(present.map(|group| group.display().to_string()).collect())
}

/// Kills every process of the group and removes it; nothing to do is fine.
pub(crate) async fn remove() -> Result<()> {
    kill_all().await?;
    let groups = groups()?;
    wait_until("the control groups are gone", PATIENCE, async || {
        groups.iter().try_for_each(|group| remove_tree(group))
    })
    .await
}

/// Kills every process of the group.
pub(crate) async fn kill_all() -> Result<()> {
    kill_groups(&groups()?).await
}

/// Kills every process of a node, containers included, and removes the groups of its pods, as the
/// loss of its power does.
pub(crate) async fn power_off(name: &str) -> Result<()> {
    let groups = groups_of(name)?;
    kill_groups(&groups).await?;
    wait_until("the groups of pods are gone", PATIENCE, async || {
        groups.iter().try_for_each(|group| remove_tree(group))
    })
    .await
}

async fn kill_groups(groups: &[PathBuf]) -> Result<()> {
    wait_until("every process has ended", PATIENCE, async || {
        let left = processes(groups);
        left.iter().try_for_each(|id| end(*id))?;
        ensure!(left.is_empty(), "processes are left: {left:?}");
        Ok(())
    })
    .await
}

/// Kills a process, which may have ended meanwhile.
pub(crate) fn end(id: i32) -> Result<()> {
    match kill(Pid::from_raw(id), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).context("cannot end a process"),
    }
}

/// Whether no process of any cluster is left.
pub(crate) fn is_empty() -> Result<bool> {
    Ok(processes(&groups()?).is_empty())
}

/// How many processes a node's, or the control plane's, group has, containers included.
pub(crate) fn count(name: &str) -> Result<usize> {
    Ok(members(name)?.len())
}

/// The ids of all processes of a node, or of the control plane, containers included.
pub(crate) fn members(name: &str) -> Result<Vec<i32>> {
    Ok(processes(&groups_of(name)?))
}

/// The ids of the processes in those groups of a node whose name has `word` in it.
pub(crate) fn members_of(name: &str, word: &str) -> Result<Vec<i32>> {
    let groups = groups_of(name)?;
    let below = groups.iter().flat_map(|group| descendants(group));
    let named = below.filter(|group| group.file_name().is_some_and(|name| contains(name, word)));
    Ok(processes(&named.collect::<Vec<_>>()))
}

fn contains(name: &OsStr, word: &str) -> bool {
    name.to_str().is_some_and(|name| name.contains(word))
}

fn groups_of(name: &str) -> Result<Vec<PathBuf>> {
    let groups = hierarchies()?.into_iter();
    Ok(groups.map(|path| path.join(GROUP).join(name)).collect())
}

/// The group in every hierarchy, whether it exists there or not.
fn groups() -> Result<Vec<PathBuf>> {
    let hierarchies = hierarchies()?.into_iter();
    Ok(hierarchies.map(|path| path.join(GROUP)).collect())
}

/// The mounted hierarchies; beside those of v1 there may be `unified`, where runc has groups too.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| path.join("cgroup.procs").exists())
        .collect();
    found.sort();
    if found.is_empty() {
        bail!("{ROOT} has no control groups: mount them, or run in a privileged container");
    }
    Ok(found)
}

fn copy_cpuset(parent: &Path, group: &Path) -> Result<()> {
    create(group)?;
    for name in CPUSET {
        let file = group.join(name);
        let is_unset = fs::read_to_string(&file).is_ok_and(|value| value.trim().is_empty());
        if is_unset && let Ok(value) = fs::read_to_string(parent.join(name)) {
            fs::write(&file, value).with_context(|| format!("cannot set {}", file.display()))?;
        }
    }
    Ok(())
}

/// The ids in the groups and in all below them, each once.
fn processes(groups: &[PathBuf]) -> Vec<i32> {
    let mut ids: Vec<i32> = groups
        .iter()
        .flat_map(|group| descendants(group))
        .filter_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok())
        .flat_map(|text| {
            let ids = text.lines().filter_map(|line| line.parse().ok());
            ids.collect::<Vec<i32>>()
        })
        // 0 stands for a process of another pid namespace, which its own group lists too
        .filter(|id| *id > 0)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The deepest first, then the group itself.
fn descendants(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .flat_map(|entry| descendants(&entry.path()))
        .collect();
    found.push(group.to_owned());
    found
}

fn remove_tree(group: &Path) -> Result<()> {
    if !group.exists() {
        return Ok(());
    }
    for group in descendants(group) {
        fs::remove_dir(&group).with_context(|| format!("cannot remove {}", group.display()))?;
    }
    Ok(())
}
