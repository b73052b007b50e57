//! What planning an owner gives.

use model::Owner;
use ovn::{Row, RowKey, Rows, nb, owned};

/// The desired rows of one or several owners, and what users must mend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    pub rows: Rows,
    pub problems: Vec<Problem>,
}

/// Something that the user must fix; shown as a condition and an event of the object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{owner}: {message}")]
pub struct Problem {
    pub owner: Owner,
    /// A word in CamelCase for machines.
    pub reason: &'static str,
    /// A sentence with field, value and remedy.
    pub message: String,
}

// === impl Planned ===

impl Planned {
    /// Adds a row of `owner`: writes the owner into it.
    pub(crate) fn row(&mut self, owner: &Owner, key: RowKey, row: Row) {
        let ids = owned::external_ids(owner);
        let row = match key {
            RowKey::LogicalRouter(_) => row.with(nb::logical_router::EXTERNAL_IDS, ids),
            RowKey::LogicalSwitch(_) => row.with(nb::logical_switch::EXTERNAL_IDS, ids),
            RowKey::PortGroup(_) => row.with(nb::port_group::EXTERNAL_IDS, ids),
            RowKey::AddressSet(_) => row.with(nb::address_set::EXTERNAL_IDS, ids),
            RowKey::LoadBalancer(_) => row.with(nb::load_balancer::EXTERNAL_IDS, ids),
            RowKey::LogicalRouterPort(_) => row.with(nb::logical_router_port::EXTERNAL_IDS, ids),
            RowKey::LogicalSwitchPort(_) => {
                let mut ids = ids;
                if let Owner::Port(key) = owner {
                    ids.insert(owned::POD_KEY.to_owned(), key.pod.to_string());
                }
                row.with(nb::logical_switch_port::EXTERNAL_IDS, ids)
            }
            RowKey::RouterPolicy { .. } => row.with(nb::logical_router_policy::EXTERNAL_IDS, ids),
            RowKey::StaticRoute { .. } => {
                row.with(nb::logical_router_static_route::EXTERNAL_IDS, ids)
            }
            RowKey::Acl { .. } => row.with(nb::acl::EXTERNAL_IDS, ids),
            RowKey::Qos { .. } => row.with(nb::qos::EXTERNAL_IDS, ids),
        };
        self.rows.insert(key, row);
    }

    pub(crate) fn problem(&mut self, owner: &Owner, reason: &'static str, message: String) {
        self.problems.push(Problem {
            owner: owner.clone(),
            reason,
            message,
        });
    }
}

impl FromIterator<Self> for Planned {
    fn from_iter<I: IntoIterator<Item = Self>>(parts: I) -> Self {
        parts.into_iter().fold(Self::default(), |mut all, part| {
            all.rows.extend(part.rows);
            all.problems.extend(part.problems);
            all
        })
    }
}
