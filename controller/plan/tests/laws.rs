//! The laws of the planner.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use controller_plan::{
    Access, Action, Affinity, Bandwidth, GatewayMode, Inputs, JoinPort, Liveness, Node, Policy,
    Port, PortSecurity, Protocol, Reserved, Route, RouterLink, Service, Settings, Shared, Slot,
    Subnet, Vip, Vpc, check, plan, plan_all,
};
use model::{
    DualStack, GatewaySet, MacAddr, NodeName, Owner, PodKey, PortKey, ServiceKey, SubnetName,
    VipName, VpcName, priority,
};
use ovn::nb::{logical_router_policy as policy, logical_switch_port as lsp};
use ovn::{Change, RoutePolicy, Row, RowKey, Rows, diff};
use proptest::prelude::*;

fn vpc(name: &str) -> VpcName {
    VpcName::new(name).unwrap()
}

fn settings() -> Settings {
    Settings {
        default_vpc: vpc("ovn-cluster"),
        join: SubnetName::new("join").unwrap(),
    }
}

fn any_access() -> impl Strategy<Value = Access> {
    let cidr = (0_u8..4, any::<bool>()).prop_map(|(index, is_v6)| {
        let text = if is_v6 {
            format!("fd00:{index}::/64")
        } else {
            format!("10.{index}.0.0/16")
        };
        text.parse().unwrap()
    });
    let private = proptest::collection::btree_set(cidr, 0..4);
    let private = private.prop_map(|allowed| Access::Private { allowed });
    prop_oneof![Just(Access::Open), private]
}

prop_compose! {
    fn any_subnet(index: u8)(
        dual: bool,
        gateways in any_gateways(),
        connected in proptest::bool::weighted(0.8),
        custom in proptest::bool::weighted(0.2),
        access in any_access(),
    ) -> Subnet {
        let v6 = if dual { format!(",fd00:{index}::/64") } else { String::new() };
        let gateway6 = if dual { format!(",fd00:{index}::1") } else { String::new() };
        Subnet {
            vpc: vpc(if custom { "tenant" } else { "ovn-cluster" }),
            cidrs: format!("10.{index}.0.0/16{v6}").parse().unwrap(),
            gateways: format!("10.{index}.0.1{gateway6}").parse().unwrap(),
            gateway_mode: gateways,
            router_link: if connected { RouterLink::Connected } else { RouterLink::Absent },
            access,
        }
    }
}

/// Among them sets with a node that does not exist.
const SETS: [&str; 5] = ["n0", "n0,n1,n2", "n2>n0", "n1,n9", "n9"];

fn any_gateways() -> impl Strategy<Value = GatewayMode> {
    let set = prop::sample::select(&SETS).prop_map(|set| Some(set.parse().unwrap()));
    prop_oneof![
        2 => Just(GatewayMode::Distributed),
        1 => Just(GatewayMode::Centralized(None)),
        4 => set.prop_map(GatewayMode::Centralized),
    ]
}

/// The sets of the subnets, each with its slots, or with none recorded yet.
fn gateways(inputs: &Inputs, recorded: [bool; 5]) -> BTreeMap<GatewaySet, Vec<Slot>> {
    let subnets = inputs.subnets.values();
    let sets = subnets.filter_map(|subnet| inputs.gateway_of(subnet));
    let slots = |set: &GatewaySet| {
        let place = SETS.iter().position(|it| *it == set.to_string()).unwrap();
        let slots = (0..set.slots()).map(|slot| format!("10.100.{}.{slot}", 240 + place));
        let slots = slots.map(|slot| slot.parse().unwrap());
        slots.filter(|_| recorded[place]).collect()
    };
    sets.map(|set| (set.clone(), slots(set))).collect()
}

prop_compose! {
    fn any_node(index: u8)(
        joined in proptest::bool::weighted(0.8),
        dual: bool,
        alive: bool,
        limits in any::<(bool, bool)>(),
    ) -> Node {
        let (join6, internal6) = if dual {
            (format!(",fd00:100::{index}"), format!(",2001:db8::{index}"))
        } else {
            (String::new(), String::new())
        };
        let join = joined.then(|| JoinPort {
            addresses: format!("10.100.0.{index}{join6}").parse().unwrap(),
            mac: MacAddr::from_seed(0x0010_0000 + u64::from(index)),
        });
        let liveness = if alive { Liveness::Alive } else { Liveness::Dead };
        let limit = |is_limited: bool| is_limited.then(|| format!("{index}0").parse().unwrap());
        let bandwidth = Bandwidth { ingress: limit(limits.0), egress: limit(limits.1) };
        Node {
            internal: format!("192.0.2.{index}{internal6}").parse().unwrap(),
            join,
            liveness,
            bandwidth,
        }
    }
}

fn any_shared() -> impl Strategy<Value = Shared> {
    prop_oneof![
        (0_u8..3).prop_map(|it| Shared::Vip(vip_name(it))),
        (0_u8..3).prop_map(|it| Shared::Address(format!("10.{it}.2.1").parse().unwrap())),
    ]
}

fn vip_name(index: u8) -> VipName {
    VipName::new(format!("v{index}")).unwrap()
}

prop_compose! {
    fn any_reserved(index: u8)(recorded: bool, own in proptest::bool::weighted(0.7)) -> Reserved {
        let address = if recorded { format!("10.{index}.2.1") } else { String::new() };
        Reserved {
            subnet: SubnetName::new(format!("s{index}")).unwrap(),
            namespace: if own { "default" } else { "other" }.to_owned(),
            addresses: address.parse().unwrap_or_default(),
        }
    }
}

prop_compose! {
    fn any_port(index: u8)(
        subnet in 0_u8..4,
        node in 0_u8..4,
        secured: bool,
        dual: bool,
        shared in proptest::collection::btree_set(any_shared(), 0..3),
        north in proptest::option::of((0_u8..4, 1_u8..9, any::<bool>())),
    ) -> Port {
        let v6 = if dual { format!(",fd00:{subnet}::1:{index}") } else { String::new() };
        Port {
            subnet: SubnetName::new(format!("s{subnet}")).unwrap(),
            uid: format!("uid-{index}"),
            addresses: format!("10.{subnet}.1.{index}{v6}").parse().unwrap(),
            mac: MacAddr::from_seed(index.into()),
            node: Some(NodeName::new(format!("n{node}")).unwrap()),
            security: if secured { PortSecurity::On } else { PortSecurity::Off },
            shared,
            north: north.map(north_gateway).unwrap_or_default(),
        }
    }
}

/// Among them the router's, those of pods, and some in no subnet.
fn north_gateway((subnet, host, is_dual): (u8, u8, bool)) -> DualStack<IpAddr> {
    let v6 = if is_dual {
        format!(",fd00:{subnet}::{host}")
    } else {
        String::new()
    };
    format!("10.{subnet}.{}.{host}{v6}", u8::from(host > 1))
        .parse()
        .unwrap()
}

prop_compose! {
    fn any_service()(
        sticky: bool,
        vips in proptest::collection::btree_map((any::<bool>(), 1_u8..4), 0_u8..3, 0..4),
    ) -> Service {
        let vip = |(udp, host): (bool, u8)| Vip {
            protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
            address: SocketAddr::from(([10, 96, 0, host], 80)),
        };
        let backends = |count| (0..count).map(|host| SocketAddr::from(([10, 0, 1, host], 8080)));
        Service {
            affinity: if sticky { Affinity::ClientIp } else { Affinity::None },
            vips: vips
                .into_iter()
                .map(|(key, count)| (vip(key), backends(count).collect()))
                .collect::<BTreeMap<_, _>>(),
        }
    }
}

/// Routes to networks that the router is in, whichever it is.
fn any_routes(nexthop: &'static str) -> impl Strategy<Value = BTreeSet<Route>> {
    let route = (any::<bool>(), 0_u8..4, 1_u8..4).prop_map(move |(source, prefix, host)| Route {
        policy: if source {
            RoutePolicy::Source
        } else {
            RoutePolicy::Destination
        },
        prefix: format!("10.{prefix}.0.0/{}", 16 + 8 * (prefix % 3))
            .parse()
            .unwrap(),
        nexthop: format!("{nexthop}{host}").parse().unwrap(),
    });
    proptest::collection::btree_set(route, 0..5)
}

prop_compose! {
    /// Two tenants, each with a link that the other has as well.
    fn any_tenants()(
        linked: bool,
        routes in (any_routes("169.254.0.4"), any_routes("169.254.0.4")),
        policies in proptest::collection::btree_map(200_u16..204, 0_u8..3, 0..4),
    ) -> [(VpcName, Vpc); 2] {
        let peering = |remote: &str, address: &str| {
            let addresses = address.parse().unwrap();
            linked.then(|| (vpc(remote), addresses)).into_iter().collect()
        };
        let policies = policies.into_iter().map(|(priority, action)| {
            let matches = format!("ip4.src == 10.0.{action}.0/24");
            let action = match action {
                0 => Action::Allow,
                1 => Action::Drop,
                _ => Action::Reroute(BTreeSet::from(["169.254.0.9".parse().unwrap()])),
            };
            (Policy { priority, matches }, action)
        });
        let one = Vpc {
            peerings: peering("other", "169.254.0.1/16"),
            policies: if linked { policies.collect() } else { BTreeMap::new() },
            routes: if linked { routes.0 } else { BTreeSet::new() },
            ..Vpc::of_router("tenant")
        };
        let other = Vpc {
            peerings: peering("tenant", "169.254.0.2/16"),
            routes: if linked { routes.1 } else { BTreeSet::new() },
            ..Vpc::of_router("other")
        };
        [(vpc("tenant"), one), (vpc("other"), other)]
    }
}

fn port_key(index: u8) -> PortKey {
    PortKey::primary(PodKey::new("default", format!("p{index}")).unwrap())
}

prop_compose! {
    fn any_inputs()(
        tenants in proptest::option::of(any_tenants()),
        routes in any_routes("10.100.0.5"),
        join in any_subnet(100),
        has_join in proptest::bool::weighted(0.9),
        subnets in (any_subnet(0), any_subnet(1), any_subnet(2)),
        nodes in (any_node(2), any_node(3), any_node(4)),
        services in proptest::collection::btree_map("s[1-3]", any_service(), 0..3),
        recorded: [bool; 5],
        ports in proptest::collection::vec((0_u8..8).prop_flat_map(|i| (Just(i), any_port(i))), 0..6),
        reserved in (any_reserved(0), any_reserved(1)),
        recorded_mac: bool,
    ) -> Inputs {
        let mut inputs = Inputs::new(settings());
        let routes = if has_join { routes } else { BTreeSet::new() };
        let default = Vpc { routes, ..Vpc::of_router("ovn-cluster") };
        inputs.vpcs.insert(vpc("ovn-cluster"), default);
        inputs.vpcs.extend(tenants.into_iter().flatten());
        if has_join {
            let join = Subnet { vpc: vpc("ovn-cluster"), router_link: RouterLink::Connected, ..join };
            inputs.subnets.insert(settings().join, join);
        }
        for (index, subnet) in [subnets.0, subnets.1, subnets.2].into_iter().enumerate() {
            inputs.subnets.insert(SubnetName::new(format!("s{index}")).unwrap(), subnet);
        }
        for (index, node) in [nodes.0, nodes.1, nodes.2].into_iter().enumerate() {
            inputs.nodes.insert(NodeName::new(format!("n{index}")).unwrap(), node);
        }
        let services = services.into_iter();
        inputs.services.extend(services.map(|(name, service)| {
            (ServiceKey::new("default", name).unwrap(), service)
        }));
        inputs.ports.extend(ports.into_iter().map(|(index, port)| (port_key(index), port)));
        inputs.gateways = gateways(&inputs, recorded);
        inputs.reserved = BTreeMap::from([(vip_name(0), reserved.0), (vip_name(1), reserved.1)]);
        if recorded_mac {
            let subnet = SubnetName::new("s0").unwrap();
            inputs.router_macs.insert(subnet, MacAddr::from_seed(0x0020_0000));
        }
        inputs
    }
}

fn has_join(inputs: &Inputs) -> bool {
    let join = inputs.subnets.get(&settings().join);
    join.is_some()
}

/// The nodes whose ports have the address.
fn nodes_with(inputs: &Inputs, address: IpAddr) -> Vec<NodeName> {
    let address = address.to_string();
    let has = |name: &&NodeName| {
        let rows = plan(inputs, &Owner::Node((*name).clone())).rows;
        let row = rows.get(&RowKey::LogicalSwitchPort(name.lsp()));
        let texts = row
            .and_then(|row| row.get(lsp::ADDRESSES))
            .unwrap_or_default();
        texts
            .iter()
            .any(|text| text.split(' ').any(|word| word == address))
    };
    inputs.nodes.keys().filter(has).cloned().collect()
}

proptest! {
    #[test]
    fn owners_have_disjoint_rows_and_their_union_is_the_whole_plan(inputs in any_inputs()) {
        let all = plan_all(&inputs).rows;
        let counted: usize = inputs.owners().map(|owner| plan(&inputs, &owner).rows.len()).sum();
        prop_assert_eq!(all.len(), counted);
    }

    #[test]
    fn every_row_says_whose_it_is_and_what_it_means(inputs in any_inputs()) {
        for owner in inputs.owners() {
            for (key, row) in plan(&inputs, &owner).rows {
                let ids = row.get(ovn::Column::new("external_ids")).unwrap();
                prop_assert_eq!(ovn::owned::owner(&ids), Some(owner.clone()));
                prop_assert_eq!(RowKey::of(&row), Some(key));
            }
        }
    }

    #[test]
    fn the_checker_finds_nothing_in_what_is_planned(inputs in any_inputs()) {
        prop_assert_eq!(check(&inputs), vec![]);
    }

    #[test]
    fn planning_twice_gives_no_difference(inputs in any_inputs()) {
        let rows = plan_all(&inputs).rows;
        prop_assert_eq!(diff(&plan_all(&inputs).rows, &rows), vec![]);
    }

    #[test]
    fn every_slot_is_at_one_node_and_one_that_can_carry_traffic_if_any_can(inputs in any_inputs()) {
        let can = |name: &&NodeName| inputs.nodes.get(*name).is_some_and(|it| it.join.is_some());
        for (set, slots) in &inputs.gateways {
            let some = set.members().any(|it| can(&it)) && has_join(&inputs);
            for (number, slot) in slots.iter().enumerate() {
                let holder = inputs.holder_of(set, number);
                let at = nodes_with(&inputs, slot.v4.unwrap());
                prop_assert_eq!(at, holder.filter(|_| some).into_iter().cloned().collect::<Vec<_>>());
                let alive = |it: &NodeName| inputs.nodes[it].liveness == Liveness::Alive;
                let mut candidates = set.members().filter(can);
                prop_assert!(!candidates.any(alive) || holder.is_some_and(alive));
            }
        }
    }

    #[test]
    fn b3d_a_failover_changes_addresses_of_ports_alone_and_moves_no_slot_of_a_survivor(
        before in any_inputs(), failing in 0_u8..3,
    ) {
        let mut before = Inputs { gateways: gateways(&before, [true; 5]), ..before };
        let name = NodeName::new(format!("n{failing}")).unwrap();
        before.nodes.get_mut(&name).unwrap().liveness = Liveness::Alive;
        let mut after = before.clone();
        after.nodes.get_mut(&name).unwrap().liveness = Liveness::Dead;
        for change in diff(&plan_all(&after).rows, &plan_all(&before).rows) {
            let Change::Update { key: RowKey::LogicalSwitchPort(_), update } = change else {
                panic!("{change:?}");
            };
            prop_assert!(update.columns.keys().eq(&["addresses"]) && update.linked.is_empty());
        }
        for (set, slots) in &before.gateways {
            for number in 0..slots.len() {
                let (old, new) = (before.holder_of(set, number), after.holder_of(set, number));
                prop_assert!(old == new || old == Some(&name), "{set} {number}");
            }
        }
    }

    #[test]
    fn traffic_of_a_centralized_subnet_has_one_policy_of_its_set_and_none_of_a_node(
        inputs in any_inputs(),
    ) {
        let rows = plan_all(&inputs).rows;
        let sets: BTreeSet<&GatewaySet> = inputs.gateways.keys().collect();
        let owned = |row: &Row| ovn::owned::owner(&row.get(policy::EXTERNAL_IDS).unwrap());
        let policies = rows.iter().filter(|(key, _)| matches!(key, RowKey::RouterPolicy { .. }));
        let policies = policies.filter(|(_, row)| matches!(owned(row), Some(Owner::Gateway(_))));
        prop_assert!(policies.count() <= 2 * sets.len());
        for (key, port) in &inputs.ports {
            let Some(row) = rows.get(&RowKey::LogicalSwitchPort(key.lsp())) else { continue };
            let mode = &inputs.subnets[&port.subnet].gateway_mode;
            let in_group = row.links().iter().any(|it| matches!(it.parent, RowKey::PortGroup(_)));
            prop_assert!(!in_group || *mode == GatewayMode::Distributed);
        }
    }

    #[test]
    fn what_a_pod_sends_goes_to_the_gateway_that_it_names_and_nobody_else_s_does(
        inputs in any_inputs(),
    ) {
        let rows = plan_all(&inputs).rows;
        for (key, row) in &rows {
            let RowKey::RouterPolicy { priority, matches, .. } = key else { continue };
            if *priority != i64::from(priority::POLICY_NORTH) {
                continue;
            }
            let ids = row.get(policy::EXTERNAL_IDS).unwrap();
            let Some(Owner::Port(owner)) = ovn::owned::owner(&ids) else {
                panic!("{key} is not of a port");
            };
            let port = &inputs.ports[&owner];
            let named = port.north.iter().any(|(family, gateway)| {
                let own = port.addresses.get(family);
                let nexthops = BTreeSet::from([gateway.to_string()]);
                own.is_some_and(|own| *own != *gateway && *matches == ovn::expr::source_is(*own))
                    && row.get(policy::NEXTHOPS) == Some(nexthops)
            });
            prop_assert!(named, "{}", key);
        }
    }

    #[test]
    fn a_node_with_a_port_has_a_limit_for_each_direction_that_is_limited(inputs in any_inputs()) {
        let limits = |node: &Node| [node.bandwidth.ingress, node.bandwidth.egress];
        let joined = inputs.nodes.values().filter(|it| it.join.is_some() && has_join(&inputs));
        let wanted = joined.flat_map(limits).flatten().count();
        let rows = plan_all(&inputs).rows;
        let planned = rows.keys().filter(|key| matches!(key, RowKey::Qos { .. }));
        prop_assert_eq!(planned.count(), wanted);
    }

    #[test]
    fn a_gateway_that_a_pod_names_is_used_or_told(inputs in any_inputs()) {
        for (key, port) in &inputs.ports {
            let planned = plan(&inputs, &Owner::Port(key.clone()));
            if planned.rows.is_empty() {
                continue;
            }
            let policies = planned.rows.keys();
            let policies = policies.filter(|key| matches!(key, RowKey::RouterPolicy { .. }));
            let told = planned.problems.iter();
            let told = told.filter(|problem| problem.reason == "NorthGatewayNotUsable");
            prop_assert_eq!(policies.count() + told.count(), port.north.values().count());
        }
    }

    #[test]
    fn a_vanished_input_leaves_no_row(inputs in any_inputs()) {
        let owners: BTreeSet<Owner> = inputs.owners().collect();
        let nothing = Inputs::new(settings());
        for owner in owners {
            prop_assert!(plan(&nothing, &owner).rows.is_empty());
        }
        prop_assert!(plan_all(&nothing).rows.is_empty());
    }
}

/// The ACLs of the switch, without their owner's other rows.
fn acls(inputs: &Inputs, subnet: &SubnetName) -> Rows {
    let mut rows = plan(inputs, &Owner::Subnet(subnet.clone())).rows;
    rows.retain(|key, _| matches!(key, RowKey::Acl { .. }));
    rows
}

/// How many ACLs the subnet needs: one for the nodes, one for itself and one for each allowed
/// network in each of its families, and the one that drops.
fn needed(inputs: &Inputs, name: &SubnetName, subnet: &Subnet) -> usize {
    let Access::Private { allowed } = &subnet.access else {
        return 0;
    };
    if *name == settings().join || !inputs.vpcs.contains_key(&subnet.vpc) {
        return 0;
    }
    let join = inputs.subnets.get(&settings().join);
    let of_family = |family| {
        let nodes = join.and_then(|join| join.cidrs.get(family));
        let allowed = allowed.iter().filter(|it| it.family() == family);
        usize::from(nodes.is_some()) + 1 + allowed.count()
    };
    let families = subnet.cidrs.iter().map(|(family, _)| of_family(family));
    families.into_iter().sum::<usize>() + 2
}

proptest! {
    #[test]
    fn a_private_subnet_has_the_acls_of_each_of_its_families_and_no_other_subnet_has_any(
        inputs in any_inputs(),
    ) {
        for (name, subnet) in &inputs.subnets {
            let acls = acls(&inputs, name);
            prop_assert_eq!(acls.len(), needed(&inputs, name, subnet));
            for key in acls.keys() {
                let RowKey::Acl { matches, .. } = key else { continue };
                prop_assert!(!(matches.contains("ip4") && matches.contains("ip6")), "{}", matches);
            }
        }
    }

    #[test]
    fn acls_depend_on_nothing_but_access_and_networks(
        inputs in any_inputs(),
        others in any_inputs(),
    ) {
        let mut edited = others;
        edited.vpcs = inputs.vpcs.clone();
        for (name, subnet) in &inputs.subnets {
            let mut subnet = subnet.clone();
            if let Some(other) = edited.subnets.get(name) {
                subnet.gateway_mode.clone_from(&other.gateway_mode);
                subnet.router_link = other.router_link;
            }
            edited.subnets.insert(name.clone(), subnet);
        }
        if !inputs.subnets.contains_key(&settings().join) {
            edited.subnets.remove(&settings().join);
        }
        for name in inputs.subnets.keys() {
            prop_assert_eq!(acls(&edited, name), acls(&inputs, name));
        }
    }

    #[test]
    fn making_a_subnet_private_or_open_touches_nothing_but_its_acls(
        inputs in any_inputs(),
        access in any_access(),
    ) {
        let name = SubnetName::new("s1").unwrap();
        let mut edited = inputs.clone();
        edited.subnets.get_mut(&name).unwrap().access = access;
        let changes = diff(&plan_all(&edited).rows, &plan_all(&inputs).rows);
        let switch = Box::new(RowKey::LogicalSwitch("s1".to_owned()));
        for change in changes {
            let is_acl = matches!(change.key(), RowKey::Acl { parent, .. } if *parent == switch);
            prop_assert!(is_acl, "{:?}", change);
        }
    }
}
