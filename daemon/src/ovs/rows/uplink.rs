//! The bridge that takes over the tunnel's link, and the tunnel's address.

use daemon_plan::port::{VENDOR, key};
use daemon_plan::tunnel::{TUNNEL_BRIDGE, TunnelBridge};
use linux::LinkName;
use ovn::vswitch;
use ovsdb::{Condition, Datum, Mutation, Mutator, Operation, Row, Uuid};

use super::{
    EXTERNAL_IDS, INTERFACES, MTU_REQUEST, NAME, PORTS, TYPE, Tables, insert, mutate, named,
};
use crate::ovs::Error;

const OTHER_CONFIG: &str = vswitch::bridge::OTHER_CONFIG.name;
const DATAPATH_TYPE: &str = vswitch::bridge::DATAPATH_TYPE.name;
const BRIDGES: &str = vswitch::open_vswitch::BRIDGES.name;
/// Of the userspace datapath.
const NETDEV: &str = "netdev";
/// The bridge's MAC, in `other_config` (ovs-vswitchd.conf.db(5)).
const MAC: &str = "hwaddr";

/// What makes the bridge with the link as its port; nothing when it is there and right.
///
/// # Errors
/// When there is such a bridge that is not ours, or the link is a port of another.
pub(in crate::ovs) fn take_over(
    tables: &Tables<'_>,
    wanted: &TunnelBridge,
) -> Result<Vec<Operation>, Error> {
    let nic = &wanted.record.nic;
    let mut operations = Vec::new();
    let (bridge, ports) = if let Some((uuid, row)) = named(tables.bridges, TUNNEL_BRIDGE) {
        if row.datum(EXTERNAL_IDS).get_str(key::VENDOR) != Some(VENDOR) {
            return Err(Error::ForeignBridge(TUNNEL_BRIDGE));
        }
        operations.extend(correct(uuid, row, wanted));
        operations.extend(correct_mtu(tables, wanted.mtu));
        (uuid, row.datum(PORTS).uuids().collect())
    } else {
        let (uuid, made) = make(tables, wanted);
        operations.extend(made);
        (uuid, Vec::new())
    };
    match named(tables.ports, nic.as_str()) {
        Some((port, _)) if ports.contains(&port) => {}
        Some(_) => return Err(Error::OtherBridge(nic.clone())),
        None => operations.extend(add_port(bridge, nic, Row::new())),
    }
    Ok(operations)
}

/// The bridge with its own port, which has the bridge's name.
fn make(tables: &Tables<'_>, wanted: &TunnelBridge) -> (Uuid, Vec<Operation>) {
    let bridge = Uuid::new_v4();
    let row = Row::new()
        .with(NAME, TUNNEL_BRIDGE)
        .with(DATAPATH_TYPE, NETDEV)
        .with(EXTERNAL_IDS, Datum::map([(key::VENDOR, VENDOR)]))
        .with(OTHER_CONFIG, mac(wanted));
    let mut operations = vec![insert(vswitch::BRIDGE.name, bridge, row)];
    let own = Row::new()
        .with(TYPE, "internal")
        .with(MTU_REQUEST, i64::from(wanted.mtu));
    if let Ok(name) = LinkName::new(TUNNEL_BRIDGE) {
        operations.extend(add_port(bridge, &name, own));
    }
    operations.extend(in_root(
        tables,
        BRIDGES,
        Mutator::Insert,
        Datum::uuid(bridge),
    ));
    (bridge, operations)
}

fn correct(bridge: Uuid, row: &Row, wanted: &TunnelBridge) -> Vec<Operation> {
    let mut operations = Vec::new();
    if row.str(DATAPATH_TYPE) != NETDEV {
        operations.push(Operation::Update {
            table: vswitch::BRIDGE.name.to_owned(),
            condition: Condition::uuid(bridge),
            row: Row::new().with(DATAPATH_TYPE, NETDEV),
        });
    }
    let is = row.datum(OTHER_CONFIG).get_str(MAC);
    if is != Some(wanted.record.mac.to_string().as_str()) {
        operations.push(replace(
            vswitch::BRIDGE.name,
            bridge,
            OTHER_CONFIG,
            MAC,
            &wanted.record.mac.to_string(),
        ));
    }
    operations
}

/// Of the bridge's own interface: the link may have got another MTU.
fn correct_mtu(tables: &Tables<'_>, mtu: u32) -> Option<Operation> {
    let (uuid, row) = named(tables.interfaces, TUNNEL_BRIDGE)?;
    let is_right = row.datum(MTU_REQUEST).as_integer() == Some(i64::from(mtu));
    (!is_right).then(|| Operation::Update {
        table: vswitch::INTERFACE.name.to_owned(),
        condition: Condition::uuid(uuid),
        row: Row::new().with(MTU_REQUEST, i64::from(mtu)),
    })
}

fn mac(wanted: &TunnelBridge) -> Datum {
    Datum::map([(MAC, wanted.record.mac.to_string())])
}

/// A port of the name of its interface, which has the columns of `interface` besides.
fn add_port(bridge: Uuid, name: &LinkName, interface: Row) -> [Operation; 3] {
    let (interface_uuid, port_uuid) = (Uuid::new_v4(), Uuid::new_v4());
    let interface = interface
        .with(NAME, name.as_str())
        .with(EXTERNAL_IDS, Datum::map([(key::VENDOR, VENDOR)]));
    let port = Row::new()
        .with(NAME, name.as_str())
        .with(INTERFACES, interface_uuid);
    let member = Datum::uuid(port_uuid);
    [
        insert(vswitch::INTERFACE.name, interface_uuid, interface),
        insert(vswitch::PORT.name, port_uuid, port),
        mutate(vswitch::BRIDGE.name, bridge, PORTS, Mutator::Insert, member),
    ]
}

/// What removes the bridge; its ports go with it, as nothing refers to them any more. One that is
/// not ours stays.
pub(in crate::ovs) fn dissolve(tables: &Tables<'_>) -> Vec<Operation> {
    let bridge = named(tables.bridges, TUNNEL_BRIDGE);
    let ours =
        bridge.filter(|(_, row)| row.datum(EXTERNAL_IDS).get_str(key::VENDOR) == Some(VENDOR));
    let removal =
        ours.and_then(|(uuid, _)| in_root(tables, BRIDGES, Mutator::Delete, Datum::uuid(uuid)));
    removal.into_iter().collect()
}

/// What gives a setting of the whole Open vSwitch its value.
pub(in crate::ovs) fn set(tables: &Tables<'_>, key: &str, value: &str) -> Vec<Operation> {
    if tables.setting(key).as_deref() == Some(value) {
        return Vec::new();
    }
    let row = tables.settings.keys().next();
    let change = |row: &Uuid| replace(vswitch::OPEN_VSWITCH.name, *row, EXTERNAL_IDS, key, value);
    row.map(change).into_iter().collect()
}

fn in_root(tables: &Tables<'_>, column: &str, mutator: Mutator, value: Datum) -> Option<Operation> {
    let root = tables.settings.keys().next()?;
    let table = vswitch::OPEN_VSWITCH.name;
    Some(mutate(table, *root, column, mutator, value))
}

/// Gives one key of a map its value: an insert leaves a key that is there as it is (RFC 7047
/// section 5.1).
fn replace(table: &str, row: Uuid, column: &str, key: &str, value: &str) -> Operation {
    Operation::Mutate {
        table: table.to_owned(),
        condition: Condition::uuid(row),
        mutations: vec![
            Mutation::new(column, Mutator::Delete, Datum::set([key])),
            Mutation::new(column, Mutator::Insert, Datum::map([(key, value)])),
        ],
    }
}
