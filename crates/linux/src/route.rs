//! Routes of the main table: ours, and those of others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::Cidr;

use crate::LinkName;

#[cfg(feature = "kernel")]
pub(crate) mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{add_static, apply, observe, observe_others, reconcile};

/// The protocol number (`ip route`: `proto 75`) of every route and rule that kube-ovn made; those with
/// another number are not ours (rtnetlink(7), `rtm_protocol`; numbers above 4 are free to use).
pub const PROTOCOL: u8 = 0x4b;

/// A route of the main table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub destination: Cidr,
    /// The next hop; `None` when the destination is on the link.
    pub gateway: Option<IpAddr>,
    pub link: LinkName,
}

pub type Routes = BTreeSet<Route>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Add(Route),
    Remove(Route),
}

/// What must change for `actual` to be as desired. Removals come first, as two routes to one
/// destination exclude each other.
pub fn diff(desired: &Routes, actual: &Routes) -> Vec<Change> {
    let removed = actual.difference(desired).cloned().map(Change::Remove);
    let added = desired.difference(actual).cloned().map(Change::Add);
    removed.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn routes() -> impl Strategy<Value = Routes> {
        let route = (0_u8..4, 0_u8..4, "[ab]").prop_map(|(net, gateway, link)| Route {
            destination: format!("10.{net}.0.0/16").parse().unwrap(),
            gateway: Some(Ipv4Addr::new(100, 64, 0, gateway).into()),
            link: LinkName::new(link).unwrap(),
        });
        btree_set(route, 0..6)
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
                    Change::Add(route) => prop_assert!(actual.insert(route)),
                    Change::Remove(route) => prop_assert!(actual.remove(&route)),
                }
            }
            prop_assert_eq!(actual, desired);
        }
    }
}
