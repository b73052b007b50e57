//! `IP`: the record of an allocation.

use std::net::IpAddr;

use model::{DualStack, MacAddr, NodeName, PodKey, PortKey, SubnetName};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::{Rejected, require, uid};

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
        Ok(Record {
            uid: uid(&self.metadata),
            claimant: claimant(self),
            claimant_uid: claimant_uid.cloned(),
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
        for record in [edit.old, edit.new].into_iter().flatten() {
            index.claims.insert(record.claimant);
        }
        index.changed_records.insert(edit.key);
    }
}

/// Whom the record is for, if its name agrees.
fn claimant(ip: &api::Ip) -> Claimant {
    let name = ip.metadata.name.clone().unwrap_or_default();
    let spec = &ip.spec;
    let node = NodeName::new(spec.pod_name.clone())
        .ok()
        .filter(|_| spec.namespace.is_empty());
    let pod = PodKey::new(spec.namespace.clone(), spec.pod_name.clone()).ok();
    let node = node.filter(|node| node.lsp() == name).map(Claimant::Node);
    let pod = pod
        .filter(|pod| PortKey::primary(pod.clone()).lsp() == name)
        .map(Claimant::Pod);
    node.or(pod).unwrap_or(Claimant::Unknown(name))
}
