//! What the annotations of a pod or a node say of the network that it is in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use api::annotation::key;
use controller_plan as plan;
use model::{CidrPair, DualStack, SubnetName};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::text::Annotations;

/// What a claimant was told of its subnet; what cannot be read counts as not told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    cidrs: Option<CidrPair>,
    gateways: Option<DualStack<IpAddr>>,
}

// === impl Told ===

impl Told {
    pub(crate) fn of(annotations: Annotations<'_>) -> Self {
        Self {
            cidrs: annotations.parse(key::CIDR).ok().flatten(),
            gateways: annotations.parse(key::GATEWAY).ok().flatten(),
        }
    }

    /// Whether that is the network, and these its gateways.
    pub fn is(&self, network: &plan::Subnet, gateways: DualStack<IpAddr>) -> bool {
        self.cidrs == Some(network.cidrs) && self.gateways == Some(gateways)
    }
}

impl Index {
    /// The network of a subnet: that of its rows, else the declared one.
    pub fn network_of(&self, subnet: &SubnetName) -> Option<&plan::Subnet> {
        let declared = || self.subnets.get(subnet).map(|it| &it.network);
        self.inputs.subnets.get(subnet).or_else(declared)
    }

    /// Those whose annotations may tell of a network that their subnet has no more.
    pub fn take_outdated(&mut self) -> BTreeSet<Claimant> {
        std::mem::take(&mut self.outdated)
    }

    pub(crate) fn outdate_holders(&mut self, subnet: &SubnetName) {
        let records = self.records.iter().map(|(_, record)| record);
        let held = records.filter(|record| record.subnet == *subnet);
        self.outdated.extend(held.map(|it| it.claimant.clone()));
    }
}
