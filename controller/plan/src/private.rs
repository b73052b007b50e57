//! The ACLs of a private subnet: what reaches its pods, and what leaves them for the router.
//!
//! | priority | packets that leave the switch | |
//! | --- | --- | --- |
//! | 3000 | from the nodes, as kubelet's probes | pass |
//! | 1001 | inside the subnet, its gateway included; between it and each network that it allows | pass |
//! | 1001 | from a pod to itself by way of a service, whose address they come from | pass |
//! | 1000 | all others | are dropped and logged |
//!
//! Answers pass, since conntrack knows their connections, and ARP, neighbour discovery and MLD, which
//! OVN lets through by itself. A match names one family: OVN ignores an ACL with a match that it
//! cannot read.

use model::priority::{ACL_NODE, ACL_SUBNET, ACL_SUBNET_DROP};
use model::{Owner, SubnetName};
use ovn::acl::{self, Direction};
use ovn::nb::{self, logical_switch as ls};
use ovn::{Row, RowKey, expr};

use crate::inputs::Subnet;
use crate::{Access, Inputs, Planned};

/// The nodes' subnet has none: whoever is on it may send.
pub(crate) fn plan(inputs: &Inputs, name: &SubnetName, subnet: &Subnet, planned: &mut Planned) {
    let Access::Private { allowed } = &subnet.access else {
        return;
    };
    if *name == inputs.settings.join {
        return;
    }
    let owner = Owner::Subnet(name.clone());
    let join = inputs.subnets.get(&inputs.settings.join);
    for (family, cidr) in subnet.cidrs.iter() {
        let nodes = join.and_then(|join| join.cidrs.get(family));
        let from_nodes = nodes.map(|nodes| (ACL_NODE, expr::from_network(*nodes)));
        let inside = (ACL_SUBNET, expr::inside_network(*cidr));
        let allowed = allowed.iter().filter(|it| it.family() == family);
        let between = allowed.map(|it| (ACL_SUBNET, expr::between_networks(*it, *cidr)));
        for (priority, matches) in from_nodes.into_iter().chain([inside]).chain(between) {
            let (key, row) = to_pods(name, priority, matches, acl::ALLOW_RELATED);
            planned.row(&owner, key, row);
        }
    }
    let (key, row) = to_pods(name, ACL_SUBNET, expr::sent_back(), acl::ALLOW_RELATED);
    planned.row(&owner, key, row);
    let (key, row) = to_pods(name, ACL_SUBNET_DROP, "ip".to_owned(), acl::DROP);
    let row = row
        .with(nb::acl::LOG, true)
        .with(nb::acl::SEVERITY, Some(acl::WARNING.to_owned()))
        .with(nb::acl::NAME, acl::log_name(name.as_str()));
    planned.row(&owner, key, row);
}

fn to_pods(name: &SubnetName, priority: u16, matches: String, action: &str) -> (RowKey, Row) {
    let switch = RowKey::LogicalSwitch(name.to_string());
    let (direction, priority) = (Direction::ToLport, i64::from(priority));
    let row = Row::new(&nb::ACL)
        .with(nb::acl::DIRECTION, direction.name())
        .with(nb::acl::PRIORITY, priority)
        .with(nb::acl::MATCH, matches.as_str())
        .with(nb::acl::ACTION, action)
        .linked(switch.clone(), ls::ACLS);
    let key = RowKey::Acl {
        parent: Box::new(switch),
        direction,
        priority,
        matches,
    };
    (key, row)
}
