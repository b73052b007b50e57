//! Who has the address that is to be the gateway of a subnet from now on.

use std::net::IpAddr;

use model::SubnetName;

use crate::acceptance::{Effect, Fault};
use crate::index::Index;
use crate::record::Record;
use crate::subnet::Subnet;

// === impl Index ===

impl Index {
    /// Whether the record is of an address that its subnet wants as its gateway.
    pub(crate) fn is_at_gateway(&self, record: &Record) -> bool {
        let subnet = self.subnets.get(&record.subnet);
        subnet.is_some_and(|it| {
            let mut gateways = it.network.gateways.values();
            gateways.any(|gateway| record.addresses.values().any(|it| it == gateway))
        })
    }

    /// Somebody has the address that is to be the gateway from now on.
    pub(crate) fn new_gateway_fault(&self, name: &SubnetName, subnet: &Subnet) -> Option<Fault> {
        let former = subnet.accepted()?.gateways;
        let wanted = subnet.network.gateways;
        let new = wanted
            .iter()
            .filter(|(family, it)| former.get(*family) != Some(*it));
        let new: Vec<&IpAddr> = new.map(|(_, it)| it).collect();
        if new.is_empty() {
            return None;
        }
        let mut records = self.records.iter().filter(|(_, it)| it.subnet == *name);
        let (address, holder) = records.find_map(|(_, record)| {
            let mut taken = record.addresses.values().filter(|it| new.contains(it));
            Some((taken.next()?, &record.claimant))
        })?;
        let cause = format!(
            "{holder} has {address}; until it is gone the gateway stays {former}: choose an address \
             that is free, or delete who has it"
        );
        let field = "spec.gateway";
        Some(Fault::new(Effect::Blocks, field, wanted.to_string(), cause))
    }
}
