//! `clippy.toml` of the pure crates: clippy reads the nearest file and nothing above it, so theirs
//! is the workspace's with more bans.

use std::{fmt::Write, fs};

use anyhow::{Context, Result, ensure};

use super::{Generated, MARK};
use crate::workspace::Workspace;

/// Folders of the crates without I/O, clock and hash order.
const PURE: [&str; 6] = [
    "controller/ipam",
    "controller/plan",
    "crates/api",
    "crates/model",
    "crates/ovn",
    "daemon/plan",
];

/// Types that a pure crate does not name, and why.
const TYPES: [(&str, &str); 6] = [
    (
        "std::collections::HashMap",
        "hash order must not reach a plan; BTreeMap",
    ),
    (
        "std::collections::HashSet",
        "hash order must not reach a plan; BTreeSet",
    ),
    (
        "std::fs::File",
        "a pure crate reads no files; take the content as a value",
    ),
    ("std::net::TcpStream", "a pure crate opens no connections"),
    ("std::net::UdpSocket", "a pure crate opens no sockets"),
    (
        "std::os::unix::net::UnixStream",
        "a pure crate opens no connections",
    ),
];

/// Functions that a pure crate does not call, and why.
const METHODS: [(&str, &str); 8] = [
    (
        "std::env::var",
        "a pure crate has no environment; take it as a value",
    ),
    (
        "std::env::var_os",
        "a pure crate has no environment; take it as a value",
    ),
    ("std::fs::create_dir_all", "a pure crate writes no files"),
    (
        "std::fs::read",
        "a pure crate reads no files; take the content as a value",
    ),
    (
        "std::fs::read_dir",
        "a pure crate reads no files; take the content as a value",
    ),
    (
        "std::fs::read_to_string",
        "a pure crate reads no files; take the content as a value",
    ),
    (
        "std::fs::write",
        "a pure crate writes no files; return the content",
    ),
    (
        "std::time::Instant::now",
        "a pure crate has no clock; take the time as a value",
    ),
];

/// The `clippy.toml` of every pure crate.
///
/// # Errors
/// When the file of the workspace cannot be read, or has no lists to add to.
pub(crate) fn generate(workspace: &Workspace) -> Result<Vec<Generated>> {
    let root = fs::read_to_string(workspace.path("clippy.toml"))
        .context("cannot read the clippy.toml of the workspace")?;
    let text = stricter(&root)?;
    let files = PURE.iter().map(|folder| Generated {
        path: format!("{folder}/clippy.toml"),
        text: text.clone(),
    });
    Ok(files.collect())
}

pub(crate) fn is_generated(path: &str) -> bool {
    path.strip_suffix("/clippy.toml")
        .is_some_and(|folder| PURE.contains(&folder))
}

/// The configuration of the workspace with the bans of a pure crate.
fn stricter(root: &str) -> Result<String> {
    let text = format!(
        "# {MARK}. Do not edit.\n# The workspace's clippy.toml with the bans of a pure crate.\n{root}"
    );
    let text = extend(&text, "disallowed-types = [\n", &TYPES)?;
    extend(&text, "disallowed-methods = [\n", &METHODS)
}

/// Puts entries at the start of a list.
fn extend(text: &str, list: &str, entries: &[(&str, &str)]) -> Result<String> {
    ensure!(
        text.contains(list),
        "the clippy.toml of the workspace lacks `{}`",
        list.trim()
    );
    let mut lines = list.to_owned();
    for (path, reason) in entries {
        writeln!(lines, "  {{ path = \"{path}\", reason = \"{reason}\" }},")?;
    }
    Ok(text.replacen(list, &lines, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "a = 1\ndisallowed-types = [\n  { path = \"x\" },\n]\n\
                        disallowed-methods = [\n  { path = \"y\" },\n]\n";

    #[test]
    fn a_pure_crate_keeps_the_bans_of_the_workspace_and_adds_its_own() {
        let text = stricter(ROOT).unwrap();
        for line in ROOT.lines() {
            assert!(text.contains(line), "{line}");
        }
        assert!(text.contains("std::collections::HashMap"));
        assert!(text.contains("std::env::var"));
    }

    #[test]
    fn a_workspace_without_bans_is_an_error() {
        assert!(stricter("a = 1\n").is_err());
    }

    #[test]
    fn only_the_files_of_pure_crates_are_generated() {
        assert!(is_generated("crates/model/clippy.toml"));
        assert!(!is_generated("clippy.toml"));
        assert!(!is_generated("crates/kit/clippy.toml"));
    }
}
