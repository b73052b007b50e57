//! Routes and policies: where they send packets, somebody takes them.

use std::net::IpAddr;

use model::Owner;
use ovn::nb::{logical_router_policy as policy, logical_router_static_route as route};
use ovn::{Row, RowKey, Rows, owned};

use super::ports::Ports;
use super::{Finding, Rule};

/// The next hop of a route that drops packets (ovn-nb(5)).
const DISCARD: &str = "discard";

pub(super) fn check(rows: &Rows, ports: &Ports<'_>) -> Vec<Finding> {
    let found = |(key, row)| {
        let found = unreachable_nexthops(ports, key, row).into_iter();
        found.map(move |(rule, message)| Finding::new(rule, key, message))
    };
    rows.iter().flat_map(found).collect()
}

fn unreachable_nexthops(ports: &Ports<'_>, key: &RowKey, row: &Row) -> Vec<(Rule, String)> {
    if let RowKey::RouterPolicy { router, .. } = key {
        let nexthops = row.get(policy::NEXTHOPS).unwrap_or_default();
        let unreachable = |text: &String| unreachable(ports, router, text, wanted(row));
        return nexthops.iter().filter_map(unreachable).collect();
    }
    if let RowKey::StaticRoute { router, .. } = key {
        let nexthop = row.get(route::NEXTHOP).filter(|it| it != DISCARD);
        let unreachable = |text: String| unreachable(ports, router, &text, Wanted::Network);
        return nexthop.and_then(unreachable).into_iter().collect();
    }
    Vec::new()
}

/// What there must be at a next hop.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Port,
    /// Users send packets to machines that are no ports, too.
    Network,
}

fn wanted(row: &Row) -> Wanted {
    let ids = row.get(policy::EXTERNAL_IDS).unwrap_or_default();
    let owner = owned::owner(&ids);
    if matches!(
        owner,
        Some(Owner::Node(_) | Owner::Gateway(_) | Owner::Subnet(_))
    ) {
        Wanted::Port
    } else {
        Wanted::Network
    }
}

fn unreachable(
    ports: &Ports<'_>,
    router: &str,
    nexthop: &str,
    wanted: Wanted,
) -> Option<(Rule, String)> {
    let Ok(address) = nexthop.parse::<IpAddr>() else {
        let message = format!("next hop `{nexthop}` is not an address");
        return Some((Rule::Nexthop, message));
    };
    match wanted {
        Wanted::Port if !ports.reach(router, address) => {
            let message = format!("no port at router {router} has next hop {address}");
            Some((Rule::Nexthop, message))
        }
        Wanted::Network if !ports.connects(router, address) => {
            let message = format!("router {router} is in no network with next hop {address}");
            Some((Rule::ConnectedNexthop, message))
        }
        Wanted::Port | Wanted::Network => None,
    }
}
