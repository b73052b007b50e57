use std::collections::BTreeMap;
use std::sync::Arc;

use daemon_plan::PortKind;
use daemon_plan::tunnel::{Record, TUNNEL_BRIDGE, TunnelBridge};

use super::*;

/// A state of the database, which operations can be applied to.
#[derive(Debug, Default)]
struct Database {
    bridges: Rows,
    ports: Rows,
    interfaces: Rows,
    settings: Rows,
}

impl Database {
    fn with_bridge() -> Self {
        let mut database = Self::default();
        let bridge = Row::new().with(NAME, INTEGRATION_BRIDGE);
        database.bridges.insert(Uuid::new_v4(), Arc::new(bridge));
        database
    }

    fn with_settings() -> Self {
        let mut database = Self::with_bridge();
        let row = Row::new().with(EXTERNAL_IDS, Datum::map([("system-id", "n1")]));
        database.settings.insert(Uuid::new_v4(), Arc::new(row));
        database
    }

    fn tables(&self) -> Tables<'_> {
        Tables {
            settings: &self.settings,
            bridges: &self.bridges,
            ports: &self.ports,
            interfaces: &self.interfaces,
        }
    }

    fn rows(&mut self, table: &str) -> &mut Rows {
        match table {
            "Bridge" => &mut self.bridges,
            "Port" => &mut self.ports,
            "Interface" => &mut self.interfaces,
            "Open_vSwitch" => &mut self.settings,
            other => panic!("no table {other}"),
        }
    }

    fn apply(&mut self, operations: Vec<Operation>) {
        for operation in operations {
            if let Operation::Insert { table, uuid, row } = operation {
                self.rows(&table).insert(uuid.unwrap(), Arc::new(row));
            } else if let Operation::Update {
                table,
                condition,
                row,
            } = operation
            {
                self.target(&table, &condition).0.extend(row.0);
            } else if let Operation::Mutate {
                table,
                condition,
                mutations,
            } = operation
            {
                mutate_row(self.target(&table, &condition), mutations);
            } else {
                panic!("unexpected {operation}");
            }
        }
    }

    fn target(&mut self, table: &str, condition: &Condition) -> &mut Row {
        let rows = self.rows(table).iter_mut();
        let mut matching = rows.filter(|(uuid, _)| Condition::uuid(**uuid) == *condition);
        Arc::make_mut(matching.next().unwrap().1)
    }

    fn plugged(&mut self, port: &Port) -> usize {
        let operations = plug(&self.tables(), port).unwrap();
        let count = operations.len();
        self.apply(operations);
        count
    }
}

fn mutate_row(row: &mut Row, mutations: Vec<Mutation>) {
    for mutation in mutations {
        let datum = row.0.entry(mutation.column).or_default();
        match (mutation.mutator, datum, mutation.value) {
            (Mutator::Insert, Datum::Map(pairs), Datum::Map(new)) => {
                let kept = std::mem::replace(pairs, new);
                pairs.extend(kept);
            }
            (Mutator::Delete, Datum::Map(pairs), Datum::Set(keys)) => {
                pairs.retain(|key, _| !keys.contains(key));
            }
            (Mutator::Insert, Datum::Set(atoms), Datum::Set(new)) => atoms.extend(new),
            (Mutator::Delete, Datum::Set(atoms), Datum::Set(old)) => {
                atoms.retain(|atom| !old.contains(atom));
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn port(name: &str, iface_id: &str) -> Port {
    let ids = [(key::IFACE_ID, iface_id), (key::CONTAINER_ID, name)];
    Port {
        name: name.parse().unwrap(),
        kind: PortKind::Link,
        mtu_request: None,
        external_ids: ids
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    }
}

fn ids(database: &Database, name: &str) -> BTreeMap<String, String> {
    let interface = database.tables().interface(&name.parse().unwrap());
    interface.unwrap().external_ids
}

#[test]
fn a_port_is_plugged_once() {
    let mut database = Database::with_bridge();
    let port = port("a", "web.default");
    assert_eq!(database.plugged(&port), 3);
    assert_eq!(ids(&database, "a"), port.external_ids);
    assert_eq!(database.plugged(&port), 0);
}

#[test]
fn keys_of_others_stay_when_ours_are_corrected() {
    let mut database = Database::with_bridge();
    database.plugged(&port("a", "web.default"));
    let (uuid, _) = named(&database.interfaces, "a").unwrap();
    let installed = Datum::map([(key::OVN_INSTALLED, "true")]);
    let table = vswitch::INTERFACE.name;
    database.apply(vec![mutate(
        table,
        uuid,
        EXTERNAL_IDS,
        Mutator::Insert,
        installed,
    )]);

    let other = port("a", "db.default");
    assert_eq!(database.plugged(&other), 1);
    let ids = ids(&database, "a");
    assert_eq!(ids[key::IFACE_ID], "db.default");
    assert_eq!(ids[key::OVN_INSTALLED], "true");
    assert_eq!(database.plugged(&other), 0);
}

#[test]
fn the_claim_of_an_earlier_sandbox_is_taken_away() {
    let mut database = Database::with_bridge();
    database.plugged(&port("old", "web.default"));
    assert_eq!(database.plugged(&port("new", "web.default")), 4);
    assert!(!ids(&database, "old").contains_key(key::IFACE_ID));
    assert_eq!(ids(&database, "old")[key::CONTAINER_ID], "old");
    assert_eq!(ids(&database, "new")[key::IFACE_ID], "web.default");
}

#[test]
fn an_mtu_is_asked_for_where_open_vswitch_makes_the_link() {
    let mut database = Database::with_bridge();
    let mut ovn0 = port("ovn0", "node-n1");
    ovn0.kind = PortKind::Internal;
    ovn0.mtu_request = Some(1400);
    database.plugged(&ovn0);
    ovn0.mtu_request = Some(1300);
    assert_eq!(database.plugged(&ovn0), 1);
    let (_, row) = named(&database.interfaces, "ovn0").unwrap();
    assert_eq!(row.datum(MTU_REQUEST).as_integer(), Some(1300));
    assert_eq!(row.str(TYPE), "internal");
}

#[test]
fn a_port_of_another_bridge_is_left_alone() {
    let mut database = Database::with_bridge();
    let ours = port("a", "web.default");
    database.plugged(&ours);
    let bridge = *database.bridges.keys().next().unwrap();
    let taken = database.bridges.remove(&bridge).unwrap();
    let other = Row::clone(&taken).with(NAME, "br-ext");
    database.bridges.insert(bridge, Arc::new(other));
    let ours_again = Row::new().with(NAME, INTEGRATION_BRIDGE);
    database
        .bridges
        .insert(Uuid::new_v4(), Arc::new(ours_again));
    assert!(matches!(
        plug(&database.tables(), &ours),
        Err(Error::OtherBridge(_))
    ));
}

#[test]
fn without_the_integration_bridge_nothing_is_plugged() {
    let database = Database::default();
    let refused = plug(&database.tables(), &port("a", "x.y"));
    assert!(matches!(refused, Err(Error::NoBridge(_))));
}

#[test]
fn unplugging_the_absent_does_nothing() {
    let mut database = Database::with_bridge();
    let name = "a".parse().unwrap();
    assert_eq!(unplug(&database.tables(), &name), vec![]);
    database.plugged(&port("a", "web.default"));
    let operations = unplug(&database.tables(), &name);
    assert_eq!(operations.len(), 1);
    database.apply(operations);
    assert_eq!(unplug(&database.tables(), &name), vec![]);
}

fn tunnel_bridge(mtu: u32) -> TunnelBridge {
    TunnelBridge {
        record: Record {
            nic: "eth1".parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            addresses: Vec::new(),
            routes: BTreeSet::new(),
        },
        mtu,
    }
}

fn taken_over(database: &mut Database, mtu: u32) -> usize {
    let operations = take_over(&database.tables(), &tunnel_bridge(mtu)).unwrap();
    let count = operations.len();
    database.apply(operations);
    count
}

#[test]
fn the_tunnels_link_is_taken_over_once_and_follows_its_mtu() {
    let mut database = Database::with_settings();
    assert_eq!(taken_over(&mut database, 1500), 8);
    assert_eq!(taken_over(&mut database, 1500), 0);
    assert_eq!(taken_over(&mut database, 9000), 1);
    assert_eq!(dissolve(&database.tables()).len(), 1);
}

#[test]
fn a_bridge_of_somebody_else_is_neither_used_nor_removed() {
    let mut database = Database::with_settings();
    let foreign = Row::new().with(NAME, TUNNEL_BRIDGE);
    database.bridges.insert(Uuid::new_v4(), Arc::new(foreign));
    let refused = take_over(&database.tables(), &tunnel_bridge(1500));
    assert!(matches!(refused, Err(Error::ForeignBridge(_))));
    assert_eq!(dissolve(&database.tables()), vec![]);
}

#[test]
fn a_link_on_another_bridge_is_not_taken_over() {
    let mut database = Database::with_settings();
    database.plugged(&port("eth1", "x.y"));
    let refused = take_over(&database.tables(), &tunnel_bridge(1500));
    assert!(matches!(refused, Err(Error::OtherBridge(_))));
}

#[test]
fn a_setting_is_written_once() {
    let mut database = Database::with_settings();
    let operations = set(&database.tables(), "ovn-encap-ip", "10.1.0.1");
    assert_eq!(operations.len(), 1);
    database.apply(operations);
    assert_eq!(set(&database.tables(), "ovn-encap-ip", "10.1.0.1"), vec![]);
}

#[test]
fn only_links_of_pods_are_attachments() {
    let mut database = Database::with_bridge();
    let mut ours = port("a", "web.default");
    ours.external_ids
        .insert(key::VENDOR.to_owned(), VENDOR.to_owned());
    database.plugged(&ours);
    database.plugged(&port("foreign", "x.y"));
    let mut ovn0 = port("ovn0", "node-n1");
    ovn0.kind = PortKind::Internal;
    ovn0.external_ids
        .insert(key::VENDOR.to_owned(), VENDOR.to_owned());
    database.plugged(&ovn0);
    let names: Vec<_> = database
        .tables()
        .attachments()
        .into_iter()
        .map(|interface| interface.name.to_string())
        .collect();
    assert_eq!(names, ["a"]);
}
