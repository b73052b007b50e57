//! When a pod's addresses are free again.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use model::PodKey;

use super::{Phase, Pod};
use crate::claimant::Claimant;
use crate::index::Index;

/// A pod that will be started again keeps its addresses, whatever its containers did.
pub(super) fn phase(pod: &core::Pod) -> Phase {
    let status = pod.status.as_ref();
    let restarts = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref())
        .unwrap_or("Always");
    let is_evicted = status.and_then(|status| status.reason.as_deref()) == Some("Evicted");
    match status.and_then(|status| status.phase.as_deref()) {
        None | Some("" | "Pending") => Phase::Pending,
        Some("Succeeded") if restarts != "Always" => Phase::Finished,
        Some("Failed") if restarts == "Never" || is_evicted => Phase::Finished,
        Some(_) => Phase::Started,
    }
}

/// A pod is deleted when its node says that it ended, until its grace period is over at the
/// latest. One that is there for as long again has a node that says nothing.
pub(super) fn end(pod: &core::Pod) -> Option<Timestamp> {
    let due = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    due.checked_add(SignedDuration::from_secs(grace)).ok()
}

impl Index {
    /// Takes note of how late it is.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while self.is_due(self.now)
            && let Some((_, pod)) = self.ends.pop_first()
        {
            self.derive_port(&pod);
            self.claims.insert(Claimant::Pod(pod));
        }
    }

    /// Whether something changes by its being that late.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.ends.first().is_some_and(|(end, _)| *end <= now)
    }

    /// Whether the pod will never run again, or was to be gone for long.
    pub(super) fn is_over(&self, pod: &Pod) -> bool {
        pod.phase == Phase::Finished || pod.ends.is_some_and(|end| end <= self.now)
    }

    pub(super) fn schedule_end(&mut self, key: &PodKey, old: Option<&Pod>, new: Option<&Pod>) {
        if let Some(end) = old.and_then(|pod| pod.ends) {
            self.ends.remove(&(end, key.clone()));
        }
        if let Some(end) = new.and_then(|pod| pod.ends).filter(|end| *end > self.now) {
            self.ends.insert((end, key.clone()));
        }
    }
}
