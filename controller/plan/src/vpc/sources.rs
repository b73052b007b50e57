//! Routes by source, as policies.
//!
//! In Kube-OVN's own OVN a route by source counts only where no route by destination and no connected
//! network is meant. In OVN as it is the longest prefix counts, so that a route for one pod would
//! take the pod's packets to its neighbours away. So these routes are policies, below others that
//! leave alone what stays inside (`docs/decisions/0004-routes-by-source-are-policies.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{Cidr, DualStack, IpFamily, priority};
use ovn::{RoutePolicy, expr};

use super::{Router, routes};
use crate::inputs::{Action, Route, SourceLevels};
use crate::{Inputs, RouterLink};

pub(super) fn plan(router: &mut Router<'_>) {
    let levels = SourceLevels::of(router.vpc, base(router));
    if router.is_default() {
        // policies lead pods to nodes, so what goes elsewhere needs some as well
        stay_inside(router, &levels, &[]);
    } else if levels.is_used() {
        let connected = connected(router.inputs, router);
        stay_inside(router, &levels, &connected);
        for family in IpFamily::ALL {
            drop_the_rest(router, &levels, family);
        }
    }
    for (prefix, nexthops) in by_prefix(router) {
        let matches = expr::source_in(prefix);
        router.policy(levels.source(prefix), matches, &Action::Reroute(nexthops));
    }
}

fn base(router: &Router<'_>) -> u16 {
    if router.is_default() {
        priority::POLICY_ROUTES
    } else {
        0
    }
}

/// The networks of the router's subnets. In the default VPC the subnets have policies themselves.
fn connected(inputs: &Inputs, router: &Router<'_>) -> Vec<Cidr> {
    let subnets = inputs.subnets.values();
    let connected =
        subnets.filter(|it| it.vpc == *router.name && it.router_link == RouterLink::Connected);
    connected
        .flat_map(|it| it.cidrs.values().copied())
        .collect()
}

fn stay_inside(router: &mut Router<'_>, levels: &SourceLevels, connected: &[Cidr]) {
    let links = router.vpc.peerings.values().flat_map(DualStack::values);
    let links = links.map(|address| address.network);
    let routes = router.vpc.routes_by(RoutePolicy::Destination);
    let routed = routes.filter(|route| !route.is_default());
    let routed = routed.map(|route| route.prefix);
    let all: BTreeSet<Cidr> = connected
        .iter()
        .copied()
        .chain(links)
        .chain(routed)
        .collect();
    for cidr in all {
        router.policy(levels.inside(), expr::destination_in(cidr), &Action::Allow);
    }
}

/// What has no route is dropped before the policies come to it, so there has to be one, which leads
/// anywhere; and what it alone leads there is dropped.
fn drop_the_rest(router: &mut Router<'_>, levels: &SourceLevels, family: IpFamily) {
    let routes = router.vpc.routes.iter();
    let mut routes = routes.filter(|route| route.family() == family);
    let has_default = routes.clone().any(Route::is_default);
    let source = routes.find(|route| route.policy == RoutePolicy::Source);
    if let Some(source) = source.filter(|_| !has_default) {
        routes::add_default(router, family, source.nexthop);
        router.policy(levels.rest(), family.ovn_match().to_owned(), &Action::Drop);
    }
}

fn by_prefix(router: &Router<'_>) -> BTreeMap<Cidr, BTreeSet<IpAddr>> {
    let mut all: BTreeMap<Cidr, BTreeSet<IpAddr>> = BTreeMap::new();
    for route in router.vpc.routes_by(RoutePolicy::Source) {
        all.entry(route.prefix).or_default().insert(route.nexthop);
    }
    all
}
