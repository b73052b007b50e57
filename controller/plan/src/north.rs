//! Pods that name the gateway by which their traffic leaves the VPC: another pod, as a rule.

use std::net::IpAddr;

use model::priority::POLICY_NORTH;
use model::{IpFamily, Owner, PortKey};

use crate::inputs::{Port, Subnet};
use crate::{Inputs, Planned, RouterLink, node};

/// The annotation that names it.
const FIELD: &str = "annotation ovn.kubernetes.io/north_gateway";

/// The policies that lead there, and what is wrong with an address that none can lead to.
pub(crate) fn plan(
    inputs: &Inputs,
    key: &PortKey,
    port: &Port,
    subnet: &Subnet,
    planned: &mut Planned,
) {
    let owner = Owner::Port(key.clone());
    for (family, gateway) in port.north.iter() {
        match route(inputs, port, subnet, (family, *gateway)) {
            Ok((router, own)) => {
                let matches = ovn::expr::source_is(own);
                let (key, row) = node::reroute(router, POLICY_NORTH, matches, [*gateway]);
                planned.row(&owner, key, row);
            }
            Err(cause) => {
                let message = format!("{FIELD} is `{gateway}`: {cause}");
                planned.problem(&owner, "NorthGatewayNotUsable", message);
            }
        }
    }
}

/// The router that leads there, and whose packets.
fn route<'a>(
    inputs: &'a Inputs,
    port: &Port,
    subnet: &Subnet,
    (family, gateway): (IpFamily, IpAddr),
) -> Result<(&'a str, IpAddr), String> {
    let default = &inputs.settings.default_vpc;
    let router = inputs.router_of(subnet);
    let router = router.filter(|_| inputs.is_led_to_nodes(subnet));
    let router = router.ok_or_else(|| {
        format!(
            "subnet `{}` is not routed by VPC `{default}`; remove the annotation",
            port.subnet
        )
    })?;
    let own = port.addresses.get(family).copied();
    let own = own.ok_or_else(|| {
        "the pod has no address of its family; name a gateway of one that it has".to_owned()
    })?;
    if own == gateway {
        return Err("that is the pod itself; name another one".to_owned());
    }
    let mut subnets = inputs
        .subnets
        .values()
        .filter(|it| inputs.is_in_default_vpc(it) && it.router_link == RouterLink::Connected);
    let nearby = subnets.find(|it| it.cidrs.get(family).is_some_and(|it| it.contains(gateway)));
    match nearby {
        None => Err(format!(
            "it is in no subnet of VPC `{default}`; name a pod of one"
        )),
        Some(it) if it.gateways.get(family) == Some(&gateway) => {
            Err("that is the router's own address; name a pod".to_owned())
        }
        Some(_) => Ok((router, own)),
    }
}
