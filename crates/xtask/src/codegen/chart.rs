//! The chart's definitions, and the manifest for those who have no Helm, rendered from the chart.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use anyhow::{Context, Result};
use assets::versions::{HELM, KUBERNETES};

use super::{Generated, MARK};
use crate::{process, workspace::Workspace};

/// The chart, in the workspace.
const CHART: &str = "deploy/kube-ovn";
const MANIFEST: &str = "deploy/kube-ovn.yaml";

/// The definitions as Helm wants them, and the manifest with the default values.
///
/// # Errors
/// Helm cannot be built, or does not accept the chart.
pub(crate) fn generate(workspace: &Workspace) -> Result<Vec<Generated>> {
    assets::prepare_go_tool(HELM)?;
    let definitions = api::crd_files()?;
    let mut manifest = format!("# {MARK} from {CHART}. Do not edit.\n");
    for (_, text) in &definitions {
        // their own marks are comments, too
        write!(manifest, "---\n{}\n", text.trim_end())?;
    }
    manifest.push_str(&render(workspace, &[])?);
    let mut files: Vec<Generated> = definitions
        .into_iter()
        .map(|(name, text)| Generated {
            path: format!("{CHART}/crds/{name}"),
            text,
        })
        .collect();
    files.push(Generated {
        path: MANIFEST.to_owned(),
        text: manifest,
    });
    Ok(files)
}

/// Whether `path` is one of these files.
pub(crate) fn is_generated(path: &str) -> bool {
    path == MANIFEST || path.starts_with("deploy/kube-ovn/crds/")
}

/// What the chart makes of values, each as `name=value`, without the definitions.
///
/// # Errors
/// Helm refuses the values; why, it says on standard error.
fn render(workspace: &Workspace, values: &[&str]) -> Result<String> {
    let mut text = String::new();
    process::stream(helm(workspace, values)?, |line| {
        text.push_str(line);
        text.push('\n');
    })
    .context("the chart cannot be rendered")?;
    Ok(text)
}

/// The command that renders the chart.
fn helm(workspace: &Workspace, values: &[&str]) -> Result<std::process::Command> {
    let mut helm = process::command(workspace, assets::go_tool(HELM)?);
    helm.args(["template", "kube-ovn", CHART])
        .args(["--kube-version", &KUBERNETES.to_string()])
        .args(values.iter().flat_map(|value| ["--set", value]));
    Ok(helm)
}
