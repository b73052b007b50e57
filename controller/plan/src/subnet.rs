//! A subnet: its logical switch and who may send to it, the link to the router, and that traffic
//! to it stays inside.

use std::collections::{BTreeMap, BTreeSet};

use model::priority::POLICY_SUBNET;
use model::{Owner, SubnetName};
use ovn::nb::{
    self, logical_router as lr, logical_router_policy as policy, logical_router_port as lrp,
    logical_switch as ls, logical_switch_port as lsp,
};
use ovn::{Row, RowKey, expr};

use crate::inputs::{self, Subnet};
use crate::{Inputs, Planned, RouterLink, private};

pub(crate) fn plan(inputs: &Inputs, name: &SubnetName) -> Planned {
    let mut planned = Planned::default();
    let Some(subnet) = inputs.subnets.get(name) else {
        return planned;
    };
    let owner = Owner::Subnet(name.clone());
    let Some(router) = inputs.router_of(subnet) else {
        let message = format!(
            "spec.vpc names `{}`, which does not exist; create that Vpc or name another",
            subnet.vpc
        );
        planned.problem(&owner, "VpcNotFound", message);
        return planned;
    };
    let switch = Row::new(&nb::LOGICAL_SWITCH).with(ls::NAME, name.as_str());
    planned.row(&owner, RowKey::LogicalSwitch(name.to_string()), switch);
    private::plan(inputs, name, subnet, &mut planned);
    match subnet.router_link {
        RouterLink::Connected => link_to_router(inputs, name, subnet, router, &mut planned),
        RouterLink::Absent => return planned,
    }
    if inputs.is_in_default_vpc(subnet) {
        stay_inside(&owner, subnet, router, &mut planned);
    }
    planned
}

/// The pair of ports that connects switch and router.
fn link_to_router(
    inputs: &Inputs,
    name: &SubnetName,
    subnet: &Subnet,
    router: &str,
    planned: &mut Planned,
) {
    let owner = &Owner::Subnet(name.clone());
    let switch_port = format!("{name}-{router}");
    let router_port = inputs::router_port(router, name);
    let options = BTreeMap::from([("router-port".to_owned(), router_port.clone())]);
    let on_switch = Row::new(&nb::LOGICAL_SWITCH_PORT)
        .with(lsp::NAME, switch_port.as_str())
        .with(lsp::TYPE, "router")
        .with(lsp::ADDRESSES, BTreeSet::from(["router".to_owned()]))
        .with(lsp::OPTIONS, options)
        .linked(RowKey::LogicalSwitch(name.to_string()), ls::PORTS);
    planned.row(owner, RowKey::LogicalSwitchPort(switch_port), on_switch);

    let former = inputs.former_gateways.get(name).into_iter().flatten();
    let gateways = subnet.gateways.values().chain(former);
    let networks: BTreeSet<String> = gateways
        .filter_map(|gateway| {
            let mut cidrs = subnet.cidrs.values();
            let cidr = cidrs.find(|cidr| cidr.contains(*gateway))?;
            Some(cidr.with_host(*gateway))
        })
        .collect();
    let on_router = Row::new(&nb::LOGICAL_ROUTER_PORT)
        .with(lrp::NAME, router_port.as_str())
        .with(lrp::MAC, inputs.router_mac(name, router).to_string())
        .with(lrp::NETWORKS, networks)
        .linked(RowKey::LogicalRouter(router.to_owned()), lr::PORTS);
    planned.row(owner, RowKey::LogicalRouterPort(router_port), on_router);
}

/// Traffic between subnets is not sent to a gateway.
fn stay_inside(owner: &Owner, subnet: &Subnet, router: &str, planned: &mut Planned) {
    for cidr in subnet.cidrs.values() {
        let priority = i64::from(POLICY_SUBNET);
        let matches = expr::destination_in(*cidr);
        let row = Row::new(&nb::LOGICAL_ROUTER_POLICY)
            .with(policy::PRIORITY, priority)
            .with(policy::MATCH, matches.as_str())
            .with(policy::ACTION, "allow")
            .linked(RowKey::LogicalRouter(router.to_owned()), lr::POLICIES);
        let key = RowKey::RouterPolicy {
            router: router.to_owned(),
            priority,
            matches,
        };
        planned.row(owner, key, row);
    }
}
