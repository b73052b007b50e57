//! Objects in which the controller keeps something up to date that users may read and change.

use std::collections::BTreeSet;

use model::{SubnetName, VpcName};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, ObjectName};
use crate::life::LifePhase;

/// An object to compare with what should be written in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    Subnet(SubnetName),
    Vpc(VpcName),
    Namespace(String),
}

// === impl Index ===

impl Index {
    /// The objects to compare since the last call.
    pub fn take_kept(&mut self) -> BTreeSet<Kept> {
        std::mem::take(&mut self.kept)
    }

    /// Every such object, those that cannot be used included.
    pub fn all_kept(&self) -> Vec<Kept> {
        let subnets = self.subnets.keys().cloned().map(Kept::Subnet);
        let vpcs = self.vpcs.keys().cloned().map(Kept::Vpc);
        let namespaces = self.namespaces.keys().cloned().map(Kept::Namespace);
        let rejected = self.rejected().keys().filter_map(kept);
        subnets
            .chain(vpcs)
            .chain(namespaces)
            .chain(rejected)
            .collect()
    }

    /// One that cannot be used may still be waiting for its finalizer to be removed.
    pub(crate) fn keep_rejected(&mut self, name: &ObjectName) {
        self.kept.extend(kept(name));
    }

    /// Those that somebody deleted and that wait for something else to end.
    pub fn ending(&self) -> Vec<Kept> {
        let subnets = self.subnets.iter().filter(|(_, it)| it.life.is_ending());
        let vpcs = self.vpcs.iter().filter(|(_, it)| it.life.is_ending());
        let rejected = self.rejected().iter();
        let rejected = rejected.filter(|(_, it)| it.phase == LifePhase::Ending);
        let subnets = subnets.map(|(name, _)| Kept::Subnet(name.clone()));
        let vpcs = vpcs.map(|(name, _)| Kept::Vpc(name.clone()));
        let rejected = rejected.filter_map(|(name, _)| kept(name));
        subnets.chain(vpcs).chain(rejected).collect()
    }

    /// Who has addresses of the subnet, by record or by annotation: `<namespace>/<pod>`, or the
    /// name of a node.
    pub fn holders_of(&self, subnet: &SubnetName) -> BTreeSet<String> {
        let records = self.records.iter().filter(|(_, it)| it.subnet == *subnet);
        let recorded = records.map(|(_, record)| match &record.claimant {
            Claimant::Pod(pod) => pod.to_string(),
            Claimant::Node(node) => node.to_string(),
            Claimant::Vip(name) => format!("Vip {name}"),
            Claimant::Unknown(name) => format!("IP {name}"),
        });
        let ports = self.inputs.ports.iter();
        let ports = ports.filter(|(_, port)| port.subnet == *subnet);
        recorded
            .chain(ports.map(|(key, _)| key.pod.to_string()))
            .collect()
    }

    /// The subnets that are in the VPC.
    pub fn subnets_in(&self, vpc: &VpcName) -> impl Iterator<Item = &SubnetName> {
        let members = self
            .subnets
            .iter()
            .filter(move |(_, it)| it.network.vpc == *vpc);
        members.map(|(name, _)| name)
    }

    pub(crate) fn keep(&mut self, kept: Kept) {
        self.kept.insert(kept);
    }
}

fn kept(name: &ObjectName) -> Option<Kept> {
    let text = name.name.clone();
    match name.kind {
        Kind::Subnet => SubnetName::new(text).ok().map(Kept::Subnet),
        Kind::Vpc => VpcName::new(text).ok().map(Kept::Vpc),
        Kind::Namespace => Some(Kept::Namespace(text)),
        Kind::Ip
        | Kind::Node
        | Kind::Pod
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::StatefulSet
        | Kind::IpPool
        | Kind::Vip
        | Kind::Vlan => None,
    }
}
