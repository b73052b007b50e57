//! `Namespace`: its labels, and what its annotations say of its subnet.

use std::collections::BTreeMap;

use api::annotation::key;
use k8s_openapi::api::core::v1 as core;
use model::Provider;

use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::{Annotations, Rejected, uid};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    /// What is written there of its subnet, by us or by somebody else.
    pub annotated: Binding,
    pub is_deleting: bool,
}

/// What a namespace's annotations tell about its subnet; an annotation that is absent is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// Name of the subnet.
    pub logical_switch: String,
    pub cidr: String,
    /// Addresses and ranges that pods do not get, separated by commas.
    pub exclude_ips: String,
}

// === impl Binding ===

impl Binding {
    /// The annotations, by their full names.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let values = [
            (key::LOGICAL_SWITCH, &self.logical_switch),
            (key::CIDR, &self.cidr),
            (key::EXCLUDE_IPS, &self.exclude_ips),
        ];
        let full = |(key, value): (&str, &String)| (Provider::Ovn.annotation(key), value.clone());
        values.into_iter().map(full).collect()
    }
}

impl Watched for core::Namespace {
    const KIND: Kind = Kind::Namespace;
    type Key = String;
    type Row = Namespace;

    fn key(&self) -> Option<Self::Key> {
        self.metadata.name.clone()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let annotations = Annotations::of(&self.metadata, &Provider::Ovn);
        let text = |key| annotations.text(key).to_owned();
        Ok(Namespace {
            uid: uid(&self.metadata),
            labels: self.metadata.labels.clone().unwrap_or_default(),
            annotated: Binding {
                logical_switch: text(key::LOGICAL_SWITCH),
                cidr: text(key::CIDR),
                exclude_ips: text(key::EXCLUDE_IPS),
            },
            is_deleting: self.metadata.deletion_timestamp.is_some(),
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.namespaces
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        index.bind(&edit.key);
        if edit.old.is_none() {
            index.reconsider_namespace(&edit.key);
        }
        index.keep(crate::Kept::Namespace(edit.key));
    }
}
