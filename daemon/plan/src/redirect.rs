//! Traffic of subnets that is redirected to gateways outside of the cluster.
//!
//! ```text
//!    0: from all lookup local                   the node itself
//!    0: iif ovn0 lookup CLUSTER                 other pods and nodes
//! 1001: from <pod, or network> lookup 1001      all else: default via <gateway>
//! ```
//!
//! A pod's packets that are for the cluster are routed by OVN and do not come here, but for those that
//! the node's own translation of services leads back: they are kept in the cluster by a table that
//! all redirected subnets share. Where the gateway is gone, packets go nowhere: a way around it is
//! what the user does not want.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use linux::LinkName;
use linux::rule::{self, Packets, Rule, Rules};
use linux::table::{self, Hop, Route, Routes};
use model::{Cidr, CidrPair, DualStack, IpFamily};

/// A subnet whose traffic is redirected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The name of the subnet.
    pub subnet: String,
    pub networks: CidrPair,
    /// The gateway of each family that is redirected.
    pub gateways: DualStack<IpAddr>,
    /// Of the rules.
    pub priority: u32,
    /// That leads to the gateways.
    pub table: u32,
    pub scope: Scope,
}

/// Whose packets leave by this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of the subnet's pods that are here.
    Pods,
    /// Those of the whole subnet: this is a gateway node.
    Subnet,
    /// Nobody's: others are gateway nodes.
    None,
}

/// What there is of rules and tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub rules: rule::Actual,
    pub tables: table::Actual,
}

/// All that redirection depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedirectInputs {
    /// Of two that name one table, the first has it.
    pub redirects: Vec<Redirect>,
    /// The addresses of the pods on this node, by the names of their subnets.
    pub pods: BTreeMap<String, BTreeSet<IpAddr>>,
    pub found: Found,
}

/// What the node should have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redirection {
    pub rules: Rules,
    pub routes: Routes,
    /// The subnets that have tables.
    pub holders: BTreeMap<u32, String>,
    pub faults: BTreeSet<Fault>,
}

/// Something in a subnet that its user must mend, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub subnet: String,
    pub field: Field,
    pub value: String,
    /// What is wrong, and what would be right.
    pub cause: String,
}

/// Which field it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Gateway,
    Priority,
    Table,
}

/// The table that keeps packets in the cluster: greater than any that a subnet can name.
pub const CLUSTER: u32 = 0x8000_004b;
/// Before the rules of all subnets, and after the kernel's own of that priority.
const FIRST: u32 = 0;

/// What the node should have, where `cluster` are the ways to the networks of the cluster, by `link`,
/// the node's port.
pub fn redirection(
    inputs: &RedirectInputs,
    cluster: &[(Cidr, Hop)],
    link: &LinkName,
) -> Redirection {
    let mut redirection = Redirection::default();
    for redirect in &inputs.redirects {
        for (family, gateway) in redirect.gateways.iter() {
            let wanted = Wanted {
                redirect,
                family,
                gateway: *gateway,
                found: &inputs.found,
                port: link,
            };
            let sources = wanted.sources(&inputs.pods);
            wanted.plan(&mut redirection, &sources);
        }
    }
    for family in IpFamily::ALL {
        let mut rules = redirection.rules.iter();
        if rules.any(|rule| rule.packets.family() == family) {
            keep_inside(&mut redirection, family, cluster, link);
        }
    }
    redirection
}

fn keep_inside(
    redirection: &mut Redirection,
    family: IpFamily,
    cluster: &[(Cidr, Hop)],
    link: &LinkName,
) {
    redirection.rules.insert(Rule {
        priority: FIRST,
        packets: Packets::In(link.clone(), family),
        table: CLUSTER,
    });
    let cluster = cluster.iter().filter(|(cidr, _)| cidr.family() == family);
    let routes = cluster.map(|(cidr, hop)| Route {
        table: CLUSTER,
        destination: *cidr,
        hop: hop.clone(),
    });
    redirection.routes.extend(routes);
}

/// One family of a redirected subnet.
struct Wanted<'a> {
    redirect: &'a Redirect,
    family: IpFamily,
    gateway: IpAddr,
    found: &'a Found,
    port: &'a LinkName,
}

/// Priority and table of rules.
#[derive(Clone, Copy)]
struct Place {
    priority: u32,
    table: u32,
}

// === impl Redirection ===

impl Redirection {
    /// Whether packets of the subnet's pod with these addresses are redirected, or cannot be until
    /// somebody mends the subnet.
    pub fn is_settled(&self, subnet: &str, sources: &[IpAddr]) -> bool {
        let mut faults = self.faults.iter();
        let is_led = |source: &IpAddr| {
            let packets = Packets::From(Cidr::new(IpNet::from(*source)));
            self.rules.iter().any(|rule| rule.packets == packets)
        };
        faults.any(|fault| fault.subnet == subnet) || sources.iter().all(is_led)
    }
}

// === impl Wanted ===

impl Wanted<'_> {
    fn sources(&self, pods: &BTreeMap<String, BTreeSet<IpAddr>>) -> BTreeSet<Cidr> {
        match self.redirect.scope {
            Scope::None => BTreeSet::new(),
            Scope::Subnet => self.network().into_iter().collect(),
            Scope::Pods => {
                let pods = pods.get(&self.redirect.subnet).into_iter().flatten();
                let pods = pods.filter(|address| IpFamily::of(**address) == self.family);
                pods.map(|address| Cidr::new(IpNet::from(*address)))
                    .collect()
            }
        }
    }

    fn plan(&self, redirection: &mut Redirection, sources: &BTreeSet<Cidr>) {
        let hop = self.on_link();
        // a node that has neither is not concerned
        if self.redirect.scope == Scope::None || (sources.is_empty() && hop.is_none()) {
            return;
        }
        let Some(Place { priority, table }) = self.place(redirection, sources) else {
            return;
        };
        let holders = &mut redirection.holders;
        let holder = holders
            .entry(table)
            .or_insert_with(|| self.redirect.subnet.clone());
        if *holder != self.redirect.subnet {
            return;
        }
        let hop = hop.or_else(|| self.former_hop(redirection, table));
        let hops = hop.into_iter().chain([Hop::Unreachable]);
        redirection.routes.extend(hops.map(|hop| Route {
            table,
            destination: self.family.any(),
            hop,
        }));
        redirection.rules.extend(sources.iter().map(|source| Rule {
            priority,
            packets: Packets::From(*source),
            table,
        }));
    }

    /// What the subnet asks for. Where somebody else has it, what the subnet had before, if anything.
    fn place(&self, redirection: &mut Redirection, sources: &BTreeSet<Cidr>) -> Option<Place> {
        let Redirect {
            priority, table, ..
        } = *self.redirect;
        let foreign = self.found.rules.foreign.iter();
        let mut foreign = foreign.filter(|rule| rule.family == self.family);
        let has_routes = self.found.tables.foreign.contains(&(self.family, table));
        let fault = if foreign.clone().any(|rule| rule.priority == priority) {
            let cause = "a rule that is not of kube-ovn has it; choose a priority that is free";
            self.fault(Field::Priority, &priority, cause)
        } else if has_routes || foreign.any(|rule| rule.table == table) {
            let cause =
                "it has routes or rules that are not of kube-ovn; choose a table that is free";
            self.fault(Field::Table, &table, cause)
        } else {
            return Some(Place { priority, table });
        };
        if !sources.is_empty() {
            redirection.faults.insert(fault);
        }
        self.former_place()
    }

    fn former_place(&self) -> Option<Place> {
        let network = self.network()?;
        let mut rules = self.found.rules.ours.iter();
        let rule = rules.find(|rule| match &rule.packets {
            Packets::From(source) => network.contains(source.network()),
            Packets::In(..) => false,
        })?;
        Some(Place {
            priority: rule.priority,
            table: rule.table,
        })
    }

    /// By the link whose network is the smallest with the gateway in it. The node itself is none.
    fn on_link(&self) -> Option<Hop> {
        if self.found.tables.own.contains(&self.gateway) {
            return None;
        }
        let on_link = self.found.tables.on_link.iter();
        let on_link =
            on_link.filter(|(cidr, link)| cidr.contains(self.gateway) && link != self.port);
        let (_, link) = on_link.max_by_key(|(cidr, _)| cidr.prefix_len())?;
        Some(Hop::Gateway(self.gateway, link.clone()))
    }

    /// The gateway is on no link: the one that the table had before goes on.
    fn former_hop(&self, redirection: &mut Redirection, table: u32) -> Option<Hop> {
        let ours = self.found.tables.ours.iter();
        let mut former = ours.filter(|it| it.table == table && it.destination == self.family.any());
        let former = former.find_map(|route| match &route.hop {
            Hop::Gateway(gateway, _) => Some((*gateway, route.hop.clone())),
            Hop::Link(_) | Hop::Unreachable => None,
        });
        let until = match &former {
            Some((gateway, _)) => format!("goes to {gateway}"),
            None => "is dropped".to_owned(),
        };
        let cause = format!(
            "it is in the network of no link, or the node's own; name a gateway on a link of the node, \
             or give the node an address in its network; until then traffic {until}"
        );
        let fault = self.fault(Field::Gateway, &self.gateway, &cause);
        redirection.faults.insert(fault);
        former.map(|(_, hop)| hop)
    }

    fn network(&self) -> Option<Cidr> {
        self.redirect.networks.get(self.family).copied()
    }

    fn fault(&self, field: Field, value: &impl ToString, cause: &str) -> Fault {
        Fault {
            subnet: self.redirect.subnet.clone(),
            field,
            value: value.to_string(),
            cause: cause.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
