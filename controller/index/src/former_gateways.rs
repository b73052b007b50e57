//! Gateways that pods go on using when their subnet gets another one.
//!
//! A pod's default route is made once. As long as one has a former gateway in it, the router answers
//! for that address, too, and the pod's annotation goes on naming it. Only addresses in `excludeIps` count, where every gateway is written to: so
//! no annotation makes the router take the address of a pod.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use controller_plan as plan;
use model::{DualStack, Owner, SubnetName};

use crate::index::Index;
use crate::pod::{Phase, Pod};

/// How many pods of each subnet have which gateway.
#[derive(Debug, Default)]
pub(crate) struct Gateways(BTreeMap<SubnetName, BTreeMap<IpAddr, usize>>);

// === impl Gateways ===

impl Gateways {
    /// Whether it is the first pod with the gateway.
    fn add(&mut self, subnet: &SubnetName, gateway: IpAddr) -> bool {
        let of_subnet = self.0.entry(subnet.clone()).or_default();
        let count = of_subnet.entry(gateway).or_default();
        *count += 1;
        *count == 1
    }

    /// Whether it was the last pod with the gateway.
    fn remove(&mut self, subnet: &SubnetName, gateway: IpAddr) -> bool {
        let Some(of_subnet) = self.0.get_mut(subnet) else {
            return false;
        };
        let count = of_subnet.get_mut(&gateway).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if count == Some(0) {
            of_subnet.remove(&gateway);
        }
        if of_subnet.is_empty() {
            self.0.remove(subnet);
        }
        count == Some(0)
    }

    fn of(&self, subnet: &SubnetName) -> impl Iterator<Item = IpAddr> {
        let of_subnet = self.0.get(subnet).into_iter();
        of_subnet.flat_map(|it| it.keys().copied())
    }
}

// === impl Index ===

impl Index {
    /// The gateways that running pods of the subnet have besides its own.
    pub fn former_gateways(&self, subnet: &SubnetName) -> BTreeSet<IpAddr> {
        let former = self.inputs.former_gateways.get(subnet);
        former.cloned().unwrap_or_default()
    }

    /// The gateways of a pod on the network: those that it has, as long as the router answers for
    /// them, else the network's.
    pub fn gateways_of(
        &self,
        subnet: &SubnetName,
        network: &plan::Subnet,
        has: &DualStack<IpAddr>,
    ) -> DualStack<IpAddr> {
        let former = self.inputs.former_gateways.get(subnet);
        let is_former = |it: &&IpAddr| former.is_some_and(|former| former.contains(*it));
        let kept = |family| has.get(family).filter(is_former).copied();
        network
            .gateways
            .map(|family, own| kept(family).unwrap_or(*own))
    }

    /// Counts the gateways of a pod that changed.
    pub(crate) fn count_gateways(&mut self, old: Option<&Pod>, new: Option<&Pod>) {
        let (old, new) = (used(old), used(new));
        if old == new {
            return;
        }
        let mut changed = BTreeSet::new();
        for (subnet, gateway) in old {
            if self.gateways.remove(&subnet, gateway) {
                changed.insert(subnet);
            }
        }
        for (subnet, gateway) in new {
            if self.gateways.add(&subnet, gateway) {
                changed.insert(subnet);
            }
        }
        for subnet in changed {
            self.derive_former_gateways(&subnet);
        }
    }

    /// Carries into the inputs what pods have and the subnet has not any more.
    pub(crate) fn derive_former_gateways(&mut self, name: &SubnetName) {
        let subnet = self.subnets.get(name);
        let is_former = |gateway: &IpAddr| {
            subnet.is_some_and(|it| {
                let is_own = it.network.gateways.values().any(|own| own == gateway);
                !is_own && it.excludes.iter().any(|range| range.contains(*gateway))
            })
        };
        let former: BTreeSet<IpAddr> = self.gateways.of(name).filter(is_former).collect();
        let all = &mut self.inputs.former_gateways;
        let before = all.remove(name).unwrap_or_default();
        if before == former {
            if !before.is_empty() {
                all.insert(name.clone(), before);
            }
            return;
        }
        if !former.is_empty() {
            all.insert(name.clone(), former);
        }
        self.outdate_holders(name);
        self.dirty.insert(Owner::Subnet(name.clone()));
        self.changed_subnets.insert(name.clone());
    }
}

/// The gateways in the default routes of a pod.
fn used(pod: Option<&Pod>) -> Vec<(SubnetName, IpAddr)> {
    let pod = pod.filter(|pod| pod.phase != Phase::Finished);
    let allocation = pod.and_then(|pod| Some((pod, pod.allocation.as_ref()?)));
    let gateways = allocation.into_iter().flat_map(|(pod, allocation)| {
        let gateways = pod.gateways.values();
        gateways.map(|gateway| (allocation.subnet.clone(), *gateway))
    });
    gateways.collect()
}
