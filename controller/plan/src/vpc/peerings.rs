//! The ends of links to other VPCs. Which packets go there is said by static routes.

use std::collections::BTreeSet;

use model::MacAddr;
use ovn::nb::{self, logical_router as lr, logical_router_port as lrp};
use ovn::{Row, RowKey};

use super::Router;
use crate::inputs::peering_port;

pub(super) fn plan(router: &mut Router<'_>) {
    for (remote, addresses) in &router.vpc.peerings {
        let port = peering_port(router.name, remote);
        let networks: BTreeSet<String> = addresses.values().map(ToString::to_string).collect();
        let row = Row::new(&nb::LOGICAL_ROUTER_PORT)
            .with(lrp::NAME, port.as_str())
            .with(lrp::MAC, MacAddr::from_name(&port).to_string())
            .with(lrp::NETWORKS, networks)
            .with(lrp::PEER, peering_port(remote, router.name))
            .linked(router.key(), lr::PORTS);
        let key = RowKey::LogicalRouterPort(port);
        router.planned.row(&router.owner, key, row);
    }
}
