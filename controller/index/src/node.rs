//! `Node`: its addresses and its recorded port on the join subnet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::annotation::key;
use controller_plan as plan;
use k8s_openapi::api::core::v1 as core;
use model::{DualStack, NodeName, Provider};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::redirect;
use crate::table::Table;
use crate::text::{Annotations, Rejected, uid};
use crate::told::Told;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub uid: String,
    pub internal: DualStack<IpAddr>,
    /// The port on the join subnet that its annotations tell of; `None` when they cannot be read.
    pub annotated: Option<plan::JoinPort>,
    /// Addresses that a user asks for, or that an earlier record gave; `None` when they cannot be
    /// read.
    pub wanted: Option<DualStack<IpAddr>>,
    /// What is wrong with its annotations.
    pub fault: Option<Rejected>,
    /// What its annotations say of the join subnet.
    pub told: Told,
    /// Whether its annotations name its port.
    pub is_marked: bool,
    pub(crate) labels: BTreeMap<String, String>,
    /// What kubelet says.
    pub liveness: plan::Liveness,
    /// What its daemon tells of the redirection of subnets.
    pub(crate) redirect_faults: redirect::Told,
    bandwidth: plan::Bandwidth,
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
        let wanted = annotations.parse(key::IP_ADDRESS);
        let port = annotations.is_true(key::ALLOCATED);
        let port = port.then(|| join_port(annotations)).transpose();
        let mut faults = Vec::new();
        let bandwidth = bandwidth(annotations, &mut faults);
        let unread = wanted.as_ref().err().or_else(|| port.as_ref().err());
        let fault = unread.or_else(|| faults.first()).cloned();
        Ok(Node {
            uid: uid(&self.metadata),
            internal: internal_addresses(self),
            fault,
            annotated: port.ok().flatten(),
            wanted: wanted.ok().map(Option::unwrap_or_default),
            told: Told::of(annotations),
            is_marked: Watched::key(self)
                .is_some_and(|it| it.lsp() == annotations.text(key::PORT_NAME)),
            labels: self.metadata.labels.clone().unwrap_or_default(),
            liveness: liveness(self),
            redirect_faults: redirect::told(self.metadata.annotations.as_ref()),
            bandwidth,
            chassis: Some(annotations.text(key::CHASSIS).to_owned()).filter(|it| !it.is_empty()),
        })
    }

    fn complaint(row: &Node) -> Option<Rejected> {
        row.fault.clone()
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.nodes
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        index.derive_node(&edit.key);
        let labels = |node: &Option<Node>| node.as_ref().map(|node| node.labels.clone());
        if labels(&edit.old) != labels(&edit.new) && index.names_gateways() {
            index.unsettle();
        }
        let told = |node: &Option<Node>| node.as_ref().map(|it| it.redirect_faults.clone());
        if told(&edit.old).unwrap_or_default() != told(&edit.new).unwrap_or_default() {
            index.unsettle();
        }
        index.claims.insert(Claimant::Node(edit.key));
    }
}

impl Index {
    /// The node's port on the join subnet, once it is recorded. Annotations count first, while they
    /// can be read.
    pub fn join_port(&self, name: &NodeName, node: &Node) -> Option<plan::JoinPort> {
        let recorded = || {
            let record = self.record_of(&Claimant::Node(name.clone()), &node.uid)?;
            let is_of_join = record.subnet == self.defaults.settings.join;
            is_of_join.then_some(plan::JoinPort {
                addresses: record.addresses,
                mac: record.mac,
            })
        };
        node.annotated.clone().or_else(recorded)
    }

    /// Of every node there is the name that OVN knows it by.
    pub fn chassis_of_nodes(&self) -> BTreeMap<String, Option<String>> {
        let nodes = self.nodes.iter();
        nodes
            .map(|(name, node)| (name.to_string(), node.chassis.clone()))
            .collect()
    }

    /// Of gateway nodes that are ready, these do not answer: they carry nothing, and all others do
    /// again.
    pub fn set_silent(&mut self, silent: &BTreeSet<NodeName>) {
        let before = std::mem::replace(&mut self.silent, silent.clone());
        for name in before.symmetric_difference(silent) {
            self.derive_node(name);
        }
    }

    /// Whether kubelet calls the node ready, and it does not answer.
    pub fn is_silent(&self, name: &NodeName) -> bool {
        let node = self.nodes.get(name);
        let is_ready = node.is_some_and(|node| node.liveness == plan::Liveness::Alive);
        is_ready && self.silent.contains(name)
    }

    fn liveness_of(&self, name: &NodeName, node: &Node) -> plan::Liveness {
        if self.silent.contains(name) {
            plan::Liveness::Dead
        } else {
            node.liveness
        }
    }

    pub(crate) fn derive_node(&mut self, name: &NodeName) {
        let node = self.nodes.get(name);
        let new = node.map(|node| plan::Node {
            internal: node.internal,
            join: self.join_port(name, node),
            liveness: self.liveness_of(name, node),
            bandwidth: node.bandwidth,
        });
        let old = match new.clone() {
            Some(node) => self.inputs.nodes.insert(name.clone(), node),
            None => self.inputs.nodes.remove(name),
        };
        if old == new {
            return;
        }
        let both = [old, new].into_iter().flatten();
        let addresses = both.flat_map(|node| node.internal.values().copied().collect::<Vec<_>>());
        self.dirty_nodes_at(&addresses.collect());
        self.dirty_node(name);
        self.dirty_gateways_of(name);
    }
}

fn join_port(annotations: Annotations<'_>) -> Result<plan::JoinPort, Rejected> {
    Ok(plan::JoinPort {
        addresses: annotations.require(key::IP_ADDRESS)?,
        mac: annotations.require(key::MAC_ADDRESS)?,
    })
}

/// The limits that can be read; of the others the node is without.
fn bandwidth(annotations: Annotations<'_>, faults: &mut Vec<Rejected>) -> plan::Bandwidth {
    let mut limit = |key| {
        let limit = annotations.limit(key);
        limit.map_err(|why| faults.push(why)).ok().flatten()
    };
    plan::Bandwidth {
        ingress: limit(key::INGRESS_RATE),
        egress: limit(key::EGRESS_RATE),
    }
}

/// A node is alive while kubelet says so. One that is cordoned takes no new pods, and carries traffic
/// as before: whoever wants it out of a set edits the subnet.
fn liveness(node: &core::Node) -> plan::Liveness {
    let status = node.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    let is_ready = conditions.any(|it| it.type_ == "Ready" && it.status == "True");
    if is_ready {
        plan::Liveness::Alive
    } else {
        plan::Liveness::Dead
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
