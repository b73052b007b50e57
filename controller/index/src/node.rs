//! `Node`: its addresses and its recorded port on the join subnet.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::annotation::key;
use controller_plan as plan;
use k8s_openapi::api::core::v1 as core;
use model::{DualStack, NodeName, Provider};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::{Annotations, Rejected, uid};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub uid: String,
    pub internal: DualStack<IpAddr>,
    /// The addresses of its port on the join subnet, once recorded.
    pub join: Option<plan::JoinPort>,
    /// Addresses that a user asks for, or that an earlier record gave.
    pub wanted: DualStack<IpAddr>,
    /// The name that OVN knows it by, once its daemon has told.
    pub chassis: Option<String>,
}

impl Watched for core::Node {
    const KIND: Kind = Kind::Node;
    type Key = NodeName;
    type Row = Node;

    fn key(&self) -> Option<Self::Key> {
        NodeName::new(self.metadata.name.clone()?).ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let annotations = Annotations::of(&self.metadata, &Provider::Ovn);
        let wanted: DualStack<IpAddr> = annotations.parse(key::IP_ADDRESS)?.unwrap_or_default();
        let join = if annotations.is_true(key::ALLOCATED) {
            Some(plan::JoinPort {
                addresses: annotations.require(key::IP_ADDRESS)?,
                mac: annotations.require(key::MAC_ADDRESS)?,
            })
        } else {
            None
        };
        Ok(Node {
            uid: uid(&self.metadata),
            internal: internal_addresses(self),
            join,
            wanted,
            chassis: Some(annotations.text(key::CHASSIS).to_owned()).filter(|it| !it.is_empty()),
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.nodes
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        let both = [&edit.old, &edit.new].into_iter().flatten();
        let addresses = both.flat_map(|node| node.internal.values().copied());
        let addresses = addresses.collect();
        match edit.new {
            Some(node) => {
                let node = plan::Node {
                    internal: node.internal,
                    join: node.join,
                };
                index.inputs.nodes.insert(edit.key.clone(), node);
            }
            None => {
                index.inputs.nodes.remove(&edit.key);
            }
        }
        index.dirty_nodes_at(&addresses);
        index.dirty_node(&edit.key);
        index.claims.insert(Claimant::Node(edit.key));
    }
}

impl Index {
    /// Of every node there is, those that cannot be used included, the name that OVN knows it by.
    pub fn chassis_of_nodes(&self) -> BTreeMap<String, Option<String>> {
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|(name, node)| (name.to_string(), node.chassis.clone()));
        let rejected = self.rejected().keys();
        let rejected = rejected.filter(|object| object.kind == Kind::Node);
        rejected
            .map(|object| (object.name.clone(), None))
            .chain(nodes)
            .collect()
    }
}

/// The first `InternalIP` of each family.
fn internal_addresses(node: &core::Node) -> DualStack<IpAddr> {
    let addresses = node
        .status
        .as_ref()
        .and_then(|status| status.addresses.as_ref());
    let internal = addresses
        .into_iter()
        .flatten()
        .filter(|address| address.type_ == "InternalIP")
        .filter_map(|address| address.address.parse::<IpAddr>().ok());
    let mut found = DualStack::NONE;
    for address in internal {
        found
            .get_mut(model::IpFamily::of(address))
            .get_or_insert(address);
    }
    found
}
