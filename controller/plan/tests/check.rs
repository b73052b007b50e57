//! The checker finds what is wrong, and names it.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use controller_plan::{
    Access, Bandwidth, GatewayMode, Inputs, JoinPort, Liveness, Node, Port, PortSecurity,
    RouterLink, Settings, Subnet, Vpc, check, check_rows, plan_all,
};
use model::{DualStack, MacAddr, NodeName, PodKey, PortKey, SubnetName, VpcName};
use ovn::acl::Direction;
use ovn::nb::{
    ACL, LOAD_BALANCER, LOGICAL_ROUTER_POLICY, LOGICAL_ROUTER_STATIC_ROUTE, LOGICAL_SWITCH_PORT,
    PORT_GROUP, load_balancer as lb, logical_router as lr, logical_router_policy as policy,
    logical_router_static_route as route, logical_switch as ls, logical_switch_port as lsp,
};
use ovn::{Row, RowKey, Rows};

const ROUTER: &str = "ovn-cluster";

fn inputs() -> Inputs {
    let vpc: VpcName = ROUTER.parse().unwrap();
    let join: SubnetName = "join".parse().unwrap();
    let mut inputs = Inputs::new(Settings {
        default_vpc: vpc.clone(),
        join: join.clone(),
    });
    inputs.vpcs.insert(vpc.clone(), Vpc::of_router(ROUTER));
    for (name, cidr, gateway) in [
        (join, "100.64.0.0/16", "100.64.0.1"),
        ("s".parse().unwrap(), "10.1.0.0/16", "10.1.0.1"),
    ] {
        let subnet = Subnet {
            vpc: vpc.clone(),
            cidrs: cidr.parse().unwrap(),
            gateways: gateway.parse().unwrap(),
            gateway_mode: GatewayMode::Distributed,
            router_link: RouterLink::Connected,
            access: Access::Open,
        };
        inputs.subnets.insert(name, subnet);
    }
    add_node(&mut inputs, "n1", "192.0.2.1", "100.64.0.2");
    add_pod(&mut inputs, "a", "10.1.0.2", "00:00:00:00:01:02");
    inputs
}

fn add_node(inputs: &mut Inputs, name: &str, internal: &str, join: &str) {
    let node = Node {
        internal: internal.parse().unwrap(),
        join: Some(JoinPort {
            addresses: join.parse().unwrap(),
            mac: MacAddr::from_name(name),
        }),
        liveness: Liveness::Alive,
        bandwidth: Bandwidth::default(),
    };
    inputs.nodes.insert(name.parse().unwrap(), node);
}

fn add_pod(inputs: &mut Inputs, name: &str, address: &str, mac: &str) {
    let port = Port {
        subnet: "s".parse().unwrap(),
        uid: name.to_owned(),
        addresses: address.parse().unwrap(),
        mac: mac.parse().unwrap(),
        node: Some(NodeName::new("n1").unwrap()),
        security: PortSecurity::Off,
        shared: BTreeSet::new(),
        north: DualStack::NONE,
    };
    let key = PortKey::primary(PodKey::new("d", name).unwrap());
    inputs.ports.insert(key, port);
}

fn found(inputs: &Inputs, rows: &Rows) -> Vec<String> {
    let findings = check_rows(inputs, rows).into_iter();
    findings
        .map(|finding| format!("{} {finding}", finding.rule.name()))
        .collect()
}

/// What is found when a row is put beside those of the plan.
fn found_with(key: RowKey, row: Row) -> Vec<String> {
    let inputs = inputs();
    let mut rows = plan_all(&inputs).rows;
    rows.insert(key, row);
    found(&inputs, &rows)
}

fn router() -> RowKey {
    RowKey::LogicalRouter(ROUTER.to_owned())
}

fn policy_to(matches: &str, nexthop: &str, owner: &str) -> Vec<String> {
    let ids = ovn::owned::external_ids(&owner.parse().unwrap());
    let row = Row::new(&LOGICAL_ROUTER_POLICY)
        .with(policy::MATCH, matches)
        .with(policy::NEXTHOPS, BTreeSet::from([nexthop.to_owned()]))
        .with(policy::EXTERNAL_IDS, ids)
        .linked(router(), lr::POLICIES);
    let key = RowKey::RouterPolicy {
        router: ROUTER.to_owned(),
        priority: 1,
        matches: matches.to_owned(),
    };
    found_with(key, row)
}

#[test]
fn nothing_is_found_in_a_plan() {
    assert_eq!(check(&inputs()), []);
}

#[test]
fn two_records_of_one_address_and_mac_are_found() {
    let mut inputs = inputs();
    add_pod(&mut inputs, "b", "10.1.0.2", "00:00:00:00:01:02");
    assert_eq!(
        found(&inputs, &plan_all(&inputs).rows),
        [
            "UniqueAddress Logical_Switch_Port b.d: 10.1.0.2 on switch s is also that of \
             Logical_Switch_Port a.d",
            "UniqueMac Logical_Switch_Port b.d: MAC 00:00:00:00:01:02 in VPC ovn-cluster is also \
             that of Logical_Switch_Port a.d",
        ]
    );
}

#[test]
fn a_pod_with_the_address_of_the_router_is_found() {
    let mut inputs = inputs();
    add_pod(&mut inputs, "b", "10.1.0.1", "00:00:00:00:01:03");
    let found = found(&inputs, &plan_all(&inputs).rows);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("10.1.0.1 on switch s") && found[0].contains("b.d"),
        "{found:?}"
    );
}

#[test]
fn r25_a_pod_whose_port_would_have_the_name_of_a_nodes_port_is_told_and_the_node_keeps_it() {
    let mut inputs = inputs();
    add_node(&mut inputs, "x.d", "192.0.2.2", "100.64.0.3");
    add_pod(&mut inputs, "node-x", "10.1.0.9", "00:00:00:00:01:09");
    assert_eq!(check(&inputs), []);
    let planned = plan_all(&inputs);
    let [problem] = planned.problems.as_slice() else {
        panic!("{:?}", planned.problems);
    };
    assert_eq!(
        problem.to_string(),
        "port/d/node-x/ovn: the port's name `node-x.d` is that of node x.d; rename the pod"
    );
    let key = RowKey::LogicalSwitchPort("node-x.d".to_owned());
    let ids = planned.rows[&key].get(lsp::EXTERNAL_IDS).unwrap();
    assert_eq!(ovn::owned::owner(&ids), Some("node/x.d".parse().unwrap()));
}

#[test]
fn of_two_nodes_with_one_address_the_first_has_it_and_the_other_is_told() {
    let mut inputs = inputs();
    add_node(&mut inputs, "n2", "192.0.2.1", "100.64.0.3");
    assert_eq!(check(&inputs), []);
    let planned = plan_all(&inputs);
    let problems: Vec<_> = planned.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["node/n2: InternalIP 192.0.2.1 is also that of node n1: give each an address of its own"]
    );
}

#[test]
fn a_port_without_a_switch_is_found() {
    let switch = RowKey::LogicalSwitch("gone".to_owned());
    let row = Row::new(&LOGICAL_SWITCH_PORT)
        .with(lsp::NAME, "b.d")
        .linked(switch, ls::PORTS);
    assert_eq!(
        found_with(RowKey::LogicalSwitchPort("b.d".to_owned()), row),
        ["Parent Logical_Switch_Port b.d: it hangs in Logical_Switch gone, which is not planned"]
    );
}

#[test]
fn a_switch_port_that_leads_to_no_router_port_is_found() {
    let inputs = inputs();
    let mut rows = plan_all(&inputs).rows;
    rows.remove(&RowKey::LogicalRouterPort(format!("{ROUTER}-s")));
    assert_eq!(
        found(&inputs, &rows),
        [
            "Peer Logical_Switch_Port s-ovn-cluster: it leads to router port ovn-cluster-s, which \
             is not planned"
        ]
    );
}

#[test]
fn our_policies_need_a_port_and_those_of_users_a_network_at_the_next_hop() {
    let nobody = "no port at router ovn-cluster has next hop 100.64.0.9";
    let found = policy_to("1", "100.64.0.9", "node/n1");
    assert_eq!(
        found,
        [format!(
            "Nexthop Logical_Router_Policy ovn-cluster 1 `1`: {nobody}"
        )]
    );
    assert!(policy_to("1", "100.64.0.2", "node/n1").is_empty());
    assert!(policy_to("1", "100.64.0.9", "vpc/ovn-cluster").is_empty());
    let found = policy_to("1", "198.51.100.1", "vpc/ovn-cluster");
    assert!(found[0].starts_with("ConnectedNexthop "), "{found:?}");
    let found = policy_to("1", "nonsense", "node/n1");
    assert!(found[0].contains("`nonsense` is not an address"));
}

#[test]
fn a_route_to_where_the_router_is_not_is_found() {
    let route_to = |nexthop: &str| {
        let row = Row::new(&LOGICAL_ROUTER_STATIC_ROUTE)
            .with(route::NEXTHOP, nexthop)
            .linked(router(), lr::STATIC_ROUTES);
        let key = RowKey::StaticRoute {
            router: ROUTER.to_owned(),
            table: String::new(),
            policy: ovn::RoutePolicy::Destination,
            prefix: "192.0.2.0/24".to_owned(),
            nexthop: nexthop.to_owned(),
        };
        found_with(key, row)
    };
    assert!(route_to("10.1.0.77").is_empty());
    assert!(route_to("discard").is_empty());
    assert_eq!(
        route_to("198.51.100.1"),
        [
            "ConnectedNexthop Logical_Router_Static_Route ovn-cluster 192.0.2.0/24 via \
             198.51.100.1: router ovn-cluster is in no network with next hop 198.51.100.1"
        ]
    );
}

#[test]
fn a_match_on_a_group_that_is_not_planned_is_found() {
    let named = |matches: &str| policy_to(matches, "100.64.0.2", "node/n1");
    assert!(named("ip4.src == $node.n1_ip4 && inport == @node.n1").is_empty());
    assert_eq!(
        named("ip4.src == $node.n2_ip4"),
        [
            "Set Logical_Router_Policy ovn-cluster 1 `ip4.src == $node.n2_ip4`: its match names \
             `$node.n2_ip4`, which is not planned"
        ]
    );
    assert_eq!(named("inport == @g || outport == @h").len(), 2);
}

/// What is found when a switch has that ACL.
fn found_with_acl(switch: &str, direction: Direction, matches: &str) -> Vec<String> {
    let switch = RowKey::LogicalSwitch(switch.to_owned());
    let row = Row::new(&ACL).linked(switch.clone(), ls::ACLS);
    let key = RowKey::Acl {
        parent: Box::new(switch),
        direction,
        priority: 1,
        matches: matches.to_owned(),
    };
    found_with(key, row)
}

#[test]
fn an_acl_of_no_switch_or_on_a_group_that_is_not_planned_is_found() {
    let found = |switch: &str, matches: &str| {
        let found = found_with_acl(switch, Direction::ToLport, matches).into_iter();
        let rules = found.filter_map(|it| it.split(' ').next().map(str::to_owned));
        rules.collect::<Vec<_>>()
    };
    assert!(found("s", "ip4.src == $node.n1_ip4").is_empty());
    assert_eq!(found("s", "ip4.src == $gone_ip4"), ["Set"]);
    assert_eq!(found("gone", "ip"), ["Parent"]);
}

#[test]
fn an_acl_that_vxlan_or_ovn_cannot_match_is_found() {
    let found = |direction, matches: &str| found_with_acl("s", direction, matches);
    let leaving = |matches: &str| found(Direction::ToLport, matches);
    assert!(found(Direction::FromLport, "inport == @node.n1").is_empty());
    assert_eq!(
        leaving("inport == @node.n1"),
        [
            "Match ACL Logical_Switch s to-lport 1 `inport == @node.n1`: VXLAN does not tell \
             packets that leave a switch by which port they came in"
        ]
    );
    assert!(leaving("ip4.src == {10.1.0.0/16, 10.2.0.0/16}").is_empty());
    assert_eq!(
        leaving("ip4.src==100.64.0.0/16,fd00::/64"),
        [
            "Match ACL Logical_Switch s to-lport 1 `ip4.src==100.64.0.0/16,fd00::/64`: a comma \
             outside of braces cannot be read"
        ]
    );
}

#[test]
fn a_name_that_ovn_cannot_read_is_found() {
    let group = |name: &str| {
        let row = Row::new(&PORT_GROUP);
        found_with(RowKey::PortGroup(name.to_owned()), row).len()
    };
    assert_eq!((group("a.b_c"), group("a-b"), group("1a")), (0, 1, 1));
    let switch = |name: &str| {
        let row = Row::new(&ovn::nb::LOGICAL_SWITCH);
        found_with(RowKey::LogicalSwitch(name.to_owned()), row).len()
    };
    assert_eq!((switch("a-b"), switch("a b"), switch("")), (0, 1, 1));
}

#[test]
fn a_vip_that_leads_to_another_family_is_found() {
    let leads = |vip: &str, backends: &str| {
        let vips = BTreeMap::from([(vip.to_owned(), backends.to_owned())]);
        let row = Row::new(&LOAD_BALANCER).with(lb::VIPS, vips);
        found_with(RowKey::LoadBalancer("b".to_owned()), row).len()
    };
    assert_eq!(leads("10.96.0.1:80", "10.1.0.2:80,10.1.0.3:80"), 0);
    assert_eq!(leads("[fd00::1]:80", "[fd00::2]:80"), 0);
    assert_eq!(leads("10.96.0.1:80", "10.1.0.2:80,[fd00::2]:80"), 1);
    assert_eq!(leads("nonsense", "nonsense"), 1);
}

/// Two routers whose ports, at these addresses, are linked.
fn linked(one: &str, other: &str) -> Inputs {
    let mut inputs = inputs();
    for (name, remote, address) in [("a", "b", one), ("b", "a", other)] {
        let peerings = [(remote.parse().unwrap(), address.parse().unwrap())];
        let vpc = Vpc {
            peerings: peerings.into(),
            ..Vpc::of_router(name)
        };
        inputs.vpcs.insert(name.parse().unwrap(), vpc);
    }
    inputs
}

#[test]
fn a_link_with_one_end_and_one_between_two_networks_are_found() {
    assert_eq!(check(&linked("169.254.0.1/30", "169.254.0.2/30")), []);
    let apart = linked("169.254.0.1/30", "169.254.0.5/30");
    let [first, _] = &check(&apart)[..] else {
        panic!("{:?}", check(&apart));
    };
    assert_eq!(
        first.to_string(),
        "Logical_Router_Port a-b: router port b-a, which it is linked to, is not in its networks"
    );
    assert_eq!(check(&linked("169.254.0.1/30", "169.254.0.1/30")).len(), 2);
    let mut one = linked("169.254.0.1/30", "169.254.0.2/30");
    one.vpcs.remove(&"b".parse::<VpcName>().unwrap());
    assert_eq!(
        check(&one)[0].to_string(),
        "Logical_Router_Port a-b: it is linked to router port b-a, which is not planned"
    );
}
