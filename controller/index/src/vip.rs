//! `Vip`: an address that is reserved for no pod in particular.

use std::net::IpAddr;

use controller_plan as plan;
use model::{DualStack, MacAddr, SubnetName, VipName};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::pod::Allocation;
use crate::table::Table;
use crate::text::{Rejected, parse, require, uid};

/// What the record of a VIP says that it is for (`spec.podType`).
pub const VIP: &str = "Vip";

/// A VIP as declared, and what its status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vip {
    pub uid: String,
    pub subnet: SubnetName,
    /// Whose pods may use the address.
    pub namespace: String,
    pub wanted: DualStack<IpAddr>,
    pub mac: Option<MacAddr>,
    /// What its status says was reserved.
    pub reserved: Option<Allocation>,
    pub is_ending: bool,
    /// What cannot be read of it: it counts as not there.
    pub fault: Option<Rejected>,
}

impl Watched for api::Vip {
    const KIND: Kind = Kind::Vip;
    type Key = VipName;
    type Row = Vip;

    fn key(&self) -> Option<Self::Key> {
        VipName::new(self.metadata.name.clone()?).ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let subnet: SubnetName = require("spec.subnet", &self.spec.subnet)?;
        let v4 = address("spec.v4ip", &self.spec.v4_ip, IpAddr::is_ipv4);
        let v6 = address("spec.v6ip", &self.spec.v6_ip, IpAddr::is_ipv6);
        let mac = parse("spec.macAddress", &self.spec.mac_address);
        let faults = [v4.as_ref().err(), v6.as_ref().err(), mac.as_ref().err()];
        let fault = faults.into_iter().flatten().next().cloned();
        let wanted = DualStack {
            v4: v4.unwrap_or_default(),
            v6: v6.unwrap_or_default(),
        };
        Ok(Vip {
            uid: uid(&self.metadata),
            reserved: reserved(self, &subnet),
            subnet,
            namespace: self.spec.namespace.clone(),
            wanted,
            mac: mac.unwrap_or_default(),
            is_ending: self.metadata.deletion_timestamp.is_some(),
            fault,
        })
    }

    /// What is reserved stays so.
    fn complaint(vip: &Vip) -> Option<Rejected> {
        if vip.fault.is_some() {
            return vip.fault.clone();
        }
        let reserved = vip.reserved.as_ref()?;
        let wanted = vip.wanted.iter();
        let mut moved = wanted.filter(|(family, it)| reserved.addresses.get(*family) != Some(it));
        let (family, wanted) = moved.next()?;
        Some(Rejected {
            field: match family {
                model::IpFamily::V4 => "spec.v4ip".to_owned(),
                model::IpFamily::V6 => "spec.v6ip".to_owned(),
            },
            value: wanted.to_string(),
            cause: format!(
                "it has {} already; write that, or delete the VIP and create it again",
                reserved.addresses
            ),
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.vips
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        index.derive_reserved(&edit.key);
        index.claims.insert(Claimant::Vip(edit.key));
    }
}

impl Index {
    /// What the VIP reserves, for the pods that name it.
    pub(crate) fn derive_reserved(&mut self, name: &VipName) {
        let vip = self.vips.get(name).filter(|vip| !vip.is_ending);
        let new = vip.map(|vip| {
            let record = self.record_of(&Claimant::Vip(name.clone()), &vip.uid);
            plan::Reserved {
                subnet: record.map_or(&vip.subnet, |it| &it.subnet).clone(),
                namespace: vip.namespace.clone(),
                addresses: record.map(|it| it.addresses).unwrap_or_default(),
            }
        });
        let old = match new.clone() {
            Some(reserved) => self.inputs.reserved.insert(name.clone(), reserved),
            None => self.inputs.reserved.remove(name),
        };
        if old != new {
            self.dirty_sharing_ports();
        }
    }
}

fn address(
    field: &str,
    text: &str,
    is_of_family: fn(&IpAddr) -> bool,
) -> Result<Option<IpAddr>, Rejected> {
    let address = parse(field, text)?;
    match address.filter(|it| !is_of_family(it)) {
        None => Ok(address),
        Some(_) => Err(Rejected {
            field: field.to_owned(),
            value: text.to_owned(),
            cause: "it is of the other family; write it in the other field".to_owned(),
        }),
    }
}

/// A status that cannot be read was not written by us.
fn reserved(vip: &api::Vip, subnet: &SubnetName) -> Option<Allocation> {
    let status = vip.status.as_ref()?;
    let addresses = DualStack {
        v4: status.v4_ip.parse().ok(),
        v6: status.v6_ip.parse().ok(),
    };
    Some(Allocation {
        subnet: subnet.clone(),
        addresses,
        mac: status.mac.parse().ok()?,
    })
}
