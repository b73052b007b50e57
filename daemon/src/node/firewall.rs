//! The node's part of nftables, observed at every tick and when something else is desired.

use daemon_plan::NodeState;
use linux::nft::{Family, Table, guest};

use super::settled::Settled;
use crate::host::Kernel;

/// Keeps our table, and our rules in chains that drop.
#[derive(Debug, Default)]
pub(crate) struct Firewall {
    settled: Settled<(Table, guest::Desired)>,
}

// === impl Firewall ===

impl Firewall {
    /// Returns the number of changes.
    pub(super) async fn reconcile(
        &mut self,
        kernel: &Kernel,
        state: &NodeState,
    ) -> Result<usize, linux::Error> {
        let desired = (state.translation.clone(), state.passage.clone());
        if self.settled.holds(&desired) {
            return Ok(0);
        }
        let (translation, passage) = &desired;
        let mut made = kernel.table(Family::Inet, Some(translation)).await?;
        made += kernel.passage(passage).await?;
        self.settled.found(desired);
        Ok(made)
    }
}
