//! Who has addresses that their subnet contains no more, since its CIDR was edited.

use std::collections::{BTreeMap, BTreeSet};

use model::SubnetName;

use crate::acceptance::{Effect, Fault};
use crate::index::Index;
use crate::record::Record;
use crate::subnet::Subnet;

/// So many are named; more are counted.
const NAMED: usize = 5;

/// The names of such records, by subnet.
#[derive(Debug, Default)]
pub(crate) struct Outside(BTreeMap<SubnetName, BTreeSet<String>>);

// === impl Index ===

impl Index {
    /// A record came, changed or went.
    pub(crate) fn place_record(&mut self, name: &str, old: Option<&Record>, new: Option<&Record>) {
        let both = [old, new].into_iter().flatten();
        if both.into_iter().any(|it| self.is_at_gateway(it)) {
            self.unsettle();
        }
        if let Some(record) = old {
            let names = self.outside.0.get_mut(&record.subnet);
            if names.is_some_and(|names| names.remove(name)) {
                self.unsettle();
            }
        }
        if let Some(record) = new {
            let subnet = self.subnets.get(&record.subnet);
            if subnet.is_some_and(|it| is_outside(record, it)) {
                let names = self.outside.0.entry(record.subnet.clone()).or_default();
                names.insert(name.to_owned());
                self.unsettle();
            }
        }
    }

    /// The subnet has another network now.
    pub(crate) fn place_records_of(&mut self, name: &SubnetName) {
        self.outside.0.remove(name);
        let Some(subnet) = self.subnets.get(name) else {
            return;
        };
        let records = self.records.iter().filter(|(_, it)| it.subnet == *name);
        let outside = records.filter(|(_, record)| is_outside(record, subnet));
        let outside: BTreeSet<String> = outside.map(|(name, _)| name.clone()).collect();
        if !outside.is_empty() {
            self.outside.0.insert(name.clone(), outside);
        }
    }

    pub(crate) fn outside_fault(&self, name: &SubnetName, subnet: &Subnet) -> Option<Fault> {
        let outside = self.outside.0.get(name).filter(|it| !it.is_empty())?;
        let records = outside.iter().filter_map(|it| self.records.get(it));
        let holders = records.map(|it| format!("{} ({})", it.claimant, it.addresses));
        let named: Vec<String> = holders.take(NAMED).collect();
        let rest = outside.len().saturating_sub(NAMED);
        let rest = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        let cause = format!(
            "it does not contain the addresses of {}{rest}, which keep them and reach nobody \
             through the router; delete them, or choose a CIDR that contains them",
            named.join(", ")
        );
        let cidrs = subnet.network.cidrs.to_string();
        Some(Fault::new(Effect::Told, "spec.cidrBlock", cidrs, cause))
    }
}

fn is_outside(record: &Record, subnet: &Subnet) -> bool {
    let cidrs = &subnet.network.cidrs;
    let mut addresses = record.addresses.values();
    addresses.any(|address| !cidrs.values().any(|cidr| cidr.contains(*address)))
}
