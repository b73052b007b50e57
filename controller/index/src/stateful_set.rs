//! `StatefulSet`: how many pods it should have, and so whose addresses outlive their pod.

use std::ops::Range;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use model::PodKey;

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::Rejected;

/// The kind of the owner, and what the records of its pods say (`spec.podType`).
pub const STATEFUL_SET: &str = "StatefulSet";

/// A StatefulSet by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetKey {
    pub namespace: String,
    pub name: String,
}

/// Of a StatefulSet, what decides about addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatefulSet {
    /// The ordinals whose pods there should be; none once it is being deleted.
    pub ordinals: Range<u64>,
}

/// A place in a StatefulSet: what the addresses belong to, whichever pod fills it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub set: SetKey,
    pub ordinal: u64,
}

// === impl Place ===

impl Place {
    /// The place that a pod's name means, if it is one of a StatefulSet: `<set>-<ordinal>`.
    pub(crate) fn named(pod: &PodKey) -> Option<Self> {
        let (set, ordinal) = pod.name.rsplit_once('-')?;
        Some(Self {
            ordinal: ordinal.parse().ok()?,
            set: SetKey {
                namespace: pod.namespace.clone(),
                name: set.to_owned(),
            },
        })
    }

    /// The place of a pod that a StatefulSet owns.
    pub(crate) fn of(pod: &core::Pod, key: &PodKey) -> Option<Self> {
        let owners = pod.metadata.owner_references.iter().flatten();
        let mut sets = owners
            .filter(|owner| owner.kind == STATEFUL_SET && owner.api_version.starts_with("apps/"));
        let set = sets.next()?;
        Self::named(key).filter(|place| place.set.name == set.name)
    }
}

impl Watched for apps::StatefulSet {
    const KIND: Kind = Kind::StatefulSet;
    type Key = SetKey;
    type Row = StatefulSet;

    fn key(&self) -> Option<Self::Key> {
        Some(SetKey {
            namespace: self.metadata.namespace.clone()?,
            name: self.metadata.name.clone()?,
        })
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let spec = self.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let first = spec.and_then(|spec| spec.ordinals.as_ref()?.start);
        let is_deleted = self.metadata.deletion_timestamp.is_some();
        let count = u64::try_from(replicas).unwrap_or(0);
        let first = u64::try_from(first.unwrap_or(0)).unwrap_or(0);
        let count = if is_deleted { 0 } else { count };
        Ok(StatefulSet {
            ordinals: first..first.saturating_add(count),
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.stateful_sets
    }

    /// Its pods' records may have to go.
    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        let placed = index.placed.get(&edit.key).into_iter().flatten();
        index.claims.extend(placed.cloned().map(Claimant::Pod));
    }
}

impl Index {
    /// Whether the addresses of the place are kept while it has no pod.
    pub fn keeps(&self, place: &Place) -> bool {
        let set = self.stateful_sets.get(&place.set);
        set.is_some_and(|set| set.ordinals.contains(&place.ordinal))
    }
}
