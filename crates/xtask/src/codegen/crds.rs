//! The CustomResourceDefinitions, for `kubectl apply` and the chart.

use anyhow::Result;

use super::Generated;

const FOLDER: &str = "deploy/crds";

/// One file for each kind.
///
/// # Errors
/// When a definition cannot be written as YAML.
pub(crate) fn generate() -> Result<Vec<Generated>> {
    let files = api::crd_files()?.into_iter().map(|(name, text)| Generated {
        path: format!("{FOLDER}/{name}"),
        text,
    });
    Ok(files.collect())
}
