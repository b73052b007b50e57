//! Ports by what they have in common.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use model::PortKey;

/// The ports that have each key.
#[derive(Debug)]
pub(crate) struct Groups<K>(BTreeMap<K, BTreeSet<PortKey>>);

// === impl Groups ===

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Groups<K> {
    pub(crate) fn of(&self, key: &K) -> impl Iterator<Item = &PortKey> {
        self.0.get(key).into_iter().flatten()
    }

    /// The port had one key, and has another one now.
    pub(crate) fn regroup(&mut self, port: &PortKey, old: Option<&K>, new: Option<&K>) {
        if old == new {
            return;
        }
        if let Some(Entry::Occupied(mut ports)) = old.map(|key| self.0.entry(key.clone())) {
            ports.get_mut().remove(port);
            if ports.get().is_empty() {
                ports.remove();
            }
        }
        if let Some(key) = new {
            self.0.entry(key.clone()).or_default().insert(port.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use model::PodKey;

    use super::*;

    fn port(name: &str) -> PortKey {
        PortKey::primary(PodKey::new("default", name).unwrap())
    }

    #[test]
    fn a_port_is_in_the_group_of_its_last_key() {
        let mut groups = Groups::default();
        groups.regroup(&port("a"), None, Some(&1));
        groups.regroup(&port("b"), None, Some(&1));
        groups.regroup(&port("a"), Some(&1), Some(&2));
        assert!(groups.of(&1).eq([&port("b")]));
        assert!(groups.of(&2).eq([&port("a")]));
    }

    #[test]
    fn nothing_is_kept_of_a_group_without_ports() {
        let mut groups = Groups::default();
        groups.regroup(&port("a"), None, Some(&1));
        groups.regroup(&port("a"), Some(&1), None);
        assert!(groups.0.is_empty());
    }
}
