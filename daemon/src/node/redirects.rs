//! Traffic of subnets that is redirected: what is asked for, and the node's rules and tables for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use daemon_plan::Allocation;
use daemon_plan::redirect::{Found, Redirect, Redirection};
use kit::error::Chain;
use model::Provider;
use tokio::sync::watch;

use super::settled::Settled;
use crate::host::{Kernel, Redirected};
use crate::object::{Node, Phase, Pod, Subnet};
use crate::table::Table;

/// Keeps our rules, and our routes in the tables that they lead to.
#[derive(Debug)]
pub(crate) struct Redirects {
    /// That nothing of ours is there.
    is_clean: Settled<()>,
    are_wanted: bool,
    /// What was last applied, for CNI ADD.
    applied: watch::Sender<Redirection>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no list of pods yet; see that the API server answers")]
    NoPods,
    #[error(transparent)]
    Kernel(#[from] linux::Error),
}

const LOGICAL_SWITCH: &str = "logical_switch";

/// What subnets ask of the node, the oldest first.
pub(super) fn of(subnets: &Table<Subnet>, node: &Node) -> Vec<Redirect> {
    let redirects = subnets.rows.iter().filter_map(|((_, name), subnet)| {
        let redirect = subnet.redirect_at(name, node)?;
        Some((subnet.created(), redirect))
    });
    let mut redirects: Vec<_> = redirects.collect();
    // those of one second stay in the order of their names
    redirects.sort_by_key(|(created, _)| *created);
    redirects
        .into_iter()
        .map(|(_, redirect)| redirect)
        .collect()
}

/// The addresses of the pods that are here, by the names of their subnets.
///
/// # Errors
/// Before pods have been listed: rules of those not yet known would be removed.
pub(super) fn addresses(pods: &Table<Pod>) -> Result<BTreeMap<String, BTreeSet<IpAddr>>, Error> {
    if !pods.is_synced {
        return Err(Error::NoPods);
    }
    let subnet = Provider::Ovn.annotation(LOGICAL_SWITCH);
    let mut addresses: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    let current = pods.rows.values();
    for pod in current.filter(|pod| pod.phase == Phase::Current) {
        // the recorder tells of one that cannot be read
        let allocation = Allocation::read(&Provider::Ovn, &pod.annotations);
        if let (Ok(Some(allocation)), Some(subnet)) = (allocation, pod.annotations.get(&subnet)) {
            let known = addresses.entry(subnet.clone()).or_default();
            known.extend(allocation.addresses.values());
        }
    }
    Ok(addresses)
}

// === impl Redirects ===

impl Redirects {
    pub(crate) fn new(applied: watch::Sender<Redirection>) -> Self {
        Self {
            is_clean: Settled::default(),
            are_wanted: false,
            applied,
        }
    }

    /// Whether it matters which pods are here.
    pub(super) const fn are_wanted(&self) -> bool {
        self.are_wanted
    }

    /// What is there. Where nothing is wanted and nothing was left, that is looked at now and then.
    pub(super) async fn found(
        &mut self,
        kernel: &Kernel,
        are_wanted: bool,
    ) -> Result<Found, linux::Error> {
        self.are_wanted = are_wanted;
        if !are_wanted && self.is_clean.holds(&()) {
            return Ok(Found::default());
        }
        let found = kernel.found().await?;
        if !are_wanted && found.rules.ours.is_empty() && found.tables.ours.is_empty() {
            self.is_clean.found(());
        }
        Ok(found)
    }

    /// Brings the node to what is desired. Returns the number of changes.
    pub(super) async fn apply(
        &self,
        kernel: &Kernel,
        desired: &Redirection,
        found: &Found,
    ) -> usize {
        let Redirected { made, refused } = kernel.redirection(desired, found).await;
        for error in refused {
            tracing::warn!(error = %Chain(&error), "Traffic is not redirected as desired");
        }
        self.applied.send_if_modified(|applied| {
            let changed = applied != desired;
            applied.clone_from(desired);
            changed
        });
        made
    }
}
