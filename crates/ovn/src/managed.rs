//! Which columns are ours in the rows that we own.
//!
//! The rest belongs to northd and ovn-controller (`up`, `dynamic_addresses`, ...) or is set
//! through links; it is neither compared nor written.

use crate::column::Table;
use crate::nb;

/// A managed table: the columns we write, and the columns that hold children.
#[derive(Debug)]
pub struct Managed {
    pub table: &'static Table,
    pub columns: &'static [&'static str],
    /// Columns that are sets of references to rows of managed tables.
    pub children: &'static [&'static str],
}

/// Every managed table of the northbound database.
pub const TABLES: &[Managed] = &[
    Managed {
        table: &nb::LOGICAL_ROUTER,
        columns: &["name", "options", "external_ids"],
        children: &["ports", "policies", "static_routes"],
    },
    Managed {
        table: &nb::LOGICAL_SWITCH,
        columns: &["name", "other_config", "external_ids"],
        children: &["ports", "load_balancer", "acls", "qos_rules"],
    },
    Managed {
        table: &nb::PORT_GROUP,
        columns: &["name", "external_ids"],
        children: &["ports", "acls"],
    },
    Managed {
        table: &nb::ADDRESS_SET,
        columns: &["name", "addresses", "external_ids"],
        children: &[],
    },
    Managed {
        table: &nb::LOAD_BALANCER,
        columns: &[
            "name",
            "protocol",
            "vips",
            "selection_fields",
            "options",
            "external_ids",
        ],
        children: &[],
    },
    Managed {
        table: &nb::LOGICAL_ROUTER_PORT,
        columns: &["name", "mac", "networks", "peer", "options", "external_ids"],
        children: &[],
    },
    Managed {
        table: &nb::LOGICAL_SWITCH_PORT,
        columns: &[
            "name",
            "type",
            "addresses",
            "port_security",
            "options",
            "tag",
            "external_ids",
        ],
        children: &[],
    },
    Managed {
        table: &nb::LOGICAL_ROUTER_POLICY,
        columns: &[
            "priority",
            "match",
            "action",
            "nexthops",
            "options",
            "external_ids",
        ],
        children: &[],
    },
    Managed {
        table: &nb::LOGICAL_ROUTER_STATIC_ROUTE,
        columns: &[
            "ip_prefix",
            "nexthop",
            "policy",
            "route_table",
            "output_port",
            "options",
            "external_ids",
        ],
        children: &[],
    },
    Managed {
        table: &nb::ACL,
        columns: &[
            "name",
            "direction",
            "priority",
            "match",
            "action",
            "log",
            "severity",
            "options",
            "external_ids",
        ],
        children: &[],
    },
    Managed {
        table: &nb::QOS,
        columns: &[
            "direction",
            "priority",
            "match",
            "action",
            "bandwidth",
            "external_ids",
        ],
        children: &[],
    },
];

/// The managed table of that name.
pub fn table(name: &str) -> Option<&'static Managed> {
    TABLES.iter().find(|managed| managed.table.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_managed_column_is_in_the_schema() {
        for managed in TABLES {
            for column in managed.columns.iter().chain(managed.children) {
                assert!(
                    managed.table.column(column).is_some(),
                    "{}.{column}",
                    managed.table.name
                );
            }
        }
    }

    #[test]
    fn every_table_without_root_is_the_child_of_another() {
        let referred = |parent: &Managed, column: &str| {
            parent
                .table
                .column(column)?
                .reference
                .as_ref()
                .map(|reference| reference.table)
        };
        let children: Vec<_> = TABLES
            .iter()
            .flat_map(|parent| {
                parent
                    .children
                    .iter()
                    .map(|column| referred(parent, column))
            })
            .collect();
        for managed in TABLES.iter().filter(|managed| !managed.table.is_root) {
            assert!(
                children.contains(&Some(managed.table.name)),
                "{}",
                managed.table.name
            );
        }
    }
}
