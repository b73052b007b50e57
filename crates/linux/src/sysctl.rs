//! Kernel settings under `/proc/sys/net`, which belong to a namespace.

use std::collections::BTreeMap;
use std::fmt;

use crate::LinkName;

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{apply, observe, reconcile};

/// A setting by its path below `/proc/sys`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(String);

/// Values by setting. In an observation, a setting that this kernel lacks is absent.
pub type Settings = BTreeMap<Key, String>;

/// A setting that must get another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: Key,
    pub value: String,
}

/// What must change for `actual` to be as desired. What the kernel lacks is left out, such as
/// everything of IPv6 where that is switched off at boot.
pub fn diff(desired: &Settings, actual: &Settings) -> Vec<Change> {
    let differs = |(key, value): &(&Key, &String)| actual.get(*key).is_some_and(|is| is != *value);
    desired
        .iter()
        .filter(differs)
        .map(|(key, value)| Change {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}

// === impl Key ===

impl Key {
    /// Whether packets are forwarded between links (ip-sysctl).
    pub fn ipv4_forward() -> Self {
        Self("net/ipv4/ip_forward".to_owned())
    }

    /// The same for IPv6, for all links.
    pub fn ipv6_forward() -> Self {
        Self("net/ipv6/conf/all/forwarding".to_owned())
    }

    /// Whether IPv6 is off on a link.
    pub fn disable_ipv6(link: &LinkName) -> Self {
        Self(format!("net/ipv6/conf/{link}/disable_ipv6"))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn settings() -> impl Strategy<Value = Settings> {
        btree_map("[a-d]".prop_map(Key), "[01]", 0..4)
    }

    proptest! {
        #[test]
        fn what_is_as_desired_needs_no_change(settings in settings()) {
            prop_assert_eq!(diff(&settings, &settings), vec![]);
        }

        #[test]
        fn every_setting_that_exists_gets_its_value(desired in settings(), mut actual in settings()) {
            for Change { key, value } in diff(&desired, &actual) {
                prop_assert!(actual.insert(key, value).is_some());
            }
            for (key, value) in &actual {
                prop_assert!(desired.get(key).is_none_or(|wanted| wanted == value));
            }
        }
    }
}
