//! Copies of what the API server has of one kind.
//!
//! List, then watch, and again after an error: never streaming lists, which an API server on an old
//! etcd refuses for ever.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures::{Stream, TryStreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

/// What the API server has of one kind, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table<V> {
    /// Whether it has been listed completely at least once.
    pub(crate) is_synced: bool,
    pub(crate) rows: BTreeMap<Name, V>,
}

/// Namespace, empty for kinds without, and name.
pub(crate) type Name = (String, String);

/// The writing side of a table.
#[derive(Debug)]
struct Writer<V> {
    table: watch::Sender<Table<V>>,
    /// Rows of a list that is not complete yet.
    listed: BTreeMap<Name, V>,
}

/// A table, and the future that keeps it up to date for as long as it runs. Of each object, what
/// `keep` returns is kept.
pub(crate) fn follow<K, V>(
    api: Api<K>,
    config: watcher::Config,
    keep: fn(K) -> V,
) -> (watch::Receiver<Table<V>>, impl Future<Output = ()> + Send)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    V: Clone + PartialEq + Send + Sync + 'static,
{
    let (sender, receiver) = watch::channel(Table::default());
    let writer = Writer {
        table: sender,
        listed: BTreeMap::new(),
    };
    let events = watcher(api, kit::watch::config(config)).backoff(kit::watch::backoff());
    (receiver, writer.write(events, keep))
}

// === impl Table ===

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self {
            is_synced: false,
            rows: BTreeMap::new(),
        }
    }
}

impl<V> Table<V> {
    /// The row of an object of a kind without namespaces.
    pub(crate) fn cluster(&self, name: &str) -> Option<&V> {
        self.rows.get(&(String::new(), name.to_owned()))
    }
}

// === impl Writer ===

impl<V: Clone + PartialEq> Writer<V> {
    async fn write<K: ResourceExt>(
        mut self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
        keep: fn(K) -> V,
    ) {
        let mut events = std::pin::pin!(events);
        loop {
            match events.try_next().await {
                Ok(Some(event)) => self.take(event, keep),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(error = %kit::error::Chain(&error), "Watch failed, retrying");
                }
            }
        }
    }

    fn take<K: ResourceExt>(&mut self, event: Event<K>, keep: fn(K) -> V) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.insert(name(&object), keep(object));
            }
            Event::InitDone => {
                let rows = std::mem::take(&mut self.listed);
                self.table.send_replace(Table {
                    is_synced: true,
                    rows,
                });
            }
            Event::Apply(object) => self.set(name(&object), keep(object)),
            Event::Delete(object) => {
                let name = name(&object);
                self.table
                    .send_if_modified(|table| table.rows.remove(&name).is_some());
            }
        }
    }

    /// Wakes nobody when nothing that is kept has changed.
    fn set(&self, name: Name, value: V) {
        self.table.send_if_modified(|table| {
            let changed = table.rows.get(&name) != Some(&value);
            table.rows.insert(name, value);
            changed
        });
    }
}

fn name(object: &impl ResourceExt) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;

    use super::*;

    fn node(name: &str, uid: &str) -> Node {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        node.metadata.uid = Some(uid.to_owned());
        node
    }

    fn uid(node: Node) -> String {
        node.metadata.uid.unwrap_or_default()
    }

    fn writer() -> (Writer<String>, watch::Receiver<Table<String>>) {
        let (table, receiver) = watch::channel(Table::default());
        let listed = BTreeMap::new();
        (Writer { table, listed }, receiver)
    }

    #[test]
    fn a_list_is_seen_as_a_whole_and_replaces_what_was_there() {
        let (mut writer, receiver) = writer();
        writer.take(Event::Apply(node("old", "1")), uid);
        writer.take(Event::Init, uid);
        writer.take(Event::InitApply(node("a", "2")), uid);
        assert!(!receiver.borrow().is_synced);
        assert!(receiver.borrow().cluster("a").is_none());
        writer.take(Event::InitDone, uid);
        assert!(receiver.borrow().is_synced);
        assert!(receiver.borrow().cluster("old").is_none());
        assert_eq!(receiver.borrow().cluster("a").unwrap(), "2");
    }

    #[test]
    fn an_event_that_changes_nothing_kept_wakes_nobody() {
        let (mut writer, mut receiver) = writer();
        writer.take(Event::Apply(node("a", "1")), uid);
        assert!(receiver.has_changed().unwrap());
        receiver.mark_unchanged();
        writer.take(Event::Apply(node("a", "1")), uid);
        assert!(!receiver.has_changed().unwrap());
        writer.take(Event::Delete(node("a", "1")), uid);
        assert!(receiver.has_changed().unwrap());
        assert!(receiver.borrow().rows.is_empty());
    }
}
