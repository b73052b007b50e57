//! Subnets in the lab's API server, as users make and edit them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::Subnet;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{Lab, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

/// All of them.
///
/// # Errors
/// The lab has no API server.
pub fn all(lab: &Lab) -> Result<Api<Subnet>> {
    Ok(Api::all(lab.api_server()?.client()?))
}

/// Creates one with this `spec`.
///
/// # Errors
/// The API server rejects it.
pub async fn create(lab: &Lab, name: &str, spec: Value) -> Result<()> {
    let subnet = Subnet::new(name, serde_json::from_value(spec)?);
    all(lab)?.create(&PostParams::default(), &subnet).await?;
    Ok(())
}

/// Changes fields of `spec`, as `kubectl patch --type=merge` does.
///
/// # Errors
/// The API server rejects it.
pub async fn edit(lab: &Lab, name: &str, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": spec}));
    let params = PatchParams::default();
    all(lab)?.patch(name, &params, &patch).await?;
    Ok(())
}

/// Waits until the condition `Ready` has this status and reason, and returns what it says.
///
/// # Errors
/// It has another after 20 seconds.
pub async fn wait_for_ready(lab: &Lab, name: &str, status: &str, reason: &str) -> Result<String> {
    wait_until(&format!("{name} is {reason}"), PATIENCE, async || {
        let subnet = all(lab)?.get(name).await?;
        let conditions = subnet.status.unwrap_or_default().conditions;
        let ready = conditions.into_iter().find(|it| it.type_ == "Ready");
        let ready = ready.context("nothing is said yet")?;
        let is_so = ready.status == status && ready.reason == reason;
        ensure!(
            is_so,
            "it says {} {}: {}",
            ready.status,
            ready.reason,
            ready.message
        );
        Ok(ready.message)
    })
    .await
}
