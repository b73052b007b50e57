//! `Subnet`: a logical switch and its addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use controller_plan as plan;
use model::{AddressRange, CidrPair, DualStack, MacAddr, Owner, SubnetName, VpcName};

use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::{Rejected, parse, require};

/// A subnet as declared, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    pub network: plan::Subnet,
    pub excludes: Vec<AddressRange>,
    pub namespaces: BTreeSet<String>,
    pub provision: Provision,
    /// The recorded MAC of the router's port.
    pub router_mac: Option<MacAddr>,
}

/// What a subnet provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provision {
    /// A logical switch with its addresses.
    Network,
    /// Addresses alone, for the network of another CNI plugin.
    AddressesOnly,
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
        let excludes: Result<_, _> = spec
            .exclude_ips
            .iter()
            .map(|text| require("spec.excludeIps", text))
            .collect();
        Ok(Subnet {
            network: plan::Subnet {
                vpc,
                gateways: gateways(&cidrs, &spec.gateway)?,
                cidrs,
                gateway_mode: gateway_mode(&spec.gateway_type)?,
                router_link: if spec.underlay_gateway {
                    plan::RouterLink::Absent
                } else {
                    plan::RouterLink::Connected
                },
            },
            excludes: excludes?,
            namespaces: spec.namespaces.iter().cloned().collect(),
            provision: match spec.provider.as_str() {
                "" | api::subnet::OVN => Provision::Network,
                _ => Provision::AddressesOnly,
            },
            router_mac: router_mac(self),
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.subnets
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        let router_mac = edit.new.as_ref().and_then(|it| it.router_mac);
        index.derive_router_mac(&edit.key, router_mac);
        let network = edit
            .new
            .as_ref()
            .filter(|new| new.provision == Provision::Network);
        match network {
            Some(subnet) => {
                index
                    .inputs
                    .subnets
                    .insert(edit.key.clone(), subnet.network.clone());
            }
            None => {
                index.inputs.subnets.remove(&edit.key);
            }
        }
        let vpcs = [&edit.old, &edit.new]
            .into_iter()
            .flatten()
            .map(|s| s.network.vpc.clone());
        index.dirty_subnet(&edit.key, vpcs.collect());
        index.changed_subnets.insert(edit.key);
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
