//! What must be recorded before a database of Kube-OVN is taken over.

use std::time::Duration;

use controller_index::Shared;
use controller_status::Writer;
use controller_sync::adoption::unrecorded_macs;
use kit::lease::Permit;
use tokio::time::timeout;

/// How soon it is looked again.
const RETRY: Duration = Duration::from_secs(1);

/// Records the MACs of router ports, and returns when the index has them all.
pub(crate) async fn record_macs(
    index: &Shared,
    nb: &ovsdb::Client,
    writer: &Writer,
    permit: &Permit,
) {
    let mut writes = index.subscribe();
    loop {
        let view = controller_sync::view(nb);
        let unrecorded = view.map(|view| unrecorded_macs(&view, index.read().inputs()));
        if unrecorded.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        for (subnet, mac) in unrecorded.into_iter().flatten().filter(|_| permit.holds()) {
            match writer.record_router_mac(&subnet, mac).await {
                Ok(()) => tracing::info!(%subnet, %mac, "Recorded the MAC of a router port"),
                Err(error) => {
                    let error = kit::error::Chain(&error);
                    tracing::warn!(%subnet, %error, "Could not record the MAC of a router port");
                }
            }
        }
        if timeout(RETRY, writes.changed()).await.is_err() {
            tracing::debug!("Looking again for MACs of router ports");
        }
    }
}
