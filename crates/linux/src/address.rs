//! Addresses of one link.

use std::collections::BTreeSet;

use ipnet::IpNet;

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{apply, list, observe, reconcile};

/// The addresses of a link that is ours alone, each with the prefix length of its network.
/// IPv6 link-local addresses are the kernel's and never among them.
pub type Addresses = BTreeSet<IpNet>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Add(IpNet),
    Remove(IpNet),
}

/// What must change for `actual` to be as desired. Removals come first: an IPv4 address that is
/// added beside a primary one of the same network would go away with it.
pub fn diff(desired: &Addresses, actual: &Addresses) -> Vec<Change> {
    let removed = actual.difference(desired).copied().map(Change::Remove);
    let added = desired.difference(actual).copied().map(Change::Add);
    removed.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn addresses() -> impl Strategy<Value = Addresses> {
        let address = (0_u8..8, 24_u8..=32).prop_map(|(host, len)| {
            let address = IpAddr::from(Ipv4Addr::new(10, 0, 0, host));
            IpNet::new(address, len).unwrap()
        });
        btree_set(address, 0..6)
    }

    proptest! {
        #[test]
        fn what_is_as_desired_needs_no_change(addresses in addresses()) {
            prop_assert_eq!(diff(&addresses, &addresses), vec![]);
        }

        #[test]
        fn applying_the_changes_gives_what_is_desired(
            desired in addresses(),
            mut actual in addresses(),
        ) {
            for change in diff(&desired, &actual) {
                match change {
                    Change::Add(address) => prop_assert!(actual.insert(address)),
                    Change::Remove(address) => prop_assert!(actual.remove(&address)),
                }
            }
            prop_assert_eq!(actual, desired);
        }
    }
}
