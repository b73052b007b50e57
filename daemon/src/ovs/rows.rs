//! Rows of the Open_vSwitch database: what they say, and which operations change them. Pure.

use std::collections::BTreeSet;

use daemon_plan::Port;
use daemon_plan::port::{INTEGRATION_BRIDGE, VENDOR, key};
use linux::LinkName;
use ovn::vswitch;
use ovsdb::client::{Database, Rows};
use ovsdb::{Condition, Datum, Mutation, Mutator, Operation, Row, Uuid};

use super::{Error, Pairs};

mod uplink;
pub(super) use uplink::{dissolve, set, take_over};

/// The columns that are followed, by table. Statistics are not: they change every few seconds.
pub(super) const OPEN_VSWITCH: &[&str] = &[EXTERNAL_IDS];
pub(super) const BRIDGE: &[&str] = &[
    NAME,
    PORTS,
    vswitch::bridge::DATAPATH_TYPE.name,
    EXTERNAL_IDS,
    vswitch::bridge::OTHER_CONFIG.name,
];
pub(super) const PORT: &[&str] = &[NAME, INTERFACES];
pub(super) const INTERFACE: &[&str] = &[
    NAME,
    EXTERNAL_IDS,
    TYPE,
    MTU_REQUEST,
    vswitch::interface::ERROR.name,
];

const NAME: &str = vswitch::interface::NAME.name;
const EXTERNAL_IDS: &str = vswitch::interface::EXTERNAL_IDS.name;
const TYPE: &str = vswitch::interface::TYPE.name;
const MTU_REQUEST: &str = vswitch::interface::MTU_REQUEST.name;
const PORTS: &str = vswitch::bridge::PORTS.name;
const INTERFACES: &str = vswitch::port::INTERFACES.name;

/// One state of the tables that matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables<'a> {
    settings: &'a Rows,
    bridges: &'a Rows,
    ports: &'a Rows,
    interfaces: &'a Rows,
}

/// An interface of some bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: LinkName,
    pub(crate) external_ids: Pairs,
    /// Why Open vSwitch cannot use the link.
    pub(crate) error: Option<String>,
}

// === impl Interface ===

impl Interface {
    pub(crate) fn id(&self, key: &str) -> &str {
        self.external_ids.get(key).map_or("", String::as_str)
    }

    pub(crate) fn is_installed(&self) -> bool {
        self.id(key::OVN_INSTALLED) == "true"
    }

    fn of(row: &Row) -> Option<Self> {
        Some(Self {
            name: LinkName::new(row.str(NAME)).ok()?,
            external_ids: pairs(row),
            error: row
                .datum(vswitch::interface::ERROR.name)
                .as_str()
                .map(str::to_owned),
        })
    }
}

fn pairs(row: &Row) -> Pairs {
    let pairs = row.datum(EXTERNAL_IDS).string_pairs();
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

// === impl Tables ===

impl<'a> Tables<'a> {
    pub(super) fn of(database: &'a Database) -> Self {
        Self {
            settings: database.table(vswitch::OPEN_VSWITCH.name),
            bridges: database.table(vswitch::BRIDGE.name),
            ports: database.table(vswitch::PORT.name),
            interfaces: database.table(vswitch::INTERFACE.name),
        }
    }

    /// A setting of the whole Open vSwitch.
    pub(super) fn setting(&self, key: &str) -> Option<String> {
        let mut rows = self.settings.values();
        rows.find_map(|row| row.datum(EXTERNAL_IDS).get_str(key).map(str::to_owned))
    }

    pub(super) fn datapath_type(&self) -> Result<String, Error> {
        let (_, bridge) = self.bridge()?;
        Ok(bridge.str(vswitch::bridge::DATAPATH_TYPE.name).to_owned())
    }

    pub(super) fn interface(&self, name: &LinkName) -> Option<Interface> {
        let (_, row) = named(self.interfaces, name.as_str())?;
        Interface::of(row)
    }

    pub(super) fn interfaces(&self, ids: &[(&str, &str)]) -> Vec<Interface> {
        let interfaces = self
            .interfaces
            .values()
            .filter_map(|row| Interface::of(row));
        let matches = |interface: &Interface| ids.iter().all(|(k, v)| interface.id(k) == *v);
        interfaces.filter(matches).collect()
    }

    /// The attachments of pods: interfaces of links that we made.
    pub(super) fn attachments(&self) -> Vec<Interface> {
        let of_link = self
            .interfaces
            .values()
            .filter(|row| row.str(TYPE).is_empty());
        let interfaces = of_link.filter_map(|row| Interface::of(row));
        let is_ours = |interface: &Interface| {
            interface.id(key::VENDOR) == VENDOR && !interface.id(key::CONTAINER_ID).is_empty()
        };
        interfaces.filter(is_ours).collect()
    }

    fn bridge(&self) -> Result<(Uuid, &'a Row), Error> {
        named(self.bridges, INTEGRATION_BRIDGE).ok_or(Error::NoBridge(INTEGRATION_BRIDGE))
    }
}

fn named<'a>(rows: &'a Rows, name: &str) -> Option<(Uuid, &'a Row)> {
    let mut rows = rows.iter().map(|(uuid, row)| (*uuid, row.as_ref()));
    rows.find(|(_, row)| row.str(NAME) == name)
}

/// What puts `port` on the integration bridge; nothing when it is there and right. An interface of
/// another sandbox that claims the same logical port loses the claim.
pub(super) fn plug(tables: &Tables<'_>, port: &Port) -> Result<Vec<Operation>, Error> {
    let bridge = tables.bridge()?;
    let stale = stale_claims(tables, port).map(forget_iface_id);
    let mut operations: Vec<_> = stale.collect();
    let name = port.name.as_str();
    match (named(tables.interfaces, name), named(tables.ports, name)) {
        (Some(interface), Some((uuid, _))) => {
            if !bridge.1.datum(PORTS).uuids().any(|member| member == uuid) {
                return Err(Error::OtherBridge(port.name.clone()));
            }
            operations.extend(correct(interface, port));
        }
        (_, Some(_)) => return Err(Error::OtherBridge(port.name.clone())),
        (_, None) => operations.extend(add(bridge.0, port)),
    }
    Ok(operations)
}

/// Interfaces other than the port's with its `iface-id`: OVN binds a logical port to one only.
fn stale_claims<'a>(tables: &Tables<'a>, port: &Port) -> impl Iterator<Item = Uuid> + use<'a> {
    let (id, name) = (port.iface_id().to_owned(), port.name.clone());
    let claims = move |row: &Row| {
        row.datum(EXTERNAL_IDS).get_str(key::IFACE_ID) == Some(id.as_str())
            && row.str(NAME) != name.as_str()
    };
    let rows = tables.interfaces.iter();
    rows.filter(move |(_, row)| claims(row))
        .map(|(uuid, _)| *uuid)
}

fn forget_iface_id(interface: Uuid) -> Operation {
    let keys = Datum::set([key::IFACE_ID]);
    mutate(
        vswitch::INTERFACE.name,
        interface,
        EXTERNAL_IDS,
        Mutator::Delete,
        keys,
    )
}

/// A new interface and port, and the bridge's reference to it, which is what keeps them.
fn add(bridge: Uuid, port: &Port) -> [Operation; 3] {
    let (interface_uuid, port_uuid) = (Uuid::new_v4(), Uuid::new_v4());
    let mut interface = Row::new()
        .with(NAME, port.name.as_str())
        .with(TYPE, port.kind.interface_type());
    interface.insert(EXTERNAL_IDS, Datum::map(&port.external_ids));
    if let Some(mtu) = port.mtu_request {
        interface.insert(MTU_REQUEST, i64::from(mtu));
    }
    let row = Row::new()
        .with(NAME, port.name.as_str())
        .with(INTERFACES, interface_uuid);
    [
        insert(vswitch::INTERFACE.name, interface_uuid, interface),
        insert(vswitch::PORT.name, port_uuid, row),
        mutate(
            vswitch::BRIDGE.name,
            bridge,
            PORTS,
            Mutator::Insert,
            Datum::uuid(port_uuid),
        ),
    ]
}

/// What makes an existing interface right. Keys of others in `external_ids` stay.
fn correct((uuid, row): (Uuid, &Row), port: &Port) -> Vec<Operation> {
    let actual = row.datum(EXTERNAL_IDS);
    let differs = |(key, value): &(&String, &String)| actual.get_str(key) != Some(value.as_str());
    let wrong: Vec<_> = port.external_ids.iter().filter(differs).collect();
    let mut operations = Vec::new();
    if !wrong.is_empty() {
        // an insert into a map leaves a key that is there as it is (RFC 7047 section 5.1)
        let keys: BTreeSet<&str> = wrong.iter().map(|(key, _)| key.as_str()).collect();
        operations.push(Operation::Mutate {
            table: vswitch::INTERFACE.name.to_owned(),
            condition: Condition::uuid(uuid),
            mutations: vec![
                Mutation::new(EXTERNAL_IDS, Mutator::Delete, Datum::set(keys)),
                Mutation::new(EXTERNAL_IDS, Mutator::Insert, Datum::map(wrong)),
            ],
        });
    }
    let mtu = port.mtu_request.map(i64::from);
    if mtu.is_some() && row.datum(MTU_REQUEST).as_integer() != mtu {
        operations.push(Operation::Update {
            table: vswitch::INTERFACE.name.to_owned(),
            condition: Condition::uuid(uuid),
            row: Row::new().with(MTU_REQUEST, mtu.unwrap_or_default()),
        });
    }
    operations
}

/// What takes the port `name` off every bridge; its interface goes with it, as nothing refers to
/// either any more.
pub(super) fn unplug(tables: &Tables<'_>, name: &LinkName) -> Vec<Operation> {
    let Some((port, _)) = named(tables.ports, name.as_str()) else {
        return Vec::new();
    };
    let holds = |row: &Row| row.datum(PORTS).uuids().any(|member| member == port);
    let bridges = tables.bridges.iter().filter(|(_, row)| holds(row));
    let leave = |(bridge, _): (&Uuid, _)| {
        let table = vswitch::BRIDGE.name;
        mutate(table, *bridge, PORTS, Mutator::Delete, Datum::uuid(port))
    };
    bridges.map(leave).collect()
}

fn insert(table: &str, uuid: Uuid, row: Row) -> Operation {
    Operation::Insert {
        table: table.to_owned(),
        uuid: Some(uuid),
        row,
    }
}

fn mutate(table: &str, uuid: Uuid, column: &str, mutator: Mutator, value: Datum) -> Operation {
    Operation::Mutate {
        table: table.to_owned(),
        condition: Condition::uuid(uuid),
        mutations: vec![Mutation::new(column, mutator, value)],
    }
}

#[cfg(test)]
mod tests;
