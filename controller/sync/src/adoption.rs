//! Taking over a database that Kube-OVN 1.7 filled.
//!
//! A row that we want and that is there, of nobody, gets our owner and what else it lacks, and stays
//! the same row. The routes by which Kube-OVN leads pods to nodes, which our policies take the place
//! of, go in the transaction that brings those.

use controller_index::Inputs;
use model::{MacAddr, Owner, SubnetName};
use ovn::nb::logical_router_port as lrp;
use ovn::{RowKey, Rows, View};

/// The MACs of router ports that Kube-OVN made and that are not recorded yet. They must be before
/// the ports are ours, or those would get other ones.
pub fn unrecorded_macs(view: &View, inputs: &Inputs) -> Vec<(SubnetName, MacAddr)> {
    let unrecorded = |name: &SubnetName| {
        let vpc = inputs.vpcs.get(&inputs.subnets.get(name)?.vpc)?;
        let port = controller_plan::router_port(&vpc.router, name);
        let row = view.adoptable(&RowKey::LogicalRouterPort(port))?;
        let mac = row.get(lrp::MAC)?.parse().ok()?;
        let is_known = inputs.router_mac(name, &vpc.router) == mac;
        (!is_known).then(|| (name.clone(), mac))
    };
    inputs.subnets.keys().filter_map(unrecorded).collect()
}

/// The rows that `owner` has, and those of nobody that it has from now on: what it wants, and for
/// the default VPC the routes that must go.
pub(crate) fn actual(view: &View, inputs: &Inputs, owner: &Owner, desired: &Rows) -> Rows {
    let mut actual = view.rows_of(owner);
    for key in desired.keys() {
        if let Some(row) = view.adoptable(key).filter(|_| !actual.contains_key(key)) {
            actual.insert(key.clone(), row);
        }
    }
    if *owner == Owner::Vpc(inputs.settings.default_vpc.clone()) {
        actual.extend(legacy_routes(view, inputs));
    }
    actual
}

/// Routes to nodes, and of pods and subnets by nodes: of nobody, in the default router, and with an
/// address of the nodes' subnet as their next hop.
pub(crate) fn legacy_routes(view: &View, inputs: &Inputs) -> Rows {
    let settings = &inputs.settings;
    let vpc = inputs.vpcs.get(&settings.default_vpc);
    let Some((vpc, join)) = vpc.zip(inputs.subnets.get(&settings.join)) else {
        return Rows::new();
    };
    let is_legacy = |key: &RowKey| {
        if let RowKey::StaticRoute {
            router, nexthop, ..
        } = key
        {
            let leads_to_node = |it| join.cidrs.values().any(|cidr| cidr.contains(it));
            *router == vpc.router && nexthop.parse().is_ok_and(leads_to_node)
        } else {
            false
        }
    };
    let all = view.all_adoptable();
    all.filter(|(key, _)| is_legacy(key)).collect()
}
