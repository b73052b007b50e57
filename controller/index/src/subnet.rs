//! `Subnet`: a logical switch and its addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use controller_plan as plan;
use model::{AddressRange, CidrPair, DualStack, MacAddr, Owner, SubnetName, VpcName};

use crate::acceptance::{Accepted, Effect, Fault};
use crate::index::Index;
use crate::kept::Kept;
use crate::kind::{Kind, TableEdit, Watched};
use crate::life::{Life, declared};
use crate::selector::Selector;
use crate::table::Table;
use crate::text::{Rejected, parse, require};

mod access;
mod completed;

pub use completed::protocol;

/// A subnet as declared, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Subnet {
    pub network: plan::Subnet,
    pub excludes: Vec<AddressRange>,
    /// The namespaces that it names.
    pub namespaces: BTreeSet<String>,
    /// It also has namespaces that one of these selects.
    pub selectors: Vec<Selector>,
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
    /// The network that it was accepted with in its VPC, if it was.
    pub fn accepted(&self) -> Option<&Accepted> {
        self.accepted
            .as_ref()
            .filter(|it| it.vpc == self.network.vpc)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.network.router_link == plan::RouterLink::Connected
    }

    /// The routing table on nodes that is for its egress gateway.
    pub(crate) fn egress_table(&self) -> Option<i64> {
        let spec = &self.object.spec;
        let has_gateway = !spec.external_egress_gateway.is_empty();
        spec.policy_routing_table_id.filter(|_| has_gateway)
    }

    /// The network with these CIDRs: those declared, or those accepted before.
    pub(crate) fn network_with(&self, cidrs: CidrPair) -> plan::Subnet {
        let former = self.accepted().filter(|it| it.cidrs == cidrs);
        let gateways = former.map(|it| it.gateways);
        let gateways = gateways.filter(|_| cidrs != self.network.cidrs);
        plan::Subnet {
            cidrs,
            gateways: gateways.unwrap_or(self.network.gateways),
            ..self.network.clone()
        }
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
        let cidrs: CidrPair = require("spec.cidrBlock", &spec.cidr_block)?;
        let vpc = parse("spec.vpc", &spec.vpc)?;
        let vpc = vpc.map_or_else(|| require::<VpcName>("spec.vpc", api::vpc::DEFAULT), Ok)?;
        let excludes = &spec.exclude_ips;
        let (excludes, mut faults) = lenient("spec.excludeIps", excludes, Effect::Blocks, require);
        let (access, of_access) = access::parse(spec, &cidrs);
        faults.extend(of_access);
        let selectors = spec.namespace_selectors.iter();
        let selectors: Result<_, _> = selectors
            .map(|it| Selector::parse("spec.namespaceSelectors", it))
            .collect();
        let annotations = self.metadata.annotations.as_ref();
        let accepted = annotations.and_then(|all| all.get(api::annotation::ACCEPTED));
        Ok(Subnet {
            network: plan::Subnet {
                vpc,
                gateways: gateways(&cidrs, &spec.gateway)?,
                cidrs,
                gateway_mode: gateway_mode(&spec.gateway_type)?,
                router_link: if spec.has_physical_gateway() {
                    plan::RouterLink::Absent
                } else {
                    plan::RouterLink::Connected
                },
                access,
            },
            excludes,
            namespaces: spec.namespaces.iter().cloned().collect(),
            selectors: selectors?,
            provision: match spec.provider.as_str() {
                "" | api::subnet::OVN => Provision::Network,
                _ => Provision::AddressesOnly,
            },
            router_mac: router_mac(self),
            is_default: spec.default,
            life: Life::of(&self.metadata),
            faults,
            accepted: accepted.and_then(|text| text.parse().ok()),
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
        let (old, new) = (edit.old.as_ref(), edit.new.as_ref());
        index.bindings.replace(&edit.key, old, new);
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

/// What cannot be read counts as none: nobody but us writes it.
fn router_mac(subnet: &api::Subnet) -> Option<MacAddr> {
    let annotations = subnet.metadata.annotations.as_ref()?;
    annotations.get(api::annotation::ROUTER_MAC)?.parse().ok()
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
            self.changed_subnets.insert(name.clone());
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

/// The gateway of each family: the one declared, else the first host.
fn gateways(cidrs: &CidrPair, declared: &str) -> Result<DualStack<IpAddr>, Rejected> {
    let declared: DualStack<IpAddr> = parse("spec.gateway", declared)?.unwrap_or_default();
    let mut gateways = DualStack::NONE;
    for (family, cidr) in cidrs.iter() {
        let first = cidr.hosts().map(AddressRange::start);
        let gateway = declared.get(family).copied().or(first);
        let gateway = gateway.filter(|gateway| cidr.contains(*gateway));
        *gateways.get_mut(family) = Some(gateway.ok_or_else(|| Rejected {
            field: "spec.gateway".to_owned(),
            value: declared.to_string(),
            cause: format!("write an address inside {cidr}"),
        })?);
    }
    Ok(gateways)
}

fn gateway_mode(text: &str) -> Result<plan::GatewayMode, Rejected> {
    match text {
        "" | api::subnet::DISTRIBUTED => Ok(plan::GatewayMode::Distributed),
        api::subnet::CENTRALIZED => Ok(plan::GatewayMode::Centralized),
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
