//! Rules of policy routing: which table the kernel looks in first for which packets.

use std::collections::BTreeSet;
use std::fmt;

use model::{Cidr, IpFamily};

use crate::LinkName;

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{apply, observe};

/// A rule that leads packets to a table. What kube-ovn made has the protocol number of its routes
/// ([`crate::route::PROTOCOL`]); rules with another number are not ours (fib_rules(7), `FRA_PROTOCOL`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// The rule with the smallest number is asked first.
    pub priority: u32,
    pub packets: Packets,
    pub table: u32,
}

/// Which packets a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Packets {
    From(Cidr),
    /// Those of a family that come in by a link.
    In(LinkName, IpFamily),
}

pub type Rules = BTreeSet<Rule>;

/// A rule of somebody else, as far as it can be in our way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    pub family: IpFamily,
    pub priority: u32,
    pub table: u32,
}

/// The rules that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actual {
    pub ours: Rules,
    pub foreign: BTreeSet<Foreign>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Add(Rule),
    Remove(Rule),
}

/// What must change for `actual` to be as desired. Additions come first, so that there is no moment
/// without either of two; what is asked first is added first and removed last.
pub fn diff(desired: &Rules, actual: &Rules) -> Vec<Change> {
    let added = desired.difference(actual).cloned().map(Change::Add);
    let removed: Vec<&Rule> = actual.difference(desired).collect();
    let removed = removed.into_iter().rev().cloned().map(Change::Remove);
    added.chain(removed).collect()
}

// === impl Packets ===

impl Packets {
    pub fn family(&self) -> IpFamily {
        match self {
            Self::From(cidr) => cidr.family(),
            Self::In(_, family) => *family,
        }
    }
}

/// As `ip rule` prints them.
impl fmt::Display for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(cidr) => write!(f, "from {cidr}"),
            Self::In(link, family) => write!(f, "{} iif {link}", family.ovn_match()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            priority,
            packets,
            table,
        } = self;
        write!(f, "{priority}: {packets} lookup {table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    fn rules() -> impl Strategy<Value = Rules> {
        let rule = (1_u32..4, 0_u8..4, 100_u32..103).prop_map(|(priority, net, table)| Rule {
            priority,
            packets: Packets::From(format!("10.{net}.0.0/16").parse().unwrap()),
            table,
        });
        btree_set(rule, 0..6)
    }

    proptest! {
        #[test]
        fn what_is_as_desired_needs_no_change(rules in rules()) {
            prop_assert_eq!(diff(&rules, &rules), vec![]);
        }

        #[test]
        fn applying_the_changes_gives_what_is_desired(desired in rules(), mut actual in rules()) {
            for change in diff(&desired, &actual) {
                match change {
                    Change::Add(rule) => prop_assert!(actual.insert(rule)),
                    Change::Remove(rule) => prop_assert!(actual.remove(&rule)),
                }
            }
            prop_assert_eq!(actual, desired);
        }
    }
}
