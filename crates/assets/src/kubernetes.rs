//! Kubernetes commands, built from the Go module `k8s.io/kubernetes`.
//!
//! The module cannot be installed by `go install`, since its own `replace` directives are ignored
//! then: a small module beside it repeats them.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    REMEDY, cache, progress,
    run::{command, run},
    versions::{KUBERNETES, KUBERNETES_COMMANDS, KUBERNETES_GO, KUBERNETES_STAGING},
};

/// The directory of commands that the user brings, as envtest calls it.
const USER_DIRECTORY: &str = "KUBEBUILDER_ASSETS";
const NO_GO: &str = "install Go 1.24 or later (https://go.dev/dl), or set KUBEBUILDER_ASSETS";

/// A directory that holds the commands of [`crate::versions::KUBERNETES_COMMANDS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesBinaries {
    directory: PathBuf,
}

// === impl KubernetesBinaries ===

impl KubernetesBinaries {
    /// The path of `kube-apiserver`.
    pub fn apiserver(&self) -> PathBuf {
        self.directory.join("kube-apiserver")
    }

    fn missing(&self) -> Option<&'static str> {
        KUBERNETES_COMMANDS
            .iter()
            .find(|name| !self.directory.join(name).is_file())
            .copied()
    }
}

/// The commands that the user brought or that were built before.
pub(crate) fn find() -> Result<KubernetesBinaries> {
    if let Some(found) = of_user()? {
        return Ok(found);
    }
    let found = KubernetesBinaries {
        directory: cache::path(&entry())?,
    };
    if let Some(name) = found.missing() {
        anyhow::bail!(
            "{name} is missing in {}: {REMEDY}",
            found.directory.display()
        );
    }
    Ok(found)
}

/// Builds each absent command; one build serves all, since Go shares the packages.
pub(crate) fn make() -> Result<KubernetesBinaries> {
    if let Some(found) = of_user()? {
        return Ok(found);
    }
    for name in KUBERNETES_COMMANDS {
        cache::entry(&format!("{}/{name}", entry()), |partial| {
            let title = format!("Building {name} {KUBERNETES}");
            progress::step(&title, "about four minutes", || build(name, partial))
        })?;
    }
    find()
}

fn of_user() -> Result<Option<KubernetesBinaries>> {
    let Some(directory) = env::var_os(USER_DIRECTORY).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let found = KubernetesBinaries {
        directory: directory.into(),
    };
    if let Some(name) = found.missing() {
        anyhow::bail!(
            "{USER_DIRECTORY} is set, but {} has no {name}",
            found.directory.display()
        );
    }
    Ok(Some(found))
}

fn entry() -> String {
    format!("kubernetes-{KUBERNETES}")
}

fn build(name: &str, output: &Path) -> Result<()> {
    let module = tempfile::tempdir().context("no temporary directory")?;
    let package = format!("k8s.io/kubernetes/cmd/{name}");
    fs::write(module.path().join("go.mod"), go_mod())?;
    fs::write(
        module.path().join("tools.go"),
        format!("package tools\n\nimport _ \"{package}\"\n"),
    )?;
    let go = |arguments: &[&OsStr]| run(go(module.path()).args(arguments), NO_GO);
    go(&[
        "build".as_ref(),
        "-o".as_ref(),
        output.as_ref(),
        "-ldflags".as_ref(),
        stamp().as_ref(),
        package.as_ref(),
    ])?;
    ensure!(output.is_file(), "go build of {name} left no file");
    Ok(())
}

fn go(directory: &Path) -> Command {
    let mut go = command("go");
    go.current_dir(directory)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=mod -trimpath -buildvcs=false")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off");
    go
}

/// The version that the server reports; kubectl refuses one that it cannot parse.
fn stamp() -> String {
    let package = "k8s.io/component-base/version";
    format!(
        "-X {package}.gitVersion={KUBERNETES} -X {package}.gitMajor={} -X {package}.gitMinor={}",
        KUBERNETES.major, KUBERNETES.minor
    )
}

fn go_mod() -> String {
    let (minor, patch) = (KUBERNETES.minor, KUBERNETES.patch);
    let replaced: Vec<String> = KUBERNETES_STAGING
        .iter()
        .map(|name| format!("\tk8s.io/{name} => k8s.io/{name} v0.{minor}.{patch}\n"))
        .collect();
    format!(
        "module tools\n\ngo {KUBERNETES_GO}.0\n\ngodebug default=go{KUBERNETES_GO}\n\n\
         require k8s.io/kubernetes {KUBERNETES}\n\nreplace (\n{})\n",
        replaced.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::{go_mod, stamp};

    #[test]
    fn every_staging_module_is_replaced_by_the_release_of_kubernetes() {
        let text = go_mod();
        assert!(
            text.contains("require k8s.io/kubernetes v1.34.4\n"),
            "{text}"
        );
        assert!(
            text.contains("\tk8s.io/client-go => k8s.io/client-go v0.34.4\n"),
            "{text}"
        );
        assert_eq!(text.matches(" => ").count(), 31);
    }

    #[test]
    fn the_built_commands_report_the_release() {
        assert!(stamp().contains("version.gitVersion=v1.34.4"));
    }
}
