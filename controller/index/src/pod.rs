//! `Pod`: what network it asks for and what was recorded for it.

mod life;
mod nic;
mod shared;
mod wish;

use std::collections::BTreeSet;
use std::net::IpAddr;

use api::annotation::{CLAIMANT_UID, key};
use controller_plan as plan;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::jiff::Timestamp;
use kube::core::ObjectMeta;
use model::{DualStack, MacAddr, NodeName, PodKey, PortKey, Provider, SubnetName};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::record::Record;
use crate::stateful_set::Place;
use crate::table::Table;
use crate::text::{Annotations, Rejected, parse, uid};
use crate::told::Told;

pub use nic::Nic;
pub use wish::{Pool, Wish};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub uid: String,
    pub node: Option<NodeName>,
    pub network: NetworkMode,
    pub phase: Phase,
    /// When it counts as gone, though nobody saw it end: its node may be lost.
    pub ends: Option<Timestamp>,
    /// Its place in a StatefulSet.
    pub place: Option<Place>,
    /// What a user asked for, or what is wrong with that.
    pub wish: Result<Wish, Rejected>,
    /// What its annotations say was recorded.
    pub allocation: Option<Allocation>,
    /// Where its default routes lead.
    pub gateways: DualStack<IpAddr>,
    pub nic: Nic,
    /// What its annotations say of its subnet.
    pub told: Told,
    /// Whether its annotations say what those of every pod do.
    pub is_marked: bool,
    /// Whose its annotations say that it is.
    pub origin: Origin,
    pub security: plan::PortSecurity,
    /// The VIPs that it names.
    pub shared: BTreeSet<plan::Shared>,
    /// The gateway that it names.
    pub north: DualStack<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMode {
    /// A network namespace of its own.
    Pod,
    /// The node's.
    Host,
}

/// Who gave a pod its addresses, and attached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Its annotations name this very pod.
    Ours,
    /// Kube-OVN, or nobody yet.
    Unsaid,
}

/// How far a pod's life has come, as far as addresses are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for its network.
    Pending,
    /// Has run, and may still.
    Started,
    /// Will never run again: its addresses are free.
    Finished,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    pub subnet: SubnetName,
    pub addresses: DualStack<IpAddr>,
    pub mac: MacAddr,
}

impl Watched for core::Pod {
    const KIND: Kind = Kind::Pod;
    type Key = PodKey;
    type Row = Pod;

    fn key(&self) -> Option<Self::Key> {
        PodKey::new(
            self.metadata.namespace.clone()?,
            self.metadata.name.clone()?,
        )
        .ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let annotations = Annotations::of(&self.metadata, &Provider::Ovn);
        let spec = self.spec.as_ref();
        let host_network = spec.and_then(|spec| spec.host_network).unwrap_or(false);
        let node = spec
            .and_then(|spec| spec.node_name.as_deref())
            .unwrap_or_default();
        let (allocation, wish) = wish::read(annotations);
        Ok(Pod {
            uid: uid(&self.metadata),
            node: parse("spec.nodeName", node)?,
            network: if host_network {
                NetworkMode::Host
            } else {
                NetworkMode::Pod
            },
            phase: life::phase(self),
            ends: life::end(self),
            place: Watched::key(self).and_then(|key| Place::of(self, &key)),
            wish,
            allocation,
            gateways: annotations.text(key::GATEWAY).parse().unwrap_or_default(),
            // what cannot be read is told, and stays
            nic: Nic::of(annotations).unwrap_or(Nic::VethPair),
            told: Told::of(annotations),
            is_marked: is_marked(annotations),
            origin: origin(&self.metadata),
            security: if annotations.is_true(key::PORT_SECURITY) {
                plan::PortSecurity::On
            } else {
                plan::PortSecurity::Off
            },
            // what cannot be read is told
            shared: shared::read(annotations).unwrap_or_default(),
            north: wish::north(annotations).unwrap_or_default(),
        })
    }

    /// A pod on the node's network is free to have any annotations.
    fn complaint(row: &Pod) -> Option<Rejected> {
        let wish = row.wish.as_ref().err().cloned();
        wish.or_else(|| row.nic.unserved())
            .filter(|_| row.network == NetworkMode::Pod)
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.pods
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        index.schedule_end(&edit.key, edit.old.as_ref(), edit.new.as_ref());
        index.count_gateways(edit.old.as_ref(), edit.new.as_ref());
        if edit.new.is_some_and(|pod| pod.allocation.is_none()) {
            index.waiting.insert(edit.key.clone());
        } else {
            index.waiting.remove(&edit.key);
        }
        index.derive_port(&edit.key);
        index.claims.insert(Claimant::Pod(edit.key));
    }
}

/// Whether the annotations are there that depend on nothing but that the pod has addresses.
fn is_marked(annotations: Annotations<'_>) -> bool {
    annotations.is_true(key::ROUTED)
        && annotations.text(key::NETWORK_TYPE) == api::annotation::GENEVE
        && !annotations.text(key::POD_NIC_TYPE).is_empty()
}

impl Index {
    /// What is recorded for the pod. Its annotations count first, while they can be read. A pod
    /// that never ran may have been created with the annotations of another one, so for it they
    /// count only with a record.
    pub fn allocation(&self, key: &PodKey, pod: &Pod) -> Option<Allocation> {
        if pod.phase == Phase::Started && pod.allocation.is_some() {
            return pod.allocation.clone();
        }
        let record = self.record_of(&Claimant::Pod(key.clone()), &pod.uid)?;
        let annotated = pod.allocation.clone();
        Some(annotated.unwrap_or_else(|| record.allocation()))
    }

    /// The record of that very claimant.
    pub fn record_of(&self, claimant: &Claimant, uid: &str) -> Option<&Record> {
        let record = self.records.get(&claimant.record_name())?;
        let is_ours = record.claimant == *claimant && record.is_for(uid);
        is_ours.then_some(record)
    }

    /// Whether the pod must have addresses, recorded or not.
    pub fn needs_addresses(&self, key: &PodKey, pod: &Pod) -> bool {
        let may_begin = pod.phase == Phase::Pending && pod.wish.is_ok();
        pod.network == NetworkMode::Pod
            && !self.is_over(pod)
            && (may_begin || self.allocation(key, pod).is_some())
    }

    /// The pod's port, once its addresses are recorded.
    fn port(&self, key: &PodKey) -> Option<plan::Port> {
        let pod = self.pods.get(key)?;
        let is_served = pod.network == NetworkMode::Pod && !self.is_over(pod);
        let allocation = is_served.then(|| self.allocation(key, pod)).flatten()?;
        Some(plan::Port {
            subnet: allocation.subnet,
            uid: self.version(key, pod),
            addresses: allocation.addresses,
            mac: allocation.mac,
            node: pod.node.clone(),
            security: pod.security,
            shared: pod.shared.clone(),
            north: pod.north,
        })
    }

    /// Who attaches the pod, or did. One with addresses that does not say that they are from us was
    /// attached by Kube-OVN, whatever became of its record since; while it says nothing, its record
    /// tells, in which Kube-OVN names no claimant.
    pub fn origin(&self, key: &PodKey, pod: &Pod) -> Origin {
        let record = self.records.get(&PortKey::primary(key.clone()).lsp());
        let is_legacy = record.is_some_and(|record| record.claimant_uid.is_none());
        if pod.allocation.is_none() && !is_legacy {
            Origin::Ours
        } else {
            pod.origin
        }
    }

    /// What the pod's interface carries.
    fn version(&self, key: &PodKey, pod: &Pod) -> String {
        match self.origin(key, pod) {
            Origin::Ours => pod.uid.clone(),
            Origin::Unsaid => String::new(),
        }
    }

    pub(crate) fn derive_port(&mut self, key: &PodKey) {
        let port = PortKey::primary(key.clone());
        let old = match self.port(key) {
            Some(new) => self.inputs.ports.insert(port.clone(), new),
            None => self.inputs.ports.remove(&port),
        };
        let (old, new) = (old.as_ref(), self.inputs.ports.get(&port));
        if old != new {
            let [was_in, is_in] = [old, new].map(|it| it.map(|it| &it.subnet));
            self.ports_in.regroup(&port, was_in, is_in);
            let [was_on, is_on] = [old, new].map(|it| it.and_then(|it| it.node.as_ref()));
            self.ports_on.regroup(&port, was_on, is_on);
            self.dirty_port(port);
        }
    }
}

/// The annotations may be copied from another pod.
fn origin(meta: &ObjectMeta) -> Origin {
    let annotations = meta.annotations.as_ref();
    let named = annotations.and_then(|all| all.get(CLAIMANT_UID));
    if named.is_some_and(|it| *it == uid(meta)) {
        Origin::Ours
    } else {
        Origin::Unsaid
    }
}
