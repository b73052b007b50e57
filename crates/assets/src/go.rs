//! Commands built from Go modules.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    REMEDY, cache, progress,
    run::{command, run},
    versions::GoTool,
};

const HINT: &str = "install Go 1.24 or later (https://go.dev/dl)";

/// The path of a command that was built before.
pub(crate) fn find(tool: GoTool) -> Result<PathBuf> {
    let path = cache::path(&entry(tool))?;
    ensure!(path.is_file(), "{} is missing: {REMEDY}", path.display());
    Ok(path)
}

/// Builds a command when it is absent.
pub(crate) fn make(tool: GoTool) -> Result<PathBuf> {
    cache::entry(&entry(tool), |partial| {
        let title = format!("Building {} {}", tool.name, tool.version);
        progress::step(&title, "about two minutes", || install(tool, partial))
    })
}

fn entry(tool: GoTool) -> String {
    format!("{}-{}", tool.name, tool.version)
}

/// `go install` takes the module's own versions, and names the file itself.
fn install(tool: GoTool, output: &Path) -> Result<()> {
    let directory = output.parent().context("an entry lies in the cache")?;
    let directory = tempfile::tempdir_in(directory).context("no temporary directory")?;
    let mut install = go(directory.path());
    install
        .env("GOFLAGS", "-trimpath -buildvcs=false")
        .env("GOBIN", directory.path())
        .args(["install", "-ldflags", "-s -w"])
        .arg(format!("{}@{}", tool.package, tool.version));
    run(&mut install, HINT)?;
    fs::rename(directory.path().join(tool.name), output)
        .with_context(|| format!("go install of {} left no file", tool.name))
}

/// Go in a directory: static programs, by the toolchain that is installed.
pub(crate) fn go(directory: &Path) -> Command {
    let mut go = command("go");
    go.current_dir(directory)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off");
    go
}
