//! Objects as they are taken over: each by itself, or all of a kind together.

use std::collections::BTreeSet;
use std::fmt;

use crate::index::{Index, Rejection};
use crate::kind::{ObjectName, Watched};
use crate::life::Life;
use crate::text::uid;

/// All objects of a kind, while they are being listed. They are parsed as they come: the objects
/// themselves would take ten times the memory.
pub struct Listing<K: Watched>(Vec<Parsed<K>>);

/// What is kept of an object.
pub(crate) struct Parsed<K: Watched> {
    pub(crate) name: ObjectName,
    pub(crate) key: K::Key,
    /// `None` when the object cannot be used.
    pub(crate) row: Option<K::Row>,
    pub(crate) rejection: Option<Rejection>,
}

// === impl Listing ===

impl<K: Watched> Default for Listing<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Watched> Listing<K> {
    pub fn push(&mut self, object: &K) {
        self.0.extend(Parsed::of(object));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Watched> fmt::Debug for Listing<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|parsed| &parsed.name);
        f.debug_list().entries(names).finish()
    }
}

// === impl Parsed ===

impl<K: Watched> Parsed<K> {
    /// `None` for an object whose name cannot be a key.
    pub(crate) fn of(object: &K) -> Option<Self> {
        let (row, complaint) = match object.parse() {
            Ok(row) => {
                let complaint = K::complaint(&row);
                (Some(row), complaint)
            }
            Err(why) => (None, Some(why)),
        };
        Some(Self {
            key: object.key()?,
            name: ObjectName::of(object),
            row,
            rejection: complaint.map(|why| Rejection {
                uid: uid(object.meta()),
                phase: Life::of(object.meta()).phase,
                why,
            }),
        })
    }
}

// === impl Index ===

impl Index {
    /// These are all the objects of the kind.
    pub fn reset<K: Watched>(&mut self, objects: &[K]) {
        let mut listing = Listing::default();
        for object in objects {
            listing.push(object);
        }
        self.replace(listing);
    }

    /// The same, of objects that were listed one by one.
    pub fn replace<K: Watched>(&mut self, Listing(listed): Listing<K>) {
        let present: BTreeSet<&K::Key> = listed.iter().map(|it| &it.key).collect();
        let keys = K::table(self).keys();
        let vanished: Vec<K::Key> = keys.filter(|key| !present.contains(key)).cloned().collect();
        let names: BTreeSet<&ObjectName> = listed.iter().map(|it| &it.name).collect();
        self.rejected
            .retain(|name, _| name.kind != K::KIND || names.contains(name));
        for key in vanished {
            self.write::<K>(key, None);
        }
        for parsed in listed {
            self.take_over(parsed);
        }
        self.settle();
        self.synced.insert(K::KIND);
    }
}
