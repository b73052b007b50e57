//! Which subnet the pods of a namespace are on.
//!
//! In this order: a subnet that names the namespace, one whose selectors select it, the default
//! subnet of a VPC that names it, the controller's default subnet. Of several subnets the one that
//! was created last has it, and of those created at once the last by name: whatever the order of
//! events, and however often controllers start, the answer is the same. (In Kube-OVN whoever is
//! reconciled last takes the namespace, which for a new subnet comes to the same.) The name of the
//! namespace is then taken out of the others' specs.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use model::{SubnetName, VpcName};

use crate::acceptance::{Effect, Fault};
use crate::claimant::Claimant;
use crate::index::Index;
use crate::kept::Kept;
use crate::namespace::Binding;
use crate::subnet::{Provision, Subnet};
use crate::vpc::Vpc;

/// What subnets say of namespaces, and what follows for each.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    /// The subnets that name each namespace.
    named_by: BTreeMap<String, BTreeSet<SubnetName>>,
    /// The subnets that have selectors.
    selecting: BTreeSet<SubnetName>,
    /// The subnet of each namespace that exists or is named somewhere.
    bound: BTreeMap<String, SubnetName>,
}

// === impl Bindings ===

impl Bindings {
    pub(crate) fn replace(
        &mut self,
        name: &SubnetName,
        old: Option<&Subnet>,
        new: Option<&Subnet>,
    ) {
        for namespace in old.into_iter().flat_map(|old| &old.namespaces) {
            if let Entry::Occupied(mut names) = self.named_by.entry(namespace.clone()) {
                names.get_mut().remove(name);
            }
        }
        for namespace in new.into_iter().flat_map(|new| &new.namespaces) {
            let names = self.named_by.entry(namespace.clone()).or_default();
            names.insert(name.clone());
        }
        self.named_by.retain(|_, names| !names.is_empty());
        if new.is_some_and(|new| !new.selectors.is_empty()) {
            self.selecting.insert(name.clone());
        } else {
            self.selecting.remove(name);
        }
    }
}

// === impl Index ===

impl Index {
    /// The subnet of the namespace's pods that ask for no other.
    pub fn subnet_of_namespace(&self, namespace: &str) -> &SubnetName {
        let bound = self.bindings.bound.get(namespace);
        bound.unwrap_or(&self.defaults.subnet)
    }

    /// Whether the namespace has to be seen before its subnet is known.
    pub fn awaits_namespace(&self, namespace: &str) -> bool {
        let is_unknown = self.namespaces.get(&namespace.to_owned()).is_none();
        is_unknown && !self.bindings.selecting.is_empty()
    }

    /// The subnet that has the namespace in place of `subnet`, which names it, too.
    pub fn taken_by(&self, namespace: &str, subnet: &SubnetName) -> Option<&SubnetName> {
        let holder = self.bindings.bound.get(namespace)?;
        let named_by = self.bindings.named_by.get(namespace)?;
        (holder != subnet && named_by.contains(holder)).then_some(holder)
    }

    /// What the namespace's annotations should tell; `None` while its subnet does not exist.
    pub fn binding_of(&self, namespace: &str) -> Option<Binding> {
        let name = self.subnet_of_namespace(namespace);
        let subnet = self.subnets.get(name)?;
        let accepted = self.acceptances.get(name).and_then(|it| it.cidrs);
        let completed = subnet.completed();
        Some(Binding {
            logical_switch: name.to_string(),
            cidr: accepted.unwrap_or(subnet.network.cidrs).to_string(),
            exclude_ips: completed.exclude_ips.join(","),
        })
    }

    /// The default subnet of the VPC; `None` where there is none.
    pub fn default_subnet_of(&self, name: &VpcName) -> Option<&SubnetName> {
        if *name == self.defaults.settings.default_vpc {
            return Some(&self.defaults.subnet);
        }
        let vpc = self.vpcs.get(name)?;
        let may_be = |it: &Subnet| it.network.vpc == *name && it.takes_namespaces();
        let named = vpc.default_subnet.as_ref();
        let named = named.filter(|it| self.subnets.get(it).is_some_and(may_be));
        let mut marked = self.subnets.iter();
        let marked = marked.find(|(_, it)| it.is_default && may_be(it));
        named.or_else(|| marked.map(|(name, _)| name))
    }

    /// The VPC names a default subnet in vain.
    pub(crate) fn default_subnet_fault(&self, name: &VpcName, vpc: &Vpc) -> Option<Fault> {
        let named = vpc.default_subnet.as_ref()?;
        if self.default_subnet_of(name) == Some(named) {
            return None;
        }
        let cause = match self.subnets.get(named) {
            _ if *name == self.defaults.settings.default_vpc => format!(
                "in this VPC it is {}, with which the controller was started; remove the field",
                self.defaults.subnet
            ),
            None => "there is no such subnet, or it cannot be read; create it or name another"
                .to_owned(),
            Some(subnet) if subnet.network.vpc != *name => {
                format!("it is in VPC {}; name one of this VPC", subnet.network.vpc)
            }
            Some(_) => "it takes no pods: it is being deleted, or another plugin's; name another"
                .to_owned(),
        };
        let field = "spec.defaultSubnet";
        Some(Fault::new(Effect::Told, field, named.to_string(), cause))
    }

    /// Looks for the subnet of one namespace again.
    pub(crate) fn bind(&mut self, namespace: &str) {
        let subnet = self.choose_subnet(namespace);
        let is_known = self.namespaces.get(&namespace.to_owned()).is_some();
        let is_named = self.bindings.named_by.contains_key(namespace)
            || self
                .vpcs
                .iter()
                .any(|(_, it)| it.namespaces.contains(namespace));
        let old = if is_known || is_named {
            self.bindings
                .bound
                .insert(namespace.to_owned(), subnet.clone())
        } else {
            self.bindings.bound.remove(namespace)
        };
        let named_by = self.bindings.named_by.get(namespace);
        let named_by: Vec<_> = named_by.into_iter().flatten().cloned().collect();
        if old.as_ref() != Some(&subnet) {
            self.reconsider_namespace(namespace);
        }
        for name in named_by.into_iter().filter(|it| *it != subnet) {
            self.keep(Kept::Subnet(name));
        }
    }

    /// Looks for the subnets of all namespaces again.
    pub(crate) fn bind_all(&mut self) {
        let of_vpcs = self.vpcs.iter().flat_map(|(_, vpc)| &vpc.namespaces);
        let named = self.bindings.named_by.keys().chain(of_vpcs);
        let formerly = self.bindings.bound.keys();
        let all = self.namespaces.keys().chain(named).chain(formerly);
        let all: BTreeSet<String> = all.cloned().collect();
        for namespace in all {
            self.bind(&namespace);
            let known = self.namespaces.get(&namespace);
            let stale =
                known.is_some_and(|it| Some(&it.annotated) != self.binding_of(&namespace).as_ref());
            if stale {
                self.keep(Kept::Namespace(namespace));
            }
        }
    }

    fn choose_subnet(&self, namespace: &str) -> SubnetName {
        let named = self.bindings.named_by.get(namespace).into_iter().flatten();
        let named = self.last_created(named.filter(|it| self.may_have(it, namespace)));
        let selected = || {
            let labels = &self.namespaces.get(&namespace.to_owned())?.labels;
            let selecting = self.bindings.selecting.iter();
            self.last_created(selecting.filter(|name| {
                let subnet = self.subnets.get(name);
                let selects = |it: &Subnet| it.selectors.iter().any(|it| it.selects(labels));
                subnet.is_some_and(selects) && self.may_have(name, namespace)
            }))
        };
        let of_vpc = || {
            let vpcs = self.vpcs.iter();
            let mut vpcs = vpcs.filter(|(_, vpc)| vpc.namespaces.contains(namespace));
            vpcs.find_map(|(name, _)| self.default_subnet_of(name))
        };
        let chosen = named.or_else(selected).or_else(of_vpc);
        chosen.unwrap_or(&self.defaults.subnet).clone()
    }

    fn last_created<'a>(
        &self,
        names: impl Iterator<Item = &'a SubnetName>,
    ) -> Option<&'a SubnetName> {
        names.max_by_key(|name| {
            let subnet = self.subnets.get(name);
            (subnet.and_then(|it| it.life.created.as_ref()), *name)
        })
    }

    fn may_have(&self, name: &SubnetName, namespace: &str) -> bool {
        let subnet = self.subnets.get(name);
        subnet.is_some_and(|it| it.takes_namespaces() && self.vpc_lets(&it.network.vpc, namespace))
    }

    /// Whether subnets of the VPC may have the namespace: a VPC other than the default one says so.
    pub(crate) fn vpc_lets(&self, name: &VpcName, namespace: &str) -> bool {
        let lists = |vpc: &Vpc| vpc.namespaces.contains(namespace);
        *name == self.defaults.settings.default_vpc || self.vpcs.get(name).is_some_and(lists)
    }

    pub(crate) fn reconsider_namespace(&mut self, namespace: &str) {
        let pods = self.pods.iter();
        let waiting =
            pods.filter(|(key, pod)| key.namespace == namespace && pod.allocation.is_none());
        let waiting: Vec<_> = waiting.map(|(key, _)| Claimant::Pod(key.clone())).collect();
        self.claims.extend(waiting);
    }
}

// === impl Subnet ===

impl Subnet {
    /// Whether pods may come to be on it through their namespace.
    pub(crate) fn takes_namespaces(&self) -> bool {
        self.provision == Provision::Network && !self.life.is_ending()
    }
}
