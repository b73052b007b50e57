//! Kubernetes commands, built from the Go module `k8s.io/kubernetes`.
//!
//! The module cannot be installed by `go install`, since its own `replace` directives are ignored
//! then: a small module beside it repeats them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{
    REMEDY, cache,
    go::go,
    progress,
    run::run,
    versions::{KUBERNETES, KUBERNETES_GO, KUBERNETES_STAGING},
};

/// The directory of commands that the user brings, as envtest calls it.
const USER_DIRECTORY: &str = "KUBEBUILDER_ASSETS";
const HINT: &str = "install Go 1.24 or later (https://go.dev/dl), or set KUBEBUILDER_ASSETS";

/// The path of a command that the user brought or that was built before.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    if let Some(path) = of_user(name) {
        return Ok(path);
    }
    let path = cache::path(&entry(name))?;
    ensure!(path.is_file(), "{} is missing: {REMEDY}", path.display());
    Ok(path)
}

/// Builds each absent command; the second takes a fraction of the first, since Go keeps the
/// packages they share.
pub(crate) fn make(names: &[&str]) -> Result<()> {
    for name in names {
        if of_user(name).is_some() {
            continue;
        }
        cache::entry(&entry(name), |partial| {
            let title = format!("Building {name} {KUBERNETES}");
            progress::step(&title, "up to four minutes", || build(name, partial))
        })?;
    }
    Ok(())
}

/// The command in the user's directory, when that has it.
fn of_user(name: &str) -> Option<PathBuf> {
    let directory = env::var_os(USER_DIRECTORY).filter(|value| !value.is_empty())?;
    Some(Path::new(&directory).join(name)).filter(|path| path.is_file())
}

fn entry(name: &str) -> String {
    format!("kubernetes-{KUBERNETES}/{name}")
}

fn build(name: &str, output: &Path) -> Result<()> {
    let module = tempfile::tempdir().context("no temporary directory")?;
    let package = format!("k8s.io/kubernetes/cmd/{name}");
    fs::write(module.path().join("go.mod"), go_mod())?;
    fs::write(
        module.path().join("tools.go"),
        format!("package tools\n\nimport _ \"{package}\"\n"),
    )?;
    let mut build = go(module.path());
    build
        .env("GOFLAGS", "-mod=mod -trimpath -buildvcs=false")
        .args(["build", "-ldflags", &stamp(), "-o"])
        .arg(output)
        .arg(&package);
    run(&mut build, HINT)?;
    ensure!(output.is_file(), "go build of {name} left no file");
    Ok(())
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
