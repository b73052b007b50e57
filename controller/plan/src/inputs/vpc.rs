//! What a VPC's user wants of its router.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use model::{Cidr, DualStack, IpFamily, PortAddress, VpcName};
use ovn::{RoutePolicy, RowKey};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vpc {
    /// The name of the logical router.
    pub router: String,
    pub routes: BTreeSet<Route>,
    pub policies: BTreeMap<Policy, Action>,
    /// The addresses of this router on the links to others, which have one to this router, too.
    pub peerings: BTreeMap<VpcName, DualStack<PortAddress>>,
}

/// A static route. Several of one prefix share the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub policy: RoutePolicy,
    pub prefix: Cidr,
    /// Of the family of `prefix`.
    pub nexthop: IpAddr,
}

/// Which packets a policy is for. The greatest priority counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Policy {
    /// 1 to 32767.
    pub priority: u16,
    /// An expression of OVN.
    pub matches: String,
}

/// What happens to the packets of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// They are routed.
    Allow,
    Drop,
    /// They go to one of these, which are of one family.
    Reroute(BTreeSet<IpAddr>),
}

/// The priorities of the policies that do what routes by source do in Kube-OVN, lowest first:
/// what is left is dropped, the sources by the length of their prefix, what stays inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLevels {
    base: u16,
    lengths: BTreeSet<u8>,
}

/// The name of a router's port on the link to another router.
pub fn peering_port(vpc: &VpcName, remote: &VpcName) -> String {
    format!("{vpc}-{remote}")
}

// === impl Vpc ===

impl Vpc {
    pub fn of_router(router: impl Into<String>) -> Self {
        Self {
            router: router.into(),
            ..Self::default()
        }
    }

    pub(crate) fn routes_by(&self, policy: RoutePolicy) -> impl Iterator<Item = &Route> {
        let routes = self.routes.iter();
        routes.filter(move |route| route.policy == policy)
    }
}

// === impl Route ===

impl Route {
    /// Whether it is for every destination of its family.
    pub fn is_default(&self) -> bool {
        self.policy == RoutePolicy::Destination && self.prefix.prefix_len() == 0
    }

    pub(crate) fn family(&self) -> IpFamily {
        self.prefix.family()
    }

    /// The row that Kube-OVN has for a route by source.
    pub fn row_by_source(&self, router: &str) -> Option<RowKey> {
        let is_by_source = self.policy == RoutePolicy::Source;
        is_by_source.then(|| self.key(router))
    }

    pub(crate) fn key(&self, router: &str) -> RowKey {
        RowKey::StaticRoute {
            router: router.to_owned(),
            table: String::new(),
            policy: self.policy,
            prefix: self.text(),
            nexthop: self.nexthop.to_string(),
        }
    }

    /// The prefix as `ovn-nbctl` writes it, so that rows of Kube-OVN are found: a single address has
    /// no length.
    pub(crate) fn text(&self) -> String {
        if self.prefix.prefix_len() == self.family().host_prefix() {
            self.prefix.network().to_string()
        } else {
            self.prefix.to_string()
        }
    }
}

/// `<prefix> via <next hop>`, or `from <prefix> via <next hop>`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.policy == RoutePolicy::Source {
            f.write_str("from ")?;
        }
        write!(f, "{} via {}", self.prefix, self.nexthop)
    }
}

// === impl Policy ===

/// `<priority> <match>`.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.priority, self.matches)
    }
}

// === impl SourceLevels ===

impl SourceLevels {
    /// The levels above `base` that the VPC's routes need.
    pub fn of(vpc: &Vpc, base: u16) -> Self {
        let sources = vpc.routes_by(RoutePolicy::Source);
        Self {
            base,
            lengths: sources.map(|route| route.prefix.prefix_len()).collect(),
        }
    }

    /// Whether there is a route by source.
    pub fn is_used(&self) -> bool {
        !self.lengths.is_empty()
    }

    /// What has no route.
    pub(crate) const fn rest(&self) -> u16 {
        self.base.saturating_add(1)
    }

    /// Routes by source of that length.
    pub(crate) fn source(&self, prefix: Cidr) -> u16 {
        self.after_shorter(self.lengths.range(..prefix.prefix_len()).count())
    }

    /// What goes by routes to its destination, the greatest of them.
    pub fn inside(&self) -> u16 {
        self.after_shorter(self.lengths.len())
    }

    fn after_shorter(&self, count: usize) -> u16 {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        self.rest().saturating_add(1).saturating_add(count)
    }
}
