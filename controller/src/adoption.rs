//! What must be recorded before a database of Kube-OVN is taken over.

use std::time::Duration;

use controller_index::Shared;
use controller_status::Writer;
use controller_sync::adoption::unrecorded_macs;
use kit::lease::Permit;
use model::{MacAddr, SubnetName};
use tokio::time::timeout;

/// How soon it is looked again.
const RETRY: Duration = Duration::from_secs(1);
/// So often it is waited for the index to show what was written.
const LOOKS: usize = 30;

/// Records the MACs of router ports, and returns when the index has them all. A subnet that the
/// index cannot show, since it is being edited into nonsense, does not keep the others waiting.
pub(crate) async fn record_macs(
    index: &Shared,
    nb: &ovsdb::Client,
    writer: &Writer,
    permit: &Permit,
) {
    let mut writes = index.subscribe();
    let mut looks = 0;
    while looks < LOOKS {
        let view = controller_sync::view(nb);
        let unrecorded = view.map(|view| unrecorded_macs(&view, index.read().inputs()));
        if unrecorded.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let unrecorded = unrecorded.into_iter().flatten();
        if permit.holds() && write(writer, unrecorded).await {
            looks += 1;
        }
        if timeout(RETRY, writes.changed()).await.is_err() {
            tracing::debug!("Looking again for MACs of router ports");
        }
    }
    tracing::warn!("Going on without the MACs of all router ports");
}

/// Whether all were taken.
async fn write(writer: &Writer, macs: impl Iterator<Item = (SubnetName, MacAddr)>) -> bool {
    let mut all = true;
    for (subnet, mac) in macs {
        match writer.record_router_mac(&subnet, mac).await {
            Ok(()) => tracing::info!(%subnet, %mac, "Recorded the MAC of a router port"),
            Err(error) => {
                all = false;
                let error = kit::error::Chain(&error);
                tracing::warn!(%subnet, %error, "Could not record the MAC of a router port");
            }
        }
    }
    all
}
