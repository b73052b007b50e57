//! What a person sees of a lab: the ends of its logs, and the lab itself when it is kept.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{Netns, process::tail, wait_until};

/// When this variable is set, a lab stays after its test until somebody lets it go.
const KEEP: &str = "LAB_KEEP";
/// Lines of each log in a report.
const TAIL: usize = 12;

/// Prints the end of every log in the directories below `directory`.
#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it when the test fails"
)]
pub fn report(directory: &Path) {
    for log in logs(directory) {
        let told = tail(&log, TAIL);
        if !told.is_empty() {
            eprintln!("--- {}\n{told}", log.display());
        }
    }
}

/// With `LAB_KEEP` set: says where everything is, and waits until it may go.
#[expect(clippy::print_stderr, reason = "the person who set LAB_KEEP reads it")]
pub(crate) async fn keep(directory: &Path, namespaces: impl Iterator<Item = &Netns>) -> Result<()> {
    if env::var_os(KEEP).is_none() {
        return Ok(());
    }
    let marker = directory.join("keep");
    fs::write(&marker, "")?;
    eprintln!(
        "The lab stays until you `rm {}`. Namespaces:",
        marker.display()
    );
    for netns in namespaces {
        eprintln!("  nsenter --net={} -- bash", netns.path().display());
    }
    wait_until("the lab may go", Duration::from_hours(24), async || {
        ensure!(!marker.exists(), "{} exists", marker.display());
        Ok(())
    })
    .await
}

/// The logs in the directories of all parts, in the order of their names.
fn logs(directory: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let mut logs: Vec<PathBuf> = entries(directory)
        .flat_map(|part| entries(&part.path()))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    logs
}
