//! The laws of `diff`, and of `View` as its other side.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Owner, SubnetName};
use ovn::acl::Direction;
use ovn::nb::{
    self, acl, load_balancer as lb, logical_router as lr, logical_router_policy as policy,
    logical_router_port as lrp, logical_router_static_route as route,
};
use ovn::nb::{logical_switch as ls, logical_switch_port as lsp, port_group as pg};
use ovn::{RoutePolicy, Row, RowKey, Rows, View, apply, diff, operations, owned};
use ovsdb::{Atom, Datum, Mutator, Operation};
use proptest::prelude::*;
use uuid::Uuid;

fn owner(name: &str) -> Owner {
    Owner::Subnet(SubnetName::new(name).unwrap())
}

fn switch(name: &str, note: &str) -> (RowKey, Row) {
    let mut ids = owned::external_ids(&owner("s"));
    ids.insert("note".to_owned(), note.to_owned());
    let row = Row::new(&nb::LOGICAL_SWITCH)
        .with(ls::NAME, name)
        .with(ls::EXTERNAL_IDS, ids);
    (RowKey::LogicalSwitch(name.to_owned()), row)
}

fn group(name: &str) -> (RowKey, Row) {
    let row = Row::new(&nb::PORT_GROUP)
        .with(pg::NAME, name)
        .with(pg::EXTERNAL_IDS, owned::external_ids(&owner("s")));
    (RowKey::PortGroup(name.to_owned()), row)
}

fn port(name: &str, address: &str, groups: &BTreeSet<String>) -> (RowKey, Row) {
    let mut row = Row::new(&nb::LOGICAL_SWITCH_PORT)
        .with(lsp::NAME, name)
        .with(lsp::ADDRESSES, BTreeSet::from([address.to_owned()]))
        .with(lsp::EXTERNAL_IDS, owned::external_ids(&owner("s")))
        .linked(RowKey::LogicalSwitch("s0".to_owned()), ls::PORTS);
    for group in groups {
        row = row.linked(RowKey::PortGroup(group.clone()), pg::PORTS);
    }
    (RowKey::LogicalSwitchPort(name.to_owned()), row)
}

fn load_balancer(vips: BTreeMap<String, String>) -> (RowKey, Row) {
    let row = Row::new(&nb::LOAD_BALANCER)
        .with(lb::NAME, "lb")
        .with(lb::PROTOCOL, Some("tcp".to_owned()))
        .with(lb::VIPS, vips)
        .with(lb::EXTERNAL_IDS, owned::external_ids(&owner("s")))
        .linked(RowKey::LogicalSwitch("s0".to_owned()), ls::LOAD_BALANCER);
    (RowKey::LoadBalancer("lb".to_owned()), row)
}

fn route_policy(priority: i64, nexthop: &str) -> (RowKey, Row) {
    let router = "r".to_owned();
    let row = Row::new(&nb::LOGICAL_ROUTER_POLICY)
        .with(policy::PRIORITY, priority)
        .with(policy::MATCH, "ip4")
        .with(policy::ACTION, "reroute")
        .with(policy::NEXTHOPS, BTreeSet::from([nexthop.to_owned()]))
        .with(policy::EXTERNAL_IDS, owned::external_ids(&owner("s")))
        .linked(RowKey::LogicalRouter(router.clone()), lr::POLICIES);
    (
        RowKey::RouterPolicy {
            router,
            priority,
            matches: "ip4".to_owned(),
        },
        row,
    )
}

fn static_route(policy: RoutePolicy, prefix: &str, nexthop: &str) -> (RowKey, Row) {
    let row = Row::new(&nb::LOGICAL_ROUTER_STATIC_ROUTE)
        .with(route::IP_PREFIX, prefix)
        .with(route::NEXTHOP, nexthop)
        .with(route::POLICY, policy.word().to_owned())
        .with(route::EXTERNAL_IDS, owned::external_ids(&owner("s")))
        .linked(RowKey::LogicalRouter("r".to_owned()), lr::STATIC_ROUTES);
    let key = RowKey::StaticRoute {
        router: "r".to_owned(),
        table: String::new(),
        policy,
        prefix: prefix.to_owned(),
        nexthop: nexthop.to_owned(),
    };
    (key, row)
}

/// With a peer, or in a switch.
fn router_port(name: &str, network: &str, peer: Option<String>) -> (RowKey, Row) {
    let row = Row::new(&nb::LOGICAL_ROUTER_PORT)
        .with(lrp::NAME, name)
        .with(lrp::MAC, "00:00:00:00:00:01")
        .with(lrp::NETWORKS, BTreeSet::from([network.to_owned()]))
        .with(lrp::PEER, peer)
        .with(lrp::EXTERNAL_IDS, owned::external_ids(&owner("s")))
        .linked(RowKey::LogicalRouter("r".to_owned()), lr::PORTS);
    (RowKey::LogicalRouterPort(name.to_owned()), row)
}

fn acl(parent: RowKey, priority: i64, action: &str) -> (RowKey, Row) {
    let is_group = matches!(parent, RowKey::PortGroup(_));
    let column = if is_group { pg::ACLS } else { ls::ACLS };
    let row = Row::new(&nb::ACL)
        .with(acl::DIRECTION, Direction::ToLport.name())
        .with(acl::PRIORITY, priority)
        .with(acl::MATCH, "ip")
        .with(acl::ACTION, action)
        .with(acl::EXTERNAL_IDS, owned::external_ids(&owner("s")))
        .linked(parent.clone(), column);
    let key = RowKey::Acl {
        parent: Box::new(parent),
        direction: Direction::ToLport,
        priority,
        matches: "ip".to_owned(),
    };
    (key, row)
}

/// Routes and ports of the router.
fn any_routing() -> impl Strategy<Value = Rows> {
    let route = (any::<bool>(), "10\\.[01]\\.0\\.0/16", "192\\.0\\.2\\.[12]");
    let routes = proptest::collection::vec(route, 0..4);
    let peer = proptest::option::of("[ab]-r");
    let port = ("169\\.254\\.0\\.[12]/30", peer);
    let ports = proptest::collection::btree_map("r-[ab]", port, 0..3);
    (routes, ports).prop_map(|(routes, ports)| {
        let routes = routes.iter().map(|(is_by_source, prefix, nexthop)| {
            let policy = if *is_by_source {
                RoutePolicy::Source
            } else {
                RoutePolicy::Destination
            };
            static_route(policy, prefix, nexthop)
        });
        let ports = ports.iter();
        let ports = ports.map(|(name, (network, peer))| router_port(name, network, peer.clone()));
        routes.chain(ports).collect()
    })
}

/// Sets of rows whose parents always exist.
fn any_rows() -> impl Strategy<Value = Rows> {
    let ports = proptest::collection::btree_map(
        "p[0-5]",
        (
            "10\\.0\\.0\\.[1-9]",
            proptest::collection::btree_set("g[01]", 0..3),
        ),
        0..5,
    );
    let acls = proptest::collection::btree_map((any::<bool>(), 0_i64..3), "allow|drop", 0..4);
    let policies = proptest::collection::btree_map(0_i64..4, "10\\.0\\.0\\.[1-3]", 0..4);
    let vips = proptest::option::of(proptest::collection::btree_map("v[0-4]", "b[12]", 0..5));
    let of_switch = (ports, "[ab]", vips, acls);
    (of_switch, policies, any_routing()).prop_map(|(of_switch, policies, routing)| {
        let (ports, note, vips, acls) = of_switch;
        let router = Row::new(&nb::LOGICAL_ROUTER)
            .with(lr::NAME, "r")
            .with(lr::EXTERNAL_IDS, owned::external_ids(&owner("s")));
        let mut rows = Rows::from([
            switch("s0", &note),
            group("g0"),
            group("g1"),
            (RowKey::LogicalRouter("r".to_owned()), router),
        ]);
        rows.extend(
            ports
                .iter()
                .map(|(name, (address, groups))| port(name, address, groups)),
        );
        rows.extend(vips.map(load_balancer));
        rows.extend(acls.iter().map(|((in_group, priority), action)| {
            let parent = if *in_group {
                RowKey::PortGroup("g0".to_owned())
            } else {
                RowKey::LogicalSwitch("s0".to_owned())
            };
            acl(parent, *priority, action)
        }));
        rows.extend(
            policies
                .iter()
                .map(|(priority, nexthop)| route_policy(*priority, nexthop)),
        );
        rows.extend(routing);
        rows
    })
}

/// A database that understands the operations that `ovn` makes: insert, update, mutate, delete,
/// and that a row without a strong reference goes.
#[derive(Default)]
struct Tables(BTreeMap<Uuid, (String, ovsdb::Row)>);

impl Tables {
    fn perform(&mut self, operation: &Operation) {
        match operation {
            Operation::Insert { table, uuid, row } => {
                self.0.insert(uuid.unwrap(), (table.clone(), row.clone()));
            }
            Operation::Update { condition, row, .. } => {
                let target = &mut self.0.get_mut(&uuid_of(condition)).unwrap().1;
                for (column, value) in row.iter() {
                    target.insert(column, value.clone());
                }
            }
            Operation::Mutate {
                condition,
                mutations,
                ..
            } => {
                let target = &mut self.0.get_mut(&uuid_of(condition)).unwrap().1;
                for mutation in mutations {
                    mutate(target, mutation);
                }
            }
            Operation::Delete { condition, .. } => {
                self.0.remove(&uuid_of(condition)).unwrap();
            }
            Operation::Wait { .. } => {}
            Operation::Select { .. } | Operation::Comment(_) => panic!("{operation}"),
        }
    }

    fn collect_garbage(&mut self) {
        let strong = |table: &str| match table {
            "Port_Group" => vec!["acls"],
            _ => vec!["ports", "policies", "static_routes", "acls"],
        };
        let referred: BTreeSet<Uuid> = self
            .0
            .values()
            .flat_map(|(table, row)| strong(table).into_iter().filter_map(|it| row.get(it)))
            .flat_map(|datum| datum.uuids().collect::<Vec<_>>())
            .collect();
        let children = [
            "Logical_Switch_Port",
            "Logical_Router_Port",
            "Logical_Router_Policy",
            "Logical_Router_Static_Route",
            "ACL",
        ];
        self.0.retain(|uuid, (table, _)| {
            !children.contains(&table.as_str()) || referred.contains(uuid)
        });
        let present: BTreeSet<Uuid> = self.0.keys().copied().collect();
        for (_, row) in self.0.values_mut() {
            let weak = row.datum("load_balancer");
            let alive: Vec<Uuid> = weak.uuids().filter(|uuid| present.contains(uuid)).collect();
            row.insert("load_balancer", Datum::set(alive));
        }
    }

    fn view(&self) -> View {
        let mut view = View::default();
        let rows: Vec<_> = self
            .0
            .values()
            .map(|(_, row)| Arc::new(row.clone()))
            .collect();
        view.update(
            self.0
                .iter()
                .zip(&rows)
                .map(|((uuid, (table, _)), row)| (table.as_str(), *uuid, Some(row))),
        );
        view
    }

    fn commit(&mut self, desired: &Rows, next: &mut u128) {
        let view = self.view();
        let changes = diff(desired, &view.rows_of(&owner("s")));
        let fresh = || {
            *next += 1;
            Uuid::from_u128(*next)
        };
        for operation in operations(&changes, &view, fresh).unwrap() {
            self.perform(&operation);
        }
        self.collect_garbage();
    }
}

fn uuid_of(condition: &ovsdb::Condition) -> Uuid {
    condition.0[0].value.as_uuid().unwrap()
}

fn mutate(row: &mut ovsdb::Row, mutation: &ovsdb::Mutation) {
    if let Datum::Map(entries) = &mutation.value {
        return mutate_map(row, mutation, entries);
    }
    let mut uuids: BTreeSet<Uuid> = row.datum(&mutation.column).uuids().collect();
    for uuid in mutation.value.uuids() {
        match mutation.mutator {
            Mutator::Insert => uuids.insert(uuid),
            Mutator::Delete => uuids.remove(&uuid),
            Mutator::Add
            | Mutator::Subtract
            | Mutator::Multiply
            | Mutator::Divide
            | Mutator::Modulo => panic!("{mutation:?}"),
        };
    }
    row.insert(mutation.column.clone(), Datum::set(uuids));
}

/// An insert leaves keys alone that are there, a delete leaves entries alone with another value.
fn mutate_map(row: &mut ovsdb::Row, mutation: &ovsdb::Mutation, entries: &BTreeMap<Atom, Atom>) {
    let mut map: BTreeMap<Atom, Atom> = row
        .datum(&mutation.column)
        .pairs()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for (key, value) in entries {
        if mutation.mutator == Mutator::Insert {
            map.entry(key.clone()).or_insert_with(|| value.clone());
        } else if map.get(key) == Some(value) {
            map.remove(key);
        }
    }
    row.insert(mutation.column.clone(), Datum::Map(map));
}

proptest! {
    #[test]
    fn diff_of_equal_rows_is_empty(rows in any_rows()) {
        prop_assert_eq!(diff(&rows, &rows), vec![]);
    }

    #[test]
    fn applying_the_diff_gives_the_desired_rows(desired in any_rows(), actual in any_rows()) {
        let mut rows = actual.clone();
        apply(&mut rows, &diff(&desired, &actual));
        prop_assert_eq!(rows, desired);
    }

    #[test]
    fn performing_the_operations_gives_the_desired_rows(
        first in any_rows(),
        second in any_rows(),
    ) {
        let (mut tables, mut next) = (Tables::default(), 0);
        for desired in [&first, &second] {
            tables.commit(desired, &mut next);
            prop_assert_eq!(&tables.view().rows_of(&owner("s")), desired);
        }
        tables.commit(&Rows::new(), &mut next);
        prop_assert!(tables.0.is_empty());
    }

    #[test]
    fn a_view_that_followed_the_changes_equals_one_made_anew(
        first in any_rows(),
        second in any_rows(),
    ) {
        let (mut tables, mut next) = (Tables::default(), 0);
        tables.commit(&first, &mut next);
        let mut followed = tables.view();
        let before = tables.0.clone();
        tables.commit(&second, &mut next);
        let uuids: BTreeSet<Uuid> = before.keys().chain(tables.0.keys()).copied().collect();
        let changes = uuids.iter().filter(|uuid| before.get(uuid) != tables.0.get(uuid));
        let changes: Vec<_> = changes.map(|uuid| {
            let table = &before.get(uuid).or_else(|| tables.0.get(uuid)).unwrap().0;
            (table.as_str(), *uuid, tables.0.get(uuid).map(|(_, row)| Arc::new(row.clone())))
        }).collect();
        followed.update(changes.iter().map(|(table, uuid, row)| (*table, *uuid, row.as_ref())));
        prop_assert_eq!(followed.rows_of(&owner("s")), tables.view().rows_of(&owner("s")));
    }
}

#[test]
fn one_vip_of_many_costs_one_entry_and_no_guard() {
    let vips = |backend: &str| {
        let many = (0..1000).map(|number| (format!("10.96.0.1:{number}"), "10.0.0.1:1".to_owned()));
        let one = ("10.96.0.1:7".to_owned(), backend.to_owned());
        many.chain([one]).collect::<BTreeMap<_, _>>()
    };
    let (mut tables, mut next) = (Tables::default(), 0);
    let rows = |backend| Rows::from([switch("s0", ""), load_balancer(vips(backend))]);
    tables.commit(&rows("10.0.0.1:1"), &mut next);
    let view = tables.view();
    let changes = diff(&rows("10.0.0.2:1"), &view.rows_of(&owner("s")));
    let operations = operations(&changes, &view, Uuid::nil).unwrap();
    let [Operation::Mutate { mutations, .. }] = operations.as_slice() else {
        panic!("{operations:?}");
    };
    let entries: Vec<usize> = mutations.iter().map(|it| it.value.len()).collect();
    assert_eq!(entries, [1, 1]);
}

#[test]
fn a_row_of_somebody_else_belongs_to_no_owner() {
    let foreign = Arc::new(ovsdb::Row::default().with("name", "lab"));
    let mut view = View::default();
    view.update([("Logical_Switch", Uuid::from_u128(1), Some(&foreign))]);
    assert_eq!(view.owners().count(), 0);
    assert!(
        view.uuid(&RowKey::LogicalSwitch("lab".to_owned()))
            .is_some()
    );
}

#[test]
fn a_missing_parent_is_named() {
    let desired = Rows::from([port("p", "10.0.0.1", &BTreeSet::new())]);
    let changes = diff(&desired, &Rows::new());
    let error = operations(&changes, &View::default(), Uuid::nil).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Logical_Switch_Port p needs Logical_Switch s0, which does not exist yet"
    );
}
