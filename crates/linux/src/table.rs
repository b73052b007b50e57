//! Routing tables that only rules lead to: our routes in them, and which tables others use.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use model::{Cidr, IpFamily};

use crate::LinkName;

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{apply, observe};

/// A route of a table that is not the main one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub table: u32,
    pub destination: Cidr,
    pub hop: Hop,
}

/// Where packets go next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    Gateway(IpAddr, LinkName),
    /// The destination is on the link.
    Link(LinkName),
    /// Nowhere, and the sender is told. It counts only where the table has no other route to the
    /// destination.
    Unreachable,
}

pub type Routes = BTreeSet<Route>;

/// What the kernel's tables hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actual {
    pub ours: Routes,
    /// Tables with routes of somebody else.
    pub foreign: BTreeSet<(IpFamily, u32)>,
    /// What the main table says to be on a link.
    pub on_link: BTreeSet<(Cidr, LinkName)>,
    /// The addresses of the node itself.
    pub own: BTreeSet<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// In place of what leads there now.
    Put(Route),
    Remove(Route),
}

/// What must change for `actual` to be as desired. What is put comes first, and replaces: there is no
/// moment without a route.
pub fn diff(desired: &Routes, actual: &Routes) -> Vec<Change> {
    let put = desired.difference(actual).cloned().map(Change::Put);
    let is_replaced = |route: &&Route| {
        let mut new = desired.difference(actual);
        new.any(|it| it.place() == route.place())
    };
    let removed = actual.difference(desired);
    let removed = removed.filter(|route| !is_replaced(route)).cloned();
    put.chain(removed.map(Change::Remove)).collect()
}

// === impl Route ===

impl Route {
    /// Of routes at one place, the kernel has one.
    fn place(&self) -> (u32, Cidr, bool) {
        (self.table, self.destination, self.hop == Hop::Unreachable)
    }
}

/// As `ip route` prints them.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(gateway, link) => write!(f, "via {gateway} dev {link}"),
            Self::Link(link) => write!(f, "dev {link}"),
            Self::Unreachable => f.write_str("unreachable"),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} table {}", self.destination, self.hop, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    /// At most one route at a place.
    fn routes() -> impl Strategy<Value = Routes> {
        let place = (100_u32..103, 0_u8..3);
        btree_map(place, 0_u8..4, 0..6).prop_map(|routes| {
            let route = |((table, net), gateway): ((u32, u8), u8)| Route {
                table,
                destination: format!("10.{net}.0.0/16").parse().unwrap(),
                hop: match gateway {
                    0 => Hop::Unreachable,
                    _ => Hop::Gateway([192, 0, 2, gateway].into(), LinkName::new("a").unwrap()),
                },
            };
            routes.into_iter().map(route).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_as_desired_needs_no_change(routes in routes()) {
            prop_assert_eq!(diff(&routes, &routes), vec![]);
        }

        #[test]
        fn applying_the_changes_gives_what_is_desired(desired in routes(), mut actual in routes()) {
            for change in diff(&desired, &actual) {
                match change {
                    Change::Put(route) => {
                        actual.retain(|it| it.place() != route.place());
                        prop_assert!(actual.insert(route));
                    }
                    Change::Remove(route) => prop_assert!(actual.remove(&route)),
                }
            }
            prop_assert_eq!(actual, desired);
        }
    }
}
