//! The checker: what must hold of a whole plan, whatever was asked for.
//!
//! Some of it is the planner's own doing ([`Rule::Parent`]), some follows from what was recorded
//! ([`Rule::UniqueAddress`]), so a finding is a defect of ours, or the work of somebody who edited
//! a record by hand. Nothing is mended here.

mod names;
mod ports;
mod routes;

use std::collections::BTreeMap;
use std::fmt;

use model::Owner;
use ovn::{RowKey, Rows};

use self::ports::Ports;
use crate::{Inputs, plan};

/// A row that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub rule: Rule,
    pub row: RowKey,
    /// What is wrong, with the names of all that take part in it.
    pub message: String,
}

/// What must hold of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A row belongs to one owner.
    OneOwner,
    /// What a row hangs in is planned too.
    Parent,
    /// A switch port of type `router` and a router port belong together, and so do the ports of two
    /// routers that are linked.
    Peer,
    /// No two ports of a switch, that of the router included, have one address.
    UniqueAddress,
    /// No two ports of a VPC have one MAC.
    UniqueMac,
    /// Where traffic of pods and to nodes is sent there is a port with that address.
    Nexthop,
    /// The next hop of a route lies in a network that the router is in.
    ConnectedNexthop,
    /// A match names groups of ports that are planned.
    Set,
    /// OVN can read a match, and evaluate it whatever the encapsulation.
    Match,
    /// OVN can read the name.
    Name,
    /// A VIP and its backends are of one family.
    Family,
}

/// What is wrong with the plan of all inputs: nothing, in order.
pub fn check(inputs: &Inputs) -> Vec<Finding> {
    let mut owners: BTreeMap<RowKey, Owner> = BTreeMap::new();
    let (mut rows, mut findings) = (Rows::new(), Vec::new());
    for owner in inputs.owners() {
        for (key, row) in plan(inputs, &owner).rows {
            if let Some(other) = owners.insert(key.clone(), owner.clone()) {
                let message = format!("both {other} and {owner} want it");
                findings.push(Finding::new(Rule::OneOwner, &key, message));
            }
            rows.insert(key, row);
        }
    }
    findings.extend(check_rows(inputs, &rows));
    findings
}

/// What is wrong with `rows` as the plan of `inputs`.
pub fn check_rows(inputs: &Inputs, rows: &Rows) -> Vec<Finding> {
    let ports = Ports::of(rows);
    let mut findings = parents(rows);
    findings.extend(ports.check_peers(rows));
    findings.extend(Ports::check_links(rows));
    findings.extend(ports.check_addresses());
    findings.extend(ports.check_macs(inputs));
    findings.extend(routes::check(rows, &ports));
    findings.extend(names::check(rows));
    findings
}

fn parents(rows: &Rows) -> Vec<Finding> {
    let links = rows
        .iter()
        .flat_map(|(key, row)| row.links().iter().map(move |link| (key, link)));
    links
        .filter(|(_, link)| !rows.contains_key(&link.parent))
        .map(|(key, link)| {
            let message = format!("it hangs in {}, which is not planned", link.parent);
            Finding::new(Rule::Parent, key, message)
        })
        .collect()
}

// === impl Finding ===

impl Finding {
    fn new(rule: Rule, row: &RowKey, message: String) -> Self {
        Self {
            rule,
            row: row.clone(),
            message,
        }
    }
}

/// `<row>: <message>`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.row, self.message)
    }
}

// === impl Rule ===

impl Rule {
    /// A word in CamelCase for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneOwner => "OneOwner",
            Self::Parent => "Parent",
            Self::Peer => "Peer",
            Self::UniqueAddress => "UniqueAddress",
            Self::UniqueMac => "UniqueMac",
            Self::Nexthop => "Nexthop",
            Self::ConnectedNexthop => "ConnectedNexthop",
            Self::Set => "Set",
            Self::Match => "Match",
            Self::Name => "Name",
            Self::Family => "Family",
        }
    }
}
