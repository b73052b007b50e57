//! What a row means, independent of its UUID.

use std::fmt;

use crate::acl::Direction;
use crate::column::{Column, ColumnValue, Table};
use crate::nb;
use crate::row::Row;

/// The identity of a row: what an operator would call it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    LogicalRouter(String),
    LogicalSwitch(String),
    PortGroup(String),
    AddressSet(String),
    LoadBalancer(String),
    LogicalRouterPort(String),
    LogicalSwitchPort(String),
    RouterPolicy {
        router: String,
        priority: i64,
        matches: String,
    },
    StaticRoute {
        router: String,
        /// Empty for the table that all packets use.
        table: String,
        policy: RoutePolicy,
        prefix: String,
        nexthop: String,
    },
    Acl {
        /// A switch, or a group of ports.
        parent: Box<Self>,
        direction: Direction,
        priority: i64,
        matches: String,
    },
    /// A limit of bandwidth.
    Qos {
        switch: String,
        direction: Direction,
        priority: i64,
        matches: String,
    },
}

/// Which address of a packet a static route compares with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoutePolicy {
    Destination,
    Source,
}

// === impl RowKey ===

impl RowKey {
    /// The columns that keys are made of.
    pub(crate) const COLUMNS: [&str; 8] = [
        "name",
        nb::logical_router_policy::PRIORITY.name,
        nb::logical_router_policy::MATCH.name,
        nb::logical_router_static_route::ROUTE_TABLE.name,
        nb::logical_router_static_route::POLICY.name,
        nb::logical_router_static_route::IP_PREFIX.name,
        nb::logical_router_static_route::NEXTHOP.name,
        // those of ACLs and limits are named like those of policies, but for this one
        nb::acl::DIRECTION.name,
    ];

    /// No ACL of `parent` comes before it.
    pub(crate) fn first_acl(parent: Self) -> Self {
        Self::Acl {
            parent: Box::new(parent),
            direction: Direction::FromLport,
            priority: i64::MIN,
            matches: String::new(),
        }
    }

    /// The table that the row is in.
    pub const fn table(&self) -> &'static Table {
        match self {
            Self::LogicalRouter(_) => &nb::LOGICAL_ROUTER,
            Self::LogicalSwitch(_) => &nb::LOGICAL_SWITCH,
            Self::PortGroup(_) => &nb::PORT_GROUP,
            Self::AddressSet(_) => &nb::ADDRESS_SET,
            Self::LoadBalancer(_) => &nb::LOAD_BALANCER,
            Self::LogicalRouterPort(_) => &nb::LOGICAL_ROUTER_PORT,
            Self::LogicalSwitchPort(_) => &nb::LOGICAL_SWITCH_PORT,
            Self::RouterPolicy { .. } => &nb::LOGICAL_ROUTER_POLICY,
            Self::StaticRoute { .. } => &nb::LOGICAL_ROUTER_STATIC_ROUTE,
            Self::Acl { .. } => &nb::ACL,
            Self::Qos { .. } => &nb::QOS,
        }
    }

    /// The key of a row, from its columns and, where it has no name of its own, its parent.
    ///
    /// `None` for a row of a table that is not managed, or one whose parent is not known.
    pub fn of(row: &Row) -> Option<Self> {
        let name = |column: Column<String>| row.get(column);
        match row.table().name {
            "Logical_Router" => name(nb::logical_router::NAME).map(Self::LogicalRouter),
            "Logical_Switch" => name(nb::logical_switch::NAME).map(Self::LogicalSwitch),
            "Port_Group" => name(nb::port_group::NAME).map(Self::PortGroup),
            "Address_Set" => name(nb::address_set::NAME).map(Self::AddressSet),
            "Load_Balancer" => name(nb::load_balancer::NAME).map(Self::LoadBalancer),
            "Logical_Router_Port" => {
                name(nb::logical_router_port::NAME).map(Self::LogicalRouterPort)
            }
            "Logical_Switch_Port" => {
                name(nb::logical_switch_port::NAME).map(Self::LogicalSwitchPort)
            }
            "Logical_Router_Policy" => Some(Self::RouterPolicy {
                router: router_of(row)?,
                priority: or_default(row, nb::logical_router_policy::PRIORITY),
                matches: or_default(row, nb::logical_router_policy::MATCH),
            }),
            "Logical_Router_Static_Route" => Some(Self::StaticRoute {
                router: router_of(row)?,
                table: or_default(row, nb::logical_router_static_route::ROUTE_TABLE),
                policy: RoutePolicy::of(row),
                prefix: or_default(row, nb::logical_router_static_route::IP_PREFIX),
                nexthop: or_default(row, nb::logical_router_static_route::NEXTHOP),
            }),
            "ACL" => Some(Self::Acl {
                parent: Box::new(holder_of(row)?),
                direction: row.get(nb::acl::DIRECTION)?.parse().ok()?,
                priority: or_default(row, nb::acl::PRIORITY),
                matches: or_default(row, nb::acl::MATCH),
            }),
            "QoS" => Some(Self::Qos {
                switch: switch_of(row)?,
                direction: row.get(nb::qos::DIRECTION)?.parse().ok()?,
                priority: or_default(row, nb::qos::PRIORITY),
                matches: or_default(row, nb::qos::MATCH),
            }),
            _ => None,
        }
    }
}

// === impl RoutePolicy ===

impl RoutePolicy {
    /// The word in `Logical_Router_Static_Route.policy`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Destination => "dst-ip",
            Self::Source => "src-ip",
        }
    }

    /// A route that does not say is one by destination.
    fn of(row: &Row) -> Self {
        let word = row.get(nb::logical_router_static_route::POLICY);
        if word.flatten().as_deref() == Some(Self::Source.word()) {
            Self::Source
        } else {
            Self::Destination
        }
    }
}

fn or_default<T: ColumnValue + Default>(row: &Row, column: Column<T>) -> T {
    row.get(column).unwrap_or_default()
}

fn router_of(row: &Row) -> Option<String> {
    row.links().iter().find_map(|link| {
        let RowKey::LogicalRouter(router) = &link.parent else {
            return None;
        };
        Some(router.clone())
    })
}

fn switch_of(row: &Row) -> Option<String> {
    let RowKey::LogicalSwitch(switch) = holder_of(row)? else {
        return None;
    };
    Some(switch)
}

/// The row whose ACL or limit it is.
fn holder_of(row: &Row) -> Option<RowKey> {
    let mut links = row.links().iter();
    links.next().map(|link| link.parent.clone())
}

/// `<table> <name>`.
impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table().name;
        match self {
            Self::LogicalRouter(name)
            | Self::LogicalSwitch(name)
            | Self::PortGroup(name)
            | Self::AddressSet(name)
            | Self::LoadBalancer(name)
            | Self::LogicalRouterPort(name)
            | Self::LogicalSwitchPort(name) => write!(f, "{table} {name}"),
            Self::RouterPolicy {
                router,
                priority,
                matches,
            } => {
                write!(f, "{table} {router} {priority} `{matches}`")
            }
            Self::StaticRoute {
                router,
                table: of_packets,
                policy,
                prefix,
                nexthop,
            } => {
                write!(f, "{table} {router} ")?;
                if !of_packets.is_empty() {
                    write!(f, "table {of_packets} ")?;
                }
                if *policy == RoutePolicy::Source {
                    f.write_str("from ")?;
                }
                write!(f, "{prefix} via {nexthop}")
            }
            Self::Acl {
                parent,
                direction,
                priority,
                matches,
            } => {
                write!(f, "{table} {parent} {direction} {priority} `{matches}`")
            }
            Self::Qos {
                switch,
                direction,
                priority,
                matches,
            } => {
                write!(f, "{table} {switch} {direction} {priority} `{matches}`")
            }
        }
    }
}
