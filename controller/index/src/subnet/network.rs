//! The network that is in force: the one that is declared, or, where that cannot be, the one that
//! was accepted. So whatever somebody writes into a subnet, pods keep theirs.

use std::net::IpAddr;

use model::{CidrPair, DualStack, VpcName};

use super::Provision;
use crate::acceptance::{Accepted, Effect, Fault};
use crate::text::{Rejected, parse, require, uid};

/// The network in force, and why it is not the one declared.
pub(super) struct InForce {
    pub(super) network: Accepted,
    pub(super) fault: Option<Fault>,
}

/// # Errors
/// When the network cannot be read, and none was accepted.
pub(super) fn in_force(
    subnet: &api::Subnet,
    accepted: Option<&Accepted>,
) -> Result<InForce, Rejected> {
    let declared = declared(subnet);
    let Some(accepted) = accepted else {
        let network = declared?;
        return Ok(InForce {
            network,
            fault: None,
        });
    };
    match declared.and_then(|declared| stays(declared, accepted)) {
        Ok(network) => Ok(InForce {
            network,
            fault: None,
        }),
        Err(why) => Ok(InForce {
            network: accepted.clone(),
            fault: Some(Fault {
                why,
                effect: Effect::Blocks,
            }),
        }),
    }
}

/// What was accepted of this very subnet: a copy of another one bears that one's annotation.
pub(super) fn accepted(subnet: &api::Subnet) -> Option<Accepted> {
    let annotations = subnet.metadata.annotations.as_ref()?;
    let text = annotations.get(api::annotation::ACCEPTED)?;
    let accepted: Accepted = text.parse().ok()?;
    let own = uid(&subnet.metadata);
    let is_own = accepted.uid.as_ref().is_none_or(|it| *it == own);
    is_own.then_some(accepted)
}

pub(super) fn provision(provider: &str) -> Provision {
    match provider {
        "" | api::subnet::OVN => Provision::Network,
        _ => Provision::AddressesOnly,
    }
}

fn declared(subnet: &api::Subnet) -> Result<Accepted, Rejected> {
    let spec = &subnet.spec;
    let cidrs: CidrPair = require("spec.cidrBlock", &spec.cidr_block)?;
    let vpc = parse("spec.vpc", &spec.vpc)?;
    let vpc = vpc.map_or_else(|| require::<VpcName>("spec.vpc", api::vpc::DEFAULT), Ok)?;
    let provider = Some(spec.provider.as_str()).filter(|it| !it.is_empty());
    Ok(Accepted {
        vpc,
        gateways: gateways(&cidrs, &spec.gateway)?,
        cidrs,
        provider: Some(provider.unwrap_or(api::subnet::OVN).to_owned()),
        uid: Some(uid(&subnet.metadata)).filter(|it| !it.is_empty()),
    })
}

/// What pods are attached to cannot follow them to another VPC or another plugin.
fn stays(declared: Accepted, accepted: &Accepted) -> Result<Accepted, Rejected> {
    let stay = |field: &str, value: String, former: &str| Rejected {
        field: field.to_owned(),
        value,
        cause: format!(
            "the subnet was accepted with `{former}` and keeps that; write it, or delete the subnet \
             and create it again"
        ),
    };
    if declared.vpc != accepted.vpc {
        let vpc = declared.vpc.to_string();
        return Err(stay("spec.vpc", vpc, accepted.vpc.as_str()));
    }
    let provider = declared.provider.clone().unwrap_or_default();
    match &accepted.provider {
        Some(former) if *former != provider => Err(stay("spec.provider", provider, former)),
        Some(_) | None => Ok(declared),
    }
}

/// The gateway of each family: the one declared, else the first host.
fn gateways(cidrs: &CidrPair, declared: &str) -> Result<DualStack<IpAddr>, Rejected> {
    let declared: DualStack<IpAddr> = parse("spec.gateway", declared)?.unwrap_or_default();
    let mut gateways = DualStack::NONE;
    for (family, cidr) in cidrs.iter() {
        let hosts = cidr.hosts().ok_or_else(|| Rejected {
            field: "spec.cidrBlock".to_owned(),
            value: cidrs.to_string(),
            cause: format!(
                "{cidr} has no address for a gateway and pods; write at most /30 in IPv4 and /126 \
                 in IPv6"
            ),
        })?;
        let gateway = declared
            .get(family)
            .copied()
            .unwrap_or_else(|| hosts.start());
        let gateway = Some(gateway).filter(|it| cidr.contains(*it));
        *gateways.get_mut(family) = Some(gateway.ok_or_else(|| Rejected {
            field: "spec.gateway".to_owned(),
            value: declared.to_string(),
            cause: format!("write an address inside {cidr}"),
        })?);
    }
    Ok(gateways)
}
