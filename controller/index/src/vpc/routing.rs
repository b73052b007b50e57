//! The entries of a VPC's lists, each read for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use controller_plan::{Action, Policy, Reading, Route, RoutePolicy, read_match};
use model::{Cidr, DualStack, IpFamily, PortAddress, VpcName};

use crate::acceptance::{Effect, Fault};
use crate::text::{Rejected, require};

/// What is declared of the routing of a VPC and can be read, in the order of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Routing {
    pub(crate) routes: Vec<Entry<Route>>,
    pub(crate) policies: Vec<Entry<Steering>>,
    pub(crate) peerings: Vec<Entry<Peering>>,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<T> {
    /// Where it is, such as `spec.staticRoutes[2]`.
    pub(crate) path: String,
    pub(crate) value: T,
}

/// What happens to packets that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steering {
    pub(crate) policy: Policy,
    pub(crate) action: Action,
    /// What the match says.
    pub(crate) reading: Reading,
}

/// One end of a link to another VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peering {
    pub(crate) remote: VpcName,
    pub(crate) addresses: DualStack<PortAddress>,
}

// === impl Routing ===

impl Routing {
    /// The entries that are of use, and what is wrong with the others.
    pub(crate) fn of(spec: &api::VpcSpec) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let routes = read("spec.staticRoutes", &spec.static_routes, route, &mut faults);
        let policies = read(
            "spec.policyRoutes",
            &spec.policy_routes,
            policy,
            &mut faults,
        );
        let peerings = read("spec.vpcPeerings", &spec.vpc_peerings, peering, &mut faults);
        let routing = Self {
            routes: distinct(routes, |it| ("", *it), &mut faults),
            policies: distinct(policies, |it| (".match", it.policy.clone()), &mut faults),
            peerings: distinct(
                peerings,
                |it| (".remoteVpc", it.remote.clone()),
                &mut faults,
            ),
        };
        (routing, faults)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.policies.is_empty() && self.peerings.is_empty()
    }
}

// === impl Entry ===

impl<T> Entry<T> {
    /// Something wrong in the field of the entry, which has no effect because of it.
    pub(crate) fn fault(&self, field: &str, value: impl Display, cause: String) -> Fault {
        self.with(Effect::Blocks, field, value, cause)
    }

    /// Something that may be wrong in the field of the entry, which counts nevertheless.
    pub(crate) fn told(&self, field: &str, value: impl Display, cause: String) -> Fault {
        self.with(Effect::Told, field, value, cause)
    }

    fn with(&self, effect: Effect, field: &str, value: impl Display, cause: String) -> Fault {
        let field = format!("{}{field}", self.path);
        Fault::new(effect, &field, value.to_string(), cause)
    }
}

fn read<T, U>(
    list: &str,
    texts: &[T],
    parse: impl Fn(&str, &T) -> Result<U, Rejected>,
    faults: &mut Vec<Fault>,
) -> Vec<Entry<U>> {
    let mut entries = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = format!("{list}[{index}]");
        match parse(&path, text) {
            Ok(value) => entries.push(Entry { path, value }),
            Err(why) => faults.push(Fault {
                why,
                effect: Effect::Blocks,
            }),
        }
    }
    entries
}

/// The first of several entries that mean the same: that have the same in the same field.
fn distinct<T, K: Ord + Display>(
    entries: Vec<Entry<T>>,
    meaning: impl Fn(&T) -> (&'static str, K),
    faults: &mut Vec<Fault>,
) -> Vec<Entry<T>> {
    let mut seen: BTreeMap<K, String> = BTreeMap::new();
    let mut kept = Vec::new();
    for entry in entries {
        let (field, key) = meaning(&entry.value);
        if let Some(first) = seen.get(&key) {
            let cause = format!("{first} says it already; remove one of the two");
            faults.push(entry.fault(field, key, cause));
        } else {
            seen.insert(key, entry.path.clone());
            kept.push(entry);
        }
    }
    kept
}

fn route(path: &str, text: &api::vpc::StaticRoute) -> Result<Route, Rejected> {
    let cidr = format!("{path}.cidr");
    let prefix = match require::<IpAddr>(&cidr, &text.cidr) {
        Ok(address) => single(address),
        Err(_) => require::<Cidr>(&cidr, &text.cidr)?,
    };
    let nexthop: IpAddr = require(&format!("{path}.nextHopIP"), &text.next_hop_ip)?;
    if prefix.family() != IpFamily::of(nexthop) {
        let cause = format!("it is of another family than {prefix}; write both of one");
        return Err(rejected(path, "nextHopIP", nexthop, cause));
    }
    let policy = match text.policy.as_str() {
        "" | api::vpc::POLICY_DST => RoutePolicy::Destination,
        api::vpc::POLICY_SRC => RoutePolicy::Source,
        other => {
            let cause = format!("write {} or {}", api::vpc::POLICY_DST, api::vpc::POLICY_SRC);
            return Err(rejected(path, "policy", other, cause));
        }
    };
    Ok(Route {
        policy,
        prefix,
        nexthop,
    })
}

fn single(address: IpAddr) -> Cidr {
    Cidr::new(address.into())
}

fn policy(path: &str, text: &api::vpc::PolicyRoute) -> Result<Steering, Rejected> {
    let priority = u16::try_from(text.priority).ok();
    let priority = priority.filter(|it| (1..=32767).contains(it));
    let Some(priority) = priority else {
        let cause = "write 1 to 32767; the lowest is OVN's own".to_owned();
        return Err(rejected(path, "priority", text.priority, cause));
    };
    let matches = text.matches.trim();
    if matches.is_empty() || matches.chars().any(char::is_control) {
        let cause = "write an expression of OVN in one line, such as `ip4.src == 10.0.1.0/24`";
        return Err(rejected(
            path,
            "match",
            matches.escape_debug(),
            cause.to_owned(),
        ));
    }
    let reading = read_match(matches).map_err(|error| {
        let cause = format!("OVN cannot read it: {error}");
        rejected(path, "match", matches, cause)
    })?;
    let action = match text.action.as_str() {
        api::vpc::ALLOW => Action::Allow,
        api::vpc::DROP => Action::Drop,
        api::vpc::REROUTE => Action::Reroute(nexthops(path, &text.next_hop_ip)?),
        other => {
            let words = [api::vpc::ALLOW, api::vpc::DROP, api::vpc::REROUTE];
            let cause = format!("write one of {}", words.join(", "));
            return Err(rejected(path, "action", other, cause));
        }
    };
    let matches = matches.to_owned();
    Ok(Steering {
        policy: Policy { priority, matches },
        action,
        reading,
    })
}

fn nexthops(path: &str, text: &str) -> Result<BTreeSet<IpAddr>, Rejected> {
    let field = format!("{path}.nextHopIP");
    let all: Result<BTreeSet<IpAddr>, _> = text
        .split(',')
        .map(|part| require(&field, part.trim()))
        .collect();
    let all = all?;
    let families: BTreeSet<IpFamily> = all.iter().copied().map(IpFamily::of).collect();
    if families.len() > 1 {
        let cause = "next hops of both families cannot share packets; write a policy for each";
        return Err(rejected(path, "nextHopIP", text, cause.to_owned()));
    }
    Ok(all)
}

fn peering(path: &str, text: &api::vpc::VpcPeering) -> Result<Peering, Rejected> {
    let remote = require(&format!("{path}.remoteVpc"), &text.remote_vpc)?;
    let field = format!("{path}.localConnectIP");
    let addresses = require::<DualStack<PortAddress>>(&field, &text.local_connect_ip)?;
    for address in addresses.values() {
        let hosts = address.network.hosts();
        if hosts.is_some_and(|hosts| !hosts.contains(address.address)) {
            let cause = "it is the network itself or its broadcast address; write a host of it";
            return Err(rejected(path, "localConnectIP", address, cause.to_owned()));
        }
    }
    Ok(Peering { remote, addresses })
}

fn rejected(path: &str, field: &str, value: impl Display, cause: String) -> Rejected {
    Rejected {
        field: format!("{path}.{field}"),
        value: value.to_string(),
        cause,
    }
}
