//! Rules of nftables: our own tables, and the few rules that we put into chains of others.
//!
//! One table a family is ours, by its name ([`TABLE`]). It is changed by one transaction that holds
//! just what differs, and never flushed. What others have is read by [`guest`] alone.

use std::collections::{BTreeMap, BTreeSet};

use model::{Cidr, IpFamily};

use crate::LinkName;

pub mod guest;
#[cfg(feature = "kernel")]
mod json;
#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{apply, observe, reconcile};

/// The name of our table in every family.
pub const TABLE: &str = "kube_ovn";

/// The family of a table (nft(8), "Address families").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Ip,
    Ip6,
    /// IPv4 and IPv6.
    Inet,
    /// What a link receives, before the kernel looks at it.
    Netdev,
}

/// What a table has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub chains: BTreeMap<String, Chain>,
    pub sets: BTreeMap<String, Set>,
}

/// A base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub base: Base,
    pub rules: Vec<Rule>,
}

/// Where a base chain is called, and what becomes of a packet that no rule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub kind: Kind,
    pub hook: Hook,
    /// The least is called first.
    pub priority: i32,
    pub policy: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Filter,
    Nat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// Of one link, in the family netdev. The chain has the name of the link, as nft 1.0.6 does not
    /// tell the latter.
    Ingress(LinkName),
    Input,
    Forward,
    Postrouting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Accept,
    Drop,
}

/// Networks of one family, none within another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub family: IpFamily,
    pub elements: BTreeSet<Cidr>,
}

/// A rule: the verdict on packets that all matches agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub matches: Vec<Match>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// The source is in, or not in, the set of this name.
    Source(IpFamily, Member, String),
    /// The same for the destination.
    Destination(IpFamily, Member, String),
    /// The source is no address of this node.
    SourceElsewhere,
    InLink(LinkName),
    OutLink(LinkName),
    UdpPort(u16),
    /// Something that we never write, as nft prints it.
    Other(String),
}

/// Whether an address is in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    In,
    NotIn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    /// The source becomes the address of the link that the packet leaves by.
    Masquerade,
    /// Something that we never write.
    Other,
}

/// One element of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    AddTable,
    RemoveTable,
    AddSet(String, IpFamily),
    RemoveSet(String),
    AddElements(String, BTreeSet<Cidr>),
    RemoveElements(String, BTreeSet<Cidr>),
    AddChain(String, Base),
    RemoveChain(String),
    /// All rules of a chain in place of what it has.
    Rules(String, Vec<Rule>),
}

/// What must change for our table to be as desired; without a desired one it must not be. A table
/// with a set or a chain of another kind than desired is made anew: neither can be changed.
pub fn diff(desired: Option<&Table>, actual: Option<&Table>) -> Vec<Change> {
    match (desired, actual) {
        (None, None) => Vec::new(),
        (None, Some(_)) => vec![Change::RemoveTable],
        (Some(desired), None) => whole(desired),
        (Some(desired), Some(actual)) if is_other_kind(desired, actual) => {
            let anew = whole(desired).into_iter();
            [Change::RemoveTable].into_iter().chain(anew).collect()
        }
        (Some(desired), Some(actual)) => content(desired, actual),
    }
}

fn whole(desired: &Table) -> Vec<Change> {
    let content = content(desired, &Table::default()).into_iter();
    [Change::AddTable].into_iter().chain(content).collect()
}

fn is_other_kind(desired: &Table, actual: &Table) -> bool {
    let set = |(name, set): (&String, &Set)| {
        let other = actual.sets.get(name);
        other.is_some_and(|other| other.family != set.family)
    };
    let chain = |(name, chain): (&String, &Chain)| {
        let other = actual.chains.get(name);
        other.is_some_and(|other| other.base != chain.base)
    };
    desired.sets.iter().any(set) || desired.chains.iter().any(chain)
}

/// Sets come before the rules that name them, and go after.
fn content(desired: &Table, actual: &Table) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, set) in &desired.sets {
        changes.extend(set_changes(name, set, actual.sets.get(name)));
    }
    for (name, chain) in &desired.chains {
        let there = actual.chains.get(name);
        if there.is_none() {
            changes.push(Change::AddChain(name.clone(), chain.base.clone()));
        }
        if there.map_or(&[][..], |there| &there.rules) != chain.rules {
            changes.push(Change::Rules(name.clone(), chain.rules.clone()));
        }
    }
    let surplus = |name: &&String| !desired.chains.contains_key(*name);
    let chains = actual.chains.keys().filter(surplus).cloned();
    changes.extend(chains.map(Change::RemoveChain));
    let surplus = |name: &&String| !desired.sets.contains_key(*name);
    let sets = actual.sets.keys().filter(surplus).cloned();
    changes.extend(sets.map(Change::RemoveSet));
    changes
}

/// Removals come first: the kernel refuses an element that overlaps one that is there.
fn set_changes(name: &str, desired: &Set, actual: Option<&Set>) -> Vec<Change> {
    let none = BTreeSet::new();
    let there = actual.map_or(&none, |set| &set.elements);
    let added: BTreeSet<_> = desired.elements.difference(there).copied().collect();
    let removed: BTreeSet<_> = there.difference(&desired.elements).copied().collect();
    let mut changes = Vec::new();
    if actual.is_none() {
        changes.push(Change::AddSet(name.to_owned(), desired.family));
    }
    if !removed.is_empty() {
        changes.push(Change::RemoveElements(name.to_owned(), removed));
    }
    if !added.is_empty() {
        changes.push(Change::AddElements(name.to_owned(), added));
    }
    changes
}

// === impl Set ===

impl Set {
    /// Those of `networks` that are of the family, without those that are within another.
    pub fn new(family: IpFamily, networks: impl IntoIterator<Item = Cidr>) -> Self {
        let of_family = networks.into_iter().filter(|cidr| cidr.family() == family);
        let mut widest_first: Vec<Cidr> = of_family.collect();
        widest_first.sort_by_key(|cidr| (cidr.prefix_len(), *cidr));
        let mut elements = BTreeSet::new();
        for cidr in widest_first {
            if !elements.iter().any(|wider: &Cidr| wider.overlaps(cidr)) {
                elements.insert(cidr);
            }
        }
        Self { family, elements }
    }
}

#[cfg(test)]
mod tests;
