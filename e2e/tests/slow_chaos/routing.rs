//! Entries of a VPC's lists, as users add, change and remove them.

use anyhow::Result;
use api::{Subnet, Vpc};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::object::{Hand, Name, Taken};

/// The greatest priority of a policy route here.
const PRIORITIES: u32 = 20_000;

/// A list of a VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    StaticRoutes,
    PolicyRoutes,
    Peerings,
}

/// What the names of the VPCs end in that are there in the end.
pub(crate) const LAST: [&str; 2] = ["left", "right"];
/// The link between them.
const LAST_LINK: u8 = 255;

/// What becomes of the entry.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// It is there from now on, and says this.
    Put(Value),
    Remove,
}

/// Of two ends of a link, the one with the first address of its network, or that with the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    First,
    Second,
}

// === impl List ===

impl List {
    const fn field(self) -> &'static str {
        match self {
            Self::StaticRoutes => "staticRoutes",
            Self::PolicyRoutes => "policyRoutes",
            Self::Peerings => "vpcPeerings",
        }
    }

    /// The field by which an entry is known.
    const fn key(self) -> &'static str {
        match self {
            Self::StaticRoutes => "cidr",
            Self::PolicyRoutes => "priority",
            Self::Peerings => "remoteVpc",
        }
    }

    fn names(self, entry: &Value, name: &str) -> bool {
        match entry.get(self.key()) {
            Some(Value::String(key)) => key == name,
            Some(key) => name.parse::<u64>().is_ok_and(|it| key.as_u64() == Some(it)),
            None => false,
        }
    }
}

/// Changes the entry of the VPC that is named so. The lists have no keys for the API server, so the
/// whole list is written; another user of the same VPC may write over it.
pub(crate) async fn change(
    hand: &Hand,
    list: List,
    (vpc, entry): &Name,
    change: Change,
) -> Result<Taken> {
    let vpc = (String::new(), vpc.clone());
    let Some(found) = hand.find::<Vpc>(&vpc).await? else {
        return Ok(Taken::No);
    };
    let spec = serde_json::to_value(&found.spec)?;
    let entries = spec.get(list.field()).and_then(Value::as_array);
    let mut entries = entries.cloned().unwrap_or_default();
    entries.retain(|it| !list.names(it, entry));
    if let Change::Put(value) = change {
        entries.push(value);
    }
    let patch = json!({"spec": {list.field(): entries}});
    hand.patch::<Vpc>(&vpc, patch).await
}

/// A route to or from a network of nobody's. The next hop is in the subnet, or where nobody is.
pub(crate) fn static_route(random: &mut Rng, cidr: &str, subnet: Option<&Subnet>) -> Value {
    let policies = [api::vpc::POLICY_DST, api::vpc::POLICY_SRC];
    let policy = random.choice(policies);
    json!({"policy": policy, "cidr": cidr, "nextHopIP": next_hop(random, subnet)})
}

/// What happens to packets from or to a network of nobody's.
pub(crate) fn policy_route(random: &mut Rng, priority: &str, subnet: Option<&Subnet>) -> Value {
    let priority: u32 = priority.parse().unwrap_or_default();
    let third = random.u8(..);
    let matches = match random.u32(0..4) {
        0 => format!("ip4.src == 10.252.{third}.0/24"),
        1 => format!("ip4.dst == 10.252.{third}.0/24 && tcp"),
        2 => format!("ip4.src == {{10.252.{third}.1, 10.252.{third}.2}}"),
        _ => format!("ip4.src == \"10.252.{third}.1"),
    };
    let mut route = json!({"priority": priority, "match": matches});
    let action = match random.u32(0..3) {
        0 => api::vpc::ALLOW,
        1 => api::vpc::DROP,
        _ => {
            let hops = (0..random.u8(1..3)).map(|_| next_hop(random, subnet));
            let hops: Vec<String> = hops.collect();
            route["nextHopIP"] = hops.join(",").into();
            api::vpc::REROUTE
        }
    };
    route["action"] = action.into();
    route
}

/// The name of another policy route.
pub(crate) fn priority(number: u32) -> String {
    (number % PRIORITIES + 1).to_string()
}

/// The network of another static route.
pub(crate) fn cidr(number: u32) -> String {
    format!("10.250.{}.{}/32", number / 256 % 256, number % 256)
}

/// One end of the link to that VPC.
pub(crate) fn peering(remote: &str, link: u8, end: End) -> Value {
    let last = match end {
        End::First => 1,
        End::Second => 2,
    };
    json!({"remoteVpc": remote, "localConnectIP": format!("169.254.{link}.{last}/30")})
}

fn next_hop(random: &mut Rng, subnet: Option<&Subnet>) -> String {
    let last = random.u8(2..250);
    let network = subnet.and_then(|it| it.spec.cidr_block.split_once(".0/"));
    let network = network.map_or("10.251.0", |(network, _)| network);
    format!("{network}.{last}")
}

/// What the two VPCs have in the end: a VPC, a list of it, and the name and text of an entry.
pub(crate) fn last(left: &str, right: &str) -> [(String, List, String, Value); 4] {
    let cidr = "10.250.255.0/24";
    let route = json!({"cidr": cidr, "nextHopIP": format!("169.254.{LAST_LINK}.2")});
    let policy = json!({"priority": 9, "match": "ip4.src == 10.252.255.0/24", "action": "drop"});
    let [first, second] = [
        peering(right, LAST_LINK, End::First),
        peering(left, LAST_LINK, End::Second),
    ];
    [
        (left.to_owned(), List::Peerings, right.to_owned(), first),
        (right.to_owned(), List::Peerings, left.to_owned(), second),
        (left.to_owned(), List::StaticRoutes, cidr.to_owned(), route),
        (left.to_owned(), List::PolicyRoutes, 9.to_string(), policy),
    ]
}
