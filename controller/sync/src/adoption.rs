//! Taking over a database that Kube-OVN 1.7 filled.
//!
//! A row that we want and that is there, of nobody, gets our owner and what else it lacks, and stays
//! the same row. The routes by which Kube-OVN leads pods to nodes, which our policies take the place
//! of, go in the transaction that brings those. ACLs by which Kube-OVN made a subnet private go where
//! the subnet is no longer so, or they are not what they should be.

use controller_index::Inputs;
use model::priority::{ACL_NODE, ACL_SUBNET, ACL_SUBNET_DROP};
use model::{MacAddr, Owner, SubnetName, VpcName};
use ovn::acl::Direction;
use ovn::nb::{self, logical_router_port as lrp};
use ovn::{Row, RowKey, Rows, View};

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
    if let Owner::Subnet(name) = owner {
        actual.extend(legacy_acls(view, inputs, name));
    }
    if let Owner::Vpc(name) = owner {
        actual.extend(routes_by_source(view, inputs, name));
    }
    actual
}

/// The ACLs of nobody on the subnet's switch that read as those of a private subnet of Kube-OVN.
fn legacy_acls(view: &View, inputs: &Inputs, name: &SubnetName) -> Rows {
    if !inputs.subnets.contains_key(name) {
        return Rows::new();
    }
    let switch = RowKey::LogicalSwitch(name.to_string());
    let acls = view.adoptable_acls(&switch);
    acls.filter(|(key, row)| is_legacy_acl(name, key, row))
        .collect()
}

/// What drops bears the subnet's name, and what lets networks in is spelled as Kube-OVN spells it.
/// What lets nodes in stays, since it is there for NetworkPolicies, too; but not where it names the
/// networks of both families at once, which OVN cannot read.
fn is_legacy_acl(name: &SubnetName, key: &RowKey, row: &Row) -> bool {
    let RowKey::Acl {
        direction: Direction::ToLport,
        priority,
        matches,
        ..
    } = key
    else {
        return false;
    };
    let is_named = row.get(nb::acl::NAME).flatten().as_deref() == Some(name.as_str());
    let is_spelled = ["ip4.src==", "ip6.src=="]
        .iter()
        .any(|it| matches.trim_start_matches('(').starts_with(it));
    match u16::try_from(*priority) {
        Ok(ACL_SUBNET_DROP) => matches == "ip" && is_named,
        Ok(ACL_SUBNET) => is_spelled,
        Ok(ACL_NODE) => is_spelled && matches.contains(','),
        Ok(_) | Err(_) => false,
    }
}

/// The rows, of nobody, of the VPC's routes by source, which are policies now.
fn routes_by_source(view: &View, inputs: &Inputs, name: &VpcName) -> Rows {
    let Some(vpc) = inputs.vpcs.get(name) else {
        return Rows::new();
    };
    let keys = vpc
        .routes
        .iter()
        .filter_map(|route| route.row_by_source(&vpc.router));
    keys.filter_map(|key| Some((key.clone(), view.adoptable(&key)?)))
        .collect()
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
