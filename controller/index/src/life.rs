//! Since when an object exists, and whether it is to end.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::core::ObjectMeta;

/// What an object's metadata says of its life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Life {
    pub uid: String,
    /// `None` for an object that the API server has not seen.
    pub created: Option<Time>,
    pub phase: LifePhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LifePhase {
    #[default]
    Living,
    /// Somebody deleted it: it ends when its finalizers are gone.
    Ending,
}

// === impl Life ===

impl Life {
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        Self {
            uid: crate::text::uid(meta),
            created: meta.creation_timestamp.clone(),
            phase: if meta.deletion_timestamp.is_some() {
                LifePhase::Ending
            } else {
                LifePhase::Living
            },
        }
    }

    pub fn is_ending(&self) -> bool {
        self.phase == LifePhase::Ending
    }
}

/// What the controller's own writes depend on: without status, and without what changes at every
/// write.
pub(crate) fn declared<K: Resource + Clone>(object: &K) -> K {
    let mut object = object.clone();
    let meta = object.meta_mut();
    meta.managed_fields = None;
    meta.resource_version = None;
    meta.generation = None;
    meta.labels = None;
    if let Some(annotations) = meta.annotations.as_mut() {
        let kept = [api::annotation::ACCEPTED, api::annotation::GATEWAY_SLOTS];
        annotations.retain(|key, _| kept.contains(&key.as_str()));
    }
    object
}
