//! Routes by destination.

use std::net::IpAddr;

use model::IpFamily;
use ovn::nb::{self, logical_router as lr, logical_router_static_route as route};
use ovn::{RoutePolicy, Row};

use super::Router;
use crate::inputs::Route;

const POLICY: RoutePolicy = RoutePolicy::Destination;

pub(super) fn plan(router: &mut Router<'_>) {
    if router.is_default() {
        to_nodes(router);
    }
    for route in router.vpc.routes_by(POLICY) {
        add(router, *route);
    }
}

/// Routing comes before the policies in OVN's pipeline and drops what has no route, so there is
/// one for everything; the policies then say which node it leaves by.
fn to_nodes(router: &mut Router<'_>) {
    let inputs = router.inputs;
    let Some(join) = inputs.subnets.get(&inputs.settings.join) else {
        return;
    };
    for (family, gateway) in join.gateways.iter() {
        add_default(router, family, *gateway);
    }
}

/// A route for every destination of the family.
pub(super) fn add_default(router: &mut Router<'_>, family: IpFamily, nexthop: IpAddr) {
    let route = Route {
        policy: POLICY,
        prefix: family.any(),
        nexthop,
    };
    add(router, route);
}

fn add(router: &mut Router<'_>, route: Route) {
    let row = Row::new(&nb::LOGICAL_ROUTER_STATIC_ROUTE)
        .with(route::IP_PREFIX, route.text())
        .with(route::NEXTHOP, route.nexthop.to_string())
        .with(route::POLICY, route.policy.word().to_owned())
        .linked(router.key(), lr::STATIC_ROUTES);
    let key = route.key(&router.vpc.router);
    router.planned.row(&router.owner, key, row);
}
