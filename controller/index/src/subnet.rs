//! `Subnet`: a logical switch and its addresses.

use std::collections::BTreeSet;

use controller_plan as plan;
use model::{AddressRange, MacAddr, Owner, SubnetName, VpcName};

use crate::acceptance::{Accepted, Effect, Fault};
use crate::gateway::{Gateways, Slots};
use crate::index::Index;
use crate::kept::Kept;
use crate::kind::{Kind, TableEdit, Watched};
use crate::life::{Life, declared};
use crate::selector::Selector;
use crate::table::Table;
use crate::text::{Rejected, require};

mod access;
mod completed;
mod network;

pub use completed::protocol;
use network::InForce;

/// A subnet as declared, defaults filled in. Which gateway nodes there are is not looked at yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Subnet {
    pub network: plan::Subnet,
    pub excludes: Vec<AddressRange>,
    /// The namespaces that it names.
    pub namespaces: BTreeSet<String>,
    /// It also has namespaces that one of these selects.
    pub selectors: Vec<Selector>,
    pub(crate) gateways: Gateways,
    /// The recorded gateway slots; on the join subnet.
    pub slots: Slots,
    pub provision: Provision,
    /// The recorded MAC of the router's port.
    pub router_mac: Option<MacAddr>,
    /// Whether it is for namespaces of its VPC that no subnet names.
    pub is_default: bool,
    pub life: Life,
    /// What is wrong with it by itself.
    pub faults: Vec<Fault>,
    /// The object without what is no intent.
    pub object: api::Subnet,
    accepted: Option<Accepted>,
    /// What it declares cannot be: its network is what was accepted.
    pub keeps_accepted: bool,
}

/// What a subnet provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provision {
    /// A logical switch with its addresses.
    Network,
    /// Addresses alone, for the network of another CNI plugin.
    AddressesOnly,
}

// === impl Subnet ===

impl Subnet {
    /// The network that it was accepted with, if it was.
    pub const fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_ref()
    }

    /// What is to be recorded of it once it is accepted.
    pub fn to_accept(&self) -> Accepted {
        Accepted {
            vpc: self.network.vpc.clone(),
            cidrs: self.network.cidrs,
            gateways: self.network.gateways,
            provider: Some(self.completed().provider),
            uid: Some(self.life.uid.clone()).filter(|it| !it.is_empty()),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.network.router_link == plan::RouterLink::Connected
    }
}

impl Watched for api::Subnet {
    const KIND: Kind = Kind::Subnet;
    type Key = SubnetName;
    type Row = Subnet;

    fn key(&self) -> Option<Self::Key> {
        SubnetName::new(self.metadata.name.clone()?).ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let spec = &self.spec;
        let accepted = network::accepted(self);
        let InForce { network, fault } = network::in_force(self, accepted.as_ref())?;
        let keeps_accepted = fault.is_some();
        let excludes = &spec.exclude_ips;
        let (excludes, unreadable) = lenient("spec.excludeIps", excludes, Effect::Blocks, require);
        let (access, of_access) = access::parse(spec, &network.cidrs);
        let faults = fault.into_iter().chain(unreadable).chain(of_access);
        let mut faults: Vec<Fault> = faults.collect();
        let selectors = spec.namespace_selectors.iter();
        let selectors = selectors.map(|it| Selector::parse("spec.namespaceSelectors", it));
        let selectors = selectors.filter_map(|it| told(it, &mut faults)).collect();
        let gateway_mode = told(gateway_mode(&spec.gateway_type), &mut faults);
        let gateways = Gateways::parse(spec, &mut faults);
        faults.extend(Self::Row::redirect_fault(spec));
        Ok(Subnet {
            provision: network::provision(network.provider.as_deref().unwrap_or(&spec.provider)),
            network: plan::Subnet {
                vpc: network.vpc,
                gateways: network.gateways,
                cidrs: network.cidrs,
                gateway_mode: gateway_mode.unwrap_or(plan::GatewayMode::Distributed),
                router_link: if spec.has_physical_gateway() {
                    plan::RouterLink::Absent
                } else {
                    plan::RouterLink::Connected
                },
                access,
            },
            excludes,
            namespaces: spec.namespaces.iter().cloned().collect(),
            selectors,
            gateways,
            slots: written(self, api::annotation::GATEWAY_SLOTS).unwrap_or_default(),
            router_mac: written(self, api::annotation::ROUTER_MAC),
            is_default: spec.default,
            life: Life::of(&self.metadata),
            faults,
            accepted,
            keeps_accepted,
            object: Self {
                status: None,
                ..declared(self)
            },
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.subnets
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        let router_mac = edit.new.as_ref().and_then(|it| it.router_mac);
        index.derive_router_mac(&edit.key, router_mac);
        index.derive_former_gateways(&edit.key);
        let (old, new) = (edit.old.as_ref(), edit.new.as_ref());
        index.bindings.replace(&edit.key, old, new);
        if old.map(|it| it.network.cidrs) != new.map(|it| it.network.cidrs) {
            index.place_records_of(&edit.key);
        }
        let vpcs = [old, new].into_iter().flatten();
        let vpcs: BTreeSet<VpcName> = vpcs.map(|it| it.network.vpc.clone()).collect();
        for vpc in vpcs {
            index.keep(Kept::Vpc(vpc));
        }
        index.unsettle();
        index.changed_subnets.insert(edit.key.clone());
        index.keep(Kept::Subnet(edit.key));
        index.reconsider_waiting();
    }
}

/// What an annotation says. What cannot be read counts as none: nobody but us writes it.
fn written<T: std::str::FromStr>(subnet: &api::Subnet, annotation: &str) -> Option<T> {
    let annotations = subnet.metadata.annotations.as_ref()?;
    annotations.get(annotation)?.parse().ok()
}

impl Index {
    fn derive_router_mac(&mut self, name: &SubnetName, new: Option<MacAddr>) {
        let macs = &mut self.inputs.router_macs;
        let old = match new {
            Some(mac) => macs.insert(name.clone(), mac),
            None => macs.remove(name),
        };
        if old != new {
            self.dirty.insert(Owner::Subnet(name.clone()));
        }
    }
}

/// The entries that can be read, and what is wrong with the others.
fn lenient<T>(
    field: &str,
    texts: &[String],
    effect: Effect,
    read: impl Fn(&str, &str) -> Result<T, Rejected>,
) -> (Vec<T>, Vec<Fault>) {
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        match read(&format!("{field}[{index}]"), text) {
            Ok(value) => values.push(value),
            Err(why) => faults.push(Fault { why, effect }),
        }
    }
    (values, faults)
}

/// The value, if there is one; else the subnet goes without, and says so.
pub(crate) fn told<T>(read: Result<T, Rejected>, faults: &mut Vec<Fault>) -> Option<T> {
    let fault = |why| Fault {
        why,
        effect: Effect::Told,
    };
    read.map_err(|why| faults.push(fault(why))).ok()
}

fn gateway_mode(text: &str) -> Result<plan::GatewayMode, Rejected> {
    match text {
        "" | api::subnet::DISTRIBUTED => Ok(plan::GatewayMode::Distributed),
        api::subnet::CENTRALIZED => Ok(plan::GatewayMode::Centralized(None)),
        other => Err(Rejected {
            field: "spec.gatewayType".to_owned(),
            value: other.to_owned(),
            cause: format!(
                "write {} or {}",
                api::subnet::DISTRIBUTED,
                api::subnet::CENTRALIZED
            ),
        }),
    }
}
