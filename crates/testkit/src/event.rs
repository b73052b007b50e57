//! What users of the lab's API server are told.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};

use crate::{Lab, wait_until};

const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until an event has this reason, and all the words in what it says.
///
/// # Errors
/// None comes within a minute.
pub async fn wait_for_event(lab: &Lab, reason: &str, words: &[&str]) -> Result<()> {
    let events: Api<Event> = Api::all(lab.api_server()?.client()?);
    wait_until("an event says so", PATIENCE, async || {
        let listed = events.list(&ListParams::default()).await?;
        let told = listed.iter().any(|event| {
            let note = event.note.as_deref().unwrap_or_default();
            event.reason.as_deref() == Some(reason) && words.iter().all(|it| note.contains(it))
        });
        ensure!(told, "it is not among {} events", listed.items.len());
        Ok(())
    })
    .await
}
