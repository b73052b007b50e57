//! `IP`: the record of an allocation.

use std::collections::btree_map::Entry;
use std::net::IpAddr;

use model::{DualStack, MacAddr, NodeName, PodKey, PortKey, SubnetName, VipName};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::pod::Allocation;
use crate::stateful_set::{Place, STATEFUL_SET};
use crate::table::Table;
use crate::text::{Rejected, require, uid};
use crate::vip::VIP;

/// An allocation that is recorded in an `IP` object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The UID of the object itself.
    pub uid: String,
    pub claimant: Claimant,
    /// The UID of the claimant; `None` in a record that names none, as Kube-OVN writes them.
    pub claimant_uid: Option<String>,
    /// Where the claimant runs; `None` where that was not known yet.
    pub node: Option<NodeName>,
    pub subnet: SubnetName,
    pub addresses: DualStack<IpAddr>,
    pub mac: MacAddr,
    /// The place in a StatefulSet whose pods inherit the addresses.
    pub place: Option<Place>,
    /// Whether its labels name its subnet, by which tools find it.
    pub is_labelled: bool,
}

impl Watched for api::Ip {
    const KIND: Kind = Kind::Ip;
    type Key = String;
    type Row = Record;

    fn key(&self) -> Option<Self::Key> {
        self.metadata.name.clone()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let annotations = self.metadata.annotations.as_ref();
        let claimant_uid = annotations.and_then(|all| all.get(api::annotation::CLAIMANT_UID));
        let claimant = claimant(self);
        Ok(Record {
            uid: uid(&self.metadata),
            place: place(self, &claimant, claimant_uid),
            claimant,
            claimant_uid: claimant_uid.cloned(),
            is_labelled: is_labelled(self),
            node: NodeName::new(self.spec.node_name.clone()).ok(),
            subnet: require("spec.subnet", &self.spec.subnet)?,
            addresses: require("spec.ipAddress", &self.spec.ip_address)?,
            mac: require("spec.macAddress", &self.spec.mac_address)?,
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.records
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        if let Some(old) = &edit.old {
            index.displace(old);
        }
        if let Some((Claimant::Pod(pod), place)) = edit.new.as_ref().and_then(Record::placed) {
            let placed = index.placed.entry(place.set.clone()).or_default();
            placed.insert(pod.clone());
        }
        index.place_record(&edit.key, edit.old.as_ref(), edit.new.as_ref());
        for record in [edit.old, edit.new].into_iter().flatten() {
            match &record.claimant {
                Claimant::Pod(pod) => index.derive_port(pod),
                Claimant::Node(node) => index.derive_node(node),
                Claimant::Vip(vip) => index.derive_reserved(vip),
                Claimant::Unknown(_) => {}
            }
            index.claims.insert(record.claimant);
        }
        index.changed_records.insert(edit.key);
    }
}

// === impl Record ===

impl Record {
    /// Whether it was made for the object with this UID; one that names none is for whoever comes.
    pub fn is_for(&self, uid: &str) -> bool {
        self.claimant_uid.as_ref().is_none_or(|it| it == uid)
    }

    /// What it says, as a pod's annotations would.
    pub fn allocation(&self) -> Allocation {
        Allocation {
            subnet: self.subnet.clone(),
            addresses: self.addresses,
            mac: self.mac,
        }
    }

    fn placed(&self) -> Option<(&Claimant, &Place)> {
        Some((&self.claimant, self.place.as_ref()?))
    }
}

impl Index {
    /// Forgets that the record belongs to a StatefulSet.
    fn displace(&mut self, record: &Record) {
        let Some((Claimant::Pod(pod), place)) = record.placed() else {
            return;
        };
        if let Entry::Occupied(mut placed) = self.placed.entry(place.set.clone()) {
            placed.get_mut().remove(pod);
            if placed.get().is_empty() {
                placed.remove();
            }
        }
    }
}

/// Kube-OVN 1.7 does not write what kind of pod a record is for, so the name has to tell: it counts
/// only while there is such a StatefulSet.
fn place(ip: &api::Ip, claimant: &Claimant, uid: Option<&String>) -> Option<Place> {
    let Claimant::Pod(pod) = claimant else {
        return None;
    };
    let kind = ip.spec.pod_type.as_str();
    let is_placed = kind == STATEFUL_SET || (kind.is_empty() && uid.is_none());
    is_placed.then(|| Place::named(pod)).flatten()
}

fn is_labelled(ip: &api::Ip) -> bool {
    let (labels, subnet) = (ip.metadata.labels.as_ref(), &ip.spec.subnet);
    labels.is_some_and(|labels| {
        let named = labels.get(api::annotation::SUBNET_LABEL);
        named == Some(subnet) && labels.contains_key(subnet)
    })
}

/// Whom the record is for, if its name agrees.
fn claimant(ip: &api::Ip) -> Claimant {
    let name = ip.metadata.name.clone().unwrap_or_default();
    let spec = &ip.spec;
    let node = NodeName::new(spec.pod_name.clone())
        .ok()
        .filter(|_| spec.namespace.is_empty());
    let vip = VipName::new(spec.pod_name.clone())
        .ok()
        .filter(|vip| spec.pod_type == VIP && vip.record() == name);
    if let Some(vip) = vip {
        return Claimant::Vip(vip);
    }
    let pod = PodKey::new(spec.namespace.clone(), spec.pod_name.clone()).ok();
    let node = node.filter(|node| node.lsp() == name).map(Claimant::Node);
    let pod = pod
        .filter(|pod| PortKey::primary(pod.clone()).lsp() == name)
        .map(Claimant::Pod);
    node.or(pod).unwrap_or(Claimant::Unknown(name))
}
