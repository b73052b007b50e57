//! Hosts on which no cluster can be: one sentence with cause and remedy, and nothing left.
//!
//! ```text
//! cargo build -p xtask
//! cargo test -p e2e --features cluster-tests --test cluster_refused
//! ```
#![cfg(test)]

use std::{fs, path::Path};

use anyhow::Result;
use testkit::{bin::bin, command::Invocation};

const DEMO: &str = r#"exec "$0" demo --directory "$1""#;

#[test]
fn who_is_not_root_is_told_to_be() {
    let scratch = tempfile::tempdir().unwrap();
    let said = refused(
        scratch.path(),
        &["setpriv", "--reuid=65534", "--clear-groups"],
        "",
    );
    assert_eq!(
        said,
        "a cluster is made of namespaces and mounts: run as root"
    );
}

#[test]
fn a_host_without_control_groups_is_told_to_mount_them() {
    let scratch = tempfile::tempdir().unwrap();
    let said = refused(
        scratch.path(),
        &["unshare", "--mount"],
        "umount --recursive /sys/fs/cgroup",
    );
    assert_eq!(
        said,
        "/sys/fs/cgroup has no control groups: mount them, or run in a privileged container"
    );
}

#[test]
fn a_full_disk_is_named_with_the_space_that_is_needed() {
    let scratch = tempfile::tempdir().unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=100m none {}",
        scratch.path().display()
    );
    let said = refused(scratch.path(), &["unshare", "--mount"], &mount);
    assert!(said.contains("has 0 GiB free, a cluster needs"), "{said}");
    assert!(said.contains("--directory"), "{said}");
}

/// What the demo says when it is run by these words, after a command of the shell.
fn refused(scratch: &Path, words: &[&str], before: &str) -> String {
    try_refused(scratch, words, before).unwrap()
}

fn try_refused(scratch: &Path, words: &[&str], before: &str) -> Result<String> {
    // where every user may read it
    let program = std::env::temp_dir().join(format!("xtask-{}", std::process::id()));
    fs::copy(bin("xtask")?, &program)?;
    let script = format!("{before}\n{DEMO}");
    let finished = Invocation::of(words.iter().map(Into::into).collect())
        .args(["sh", "-ec", &script])
        .arg(&program)
        .arg(scratch.join("cluster"))
        .finish()?;
    fs::remove_file(&program)?;
    assert!(!finished.success);
    assert_eq!(fs::read_dir(scratch)?.count(), 0, "something is left");
    Ok(finished.stderr.trim().to_owned())
}
