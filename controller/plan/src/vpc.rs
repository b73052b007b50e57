//! A VPC: its logical router, and for the default VPC the route that leads to the nodes.

use model::{IpFamily, Owner, VpcName};
use ovn::nb::{self, logical_router as lr, logical_router_static_route as route};
use ovn::{Row, RowKey};

use crate::{Inputs, Planned};

pub(crate) fn plan(inputs: &Inputs, name: &VpcName) -> Planned {
    let mut planned = Planned::default();
    let Some(vpc) = inputs.vpcs.get(name) else {
        return planned;
    };
    let owner = Owner::Vpc(name.clone());
    let router = Row::new(&nb::LOGICAL_ROUTER).with(lr::NAME, vpc.router.as_str());
    planned.row(&owner, RowKey::LogicalRouter(vpc.router.clone()), router);
    if *name == inputs.settings.default_vpc {
        default_routes(inputs, &owner, &vpc.router, &mut planned);
    }
    planned
}

/// Routing comes before the policies in OVN's pipeline and drops what has no route, so there is
/// one for everything; the policies then say which node it leaves by.
fn default_routes(inputs: &Inputs, owner: &Owner, router: &str, planned: &mut Planned) {
    let Some(join) = inputs.subnets.get(&inputs.settings.join) else {
        return;
    };
    for (family, gateway) in join.gateways.iter() {
        let prefix = IpFamily::any(family);
        let nexthop = gateway.to_string();
        let row = Row::new(&nb::LOGICAL_ROUTER_STATIC_ROUTE)
            .with(route::IP_PREFIX, prefix)
            .with(route::NEXTHOP, nexthop.as_str())
            .with(route::POLICY, "dst-ip".to_owned())
            .linked(RowKey::LogicalRouter(router.to_owned()), lr::STATIC_ROUTES);
        let key = RowKey::StaticRoute {
            router: router.to_owned(),
            prefix: prefix.to_owned(),
            nexthop,
        };
        planned.row(owner, key, row);
    }
}
