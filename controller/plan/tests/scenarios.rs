//! Scenarios: a cluster in, rows out, each on one page under `tests/scenarios/`.
//!
//! A file holds the cluster as YAML, a line `---- rows ----`, and the rows it becomes.
//! `UPDATE=1 cargo test -p controller-plan --test scenarios` rewrites the rows; review the
//! difference like code.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "scenarios are files; the planner reads none"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use controller_plan::{
    Access, Action, Affinity, Bandwidth, GatewayMode, Inputs, JoinPort, Liveness, Node, Planned,
    Policy, Port, PortSecurity, Protocol, Reserved, Route, RouterLink, Service, Settings, Shared,
    Subnet, Vip, Vpc, check, plan_all,
};
use model::{NodeName, PodKey, PortKey, SubnetName, VipName, VpcName};
use ovn::{RoutePolicy, RowKey};
use serde::Deserialize;

const SEPARATOR: &str = "---- rows ----\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cluster {
    #[serde(default)]
    vpcs: Vec<String>,
    #[serde(default)]
    routing: BTreeMap<String, RoutingText>,
    #[serde(default)]
    subnets: BTreeMap<String, SubnetText>,
    #[serde(default)]
    nodes: BTreeMap<String, NodeText>,
    #[serde(default)]
    pods: BTreeMap<String, PodText>,
    #[serde(default)]
    services: BTreeMap<String, ServiceText>,
    #[serde(default)]
    gateways: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    vips: BTreeMap<String, VipText>,
}

/// What a VPC's user wants of its router.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoutingText {
    /// `to <cidr> via <address>` or `from <cidr> via <address>`.
    #[serde(default)]
    routes: Vec<String>,
    /// `<priority> <match> => <action>`.
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    peerings: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubnetText {
    #[serde(default = "default_vpc")]
    vpc: String,
    cidr: String,
    gateway: String,
    /// As a set of gateway nodes is printed; `none` for a centralized subnet without.
    gateways: Option<String>,
    #[serde(default)]
    underlay: bool,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeText {
    internal: String,
    join: Option<String>,
    mac: Option<String>,
    #[serde(default)]
    dead: bool,
    ingress_rate: Option<String>,
    egress_rate: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PodText {
    subnet: String,
    address: String,
    mac: String,
    node: Option<String>,
    #[serde(default)]
    port_security: bool,
    /// Names of VIPs, and addresses of some.
    #[serde(default)]
    shares: Vec<String>,
    north: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VipText {
    namespace: String,
    subnet: String,
    address: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceText {
    #[serde(default)]
    sticky: bool,
    #[serde(default)]
    tcp: BTreeMap<SocketAddr, BTreeSet<SocketAddr>>,
    #[serde(default)]
    udp: BTreeMap<SocketAddr, BTreeSet<SocketAddr>>,
}

fn default_vpc() -> String {
    "ovn-cluster".to_owned()
}

fn inputs(cluster: Cluster) -> Inputs {
    let settings = Settings {
        default_vpc: VpcName::new(default_vpc()).unwrap(),
        join: SubnetName::new("join").unwrap(),
    };
    let mut inputs = Inputs::new(settings);
    for name in cluster.vpcs {
        let routing = cluster.routing.get(&name);
        let vpc = routing.map_or_else(|| Vpc::of_router(&name), |text| vpc(&name, text));
        inputs.vpcs.insert(VpcName::new(name).unwrap(), vpc);
    }
    for (name, text) in cluster.subnets {
        inputs
            .subnets
            .insert(SubnetName::new(name).unwrap(), subnet(&text));
    }
    for (name, text) in cluster.nodes {
        inputs
            .nodes
            .insert(NodeName::new(name).unwrap(), node(&text));
    }
    for (name, text) in cluster.pods {
        let pod: PodKey = name.parse().unwrap();
        inputs.ports.insert(PortKey::primary(pod), port(&text));
    }
    for (name, text) in cluster.services {
        inputs
            .services
            .insert(name.parse().unwrap(), service(&text));
    }
    for (set, slots) in cluster.gateways {
        let slots = slots.iter().map(|slot| slot.parse().unwrap());
        inputs
            .gateways
            .insert(set.parse().unwrap(), slots.collect());
    }
    for (name, text) in cluster.vips {
        let name = VipName::new(name).unwrap();
        inputs.reserved.insert(name, reserved(text));
    }
    inputs
}

fn reserved(text: VipText) -> Reserved {
    let address = text.address.map(|it| it.parse().unwrap());
    Reserved {
        subnet: text.subnet.parse().unwrap(),
        namespace: text.namespace,
        addresses: address.unwrap_or_default(),
    }
}

fn shared(text: &str) -> Shared {
    let address = text.parse().map(Shared::Address);
    address.unwrap_or_else(|_| Shared::Vip(text.parse().unwrap()))
}

fn vpc(name: &str, text: &RoutingText) -> Vpc {
    let peerings = text.peerings.iter();
    Vpc {
        routes: text.routes.iter().map(|text| route(text)).collect(),
        policies: text.policies.iter().map(|text| policy(text)).collect(),
        peerings: peerings
            .map(|(remote, addresses)| (remote.parse().unwrap(), addresses.parse().unwrap()))
            .collect(),
        ..Vpc::of_router(name)
    }
}

fn route(text: &str) -> Route {
    let words: Vec<&str> = text.split(' ').collect();
    let ["to" | "from", prefix, "via", nexthop] = words[..] else {
        panic!("`{text}` is no route");
    };
    Route {
        policy: if words[0] == "to" {
            RoutePolicy::Destination
        } else {
            RoutePolicy::Source
        },
        prefix: prefix.parse().unwrap(),
        nexthop: nexthop.parse().unwrap(),
    }
}

fn policy(text: &str) -> (Policy, Action) {
    let (matches, action) = text.split_once(" => ").unwrap();
    let (priority, matches) = matches.split_once(' ').unwrap();
    let policy = Policy {
        priority: priority.parse().unwrap(),
        matches: matches.to_owned(),
    };
    let action = match action {
        "allow" => Action::Allow,
        "drop" => Action::Drop,
        nexthops => Action::Reroute(nexthops.split(' ').map(|it| it.parse().unwrap()).collect()),
    };
    (policy, action)
}

fn subnet(text: &SubnetText) -> Subnet {
    Subnet {
        vpc: text.vpc.parse().unwrap(),
        cidrs: text.cidr.parse().unwrap(),
        gateways: text.gateway.parse().unwrap(),
        gateway_mode: match text.gateways.as_deref() {
            None => GatewayMode::Distributed,
            Some("none") => GatewayMode::Centralized(None),
            Some(set) => GatewayMode::Centralized(Some(set.parse().unwrap())),
        },
        router_link: if text.underlay {
            RouterLink::Absent
        } else {
            RouterLink::Connected
        },
        access: if text.private {
            let allowed = text.allow.iter().map(|it| it.parse().unwrap());
            Access::Private {
                allowed: allowed.collect(),
            }
        } else {
            Access::Open
        },
    }
}

fn service(text: &ServiceText) -> Service {
    let of = |protocol, vips: &BTreeMap<SocketAddr, BTreeSet<SocketAddr>>| {
        let vips = vips.clone().into_iter();
        vips.map(move |(address, backends)| (Vip { protocol, address }, backends))
    };
    Service {
        affinity: if text.sticky {
            Affinity::ClientIp
        } else {
            Affinity::None
        },
        vips: of(Protocol::Tcp, &text.tcp)
            .chain(of(Protocol::Udp, &text.udp))
            .collect(),
    }
}

fn node(text: &NodeText) -> Node {
    let join = text.join.as_ref().map(|addresses| JoinPort {
        addresses: addresses.parse().unwrap(),
        mac: text.mac.as_ref().unwrap().parse().unwrap(),
    });
    Node {
        internal: text.internal.parse().unwrap(),
        join,
        liveness: if text.dead {
            Liveness::Dead
        } else {
            Liveness::Alive
        },
        bandwidth: Bandwidth {
            ingress: text.ingress_rate.as_ref().map(|it| it.parse().unwrap()),
            egress: text.egress_rate.as_ref().map(|it| it.parse().unwrap()),
        },
    }
}

fn port(text: &PodText) -> Port {
    Port {
        subnet: text.subnet.parse().unwrap(),
        uid: "uid-1".to_owned(),
        addresses: text.address.parse().unwrap(),
        mac: text.mac.parse().unwrap(),
        node: text
            .node
            .as_ref()
            .map(|name| NodeName::new(name.clone()).unwrap()),
        security: if text.port_security {
            PortSecurity::On
        } else {
            PortSecurity::Off
        },
        shared: text.shares.iter().map(|it| shared(it)).collect(),
        north: text
            .north
            .as_ref()
            .map(|it| it.parse().unwrap())
            .unwrap_or_default(),
    }
}

/// One paragraph a row: its key, its links, its columns; owners are left to the laws.
fn print(planned: &Planned) -> String {
    let mut text = String::new();
    for (key, row) in &planned.rows {
        writeln!(text, "{key}").unwrap();
        for link in row.links() {
            writeln!(text, "  in {} of {}", link.column, link.parent).unwrap();
        }
        let is_in_key = |name: &str| name == "name" && !matches!(key, RowKey::Acl { .. });
        let shown = |name: &str| name != "external_ids" && !is_in_key(name);
        for (column, value) in row.columns().iter().filter(|(name, _)| shown(name)) {
            writeln!(text, "  {column} = {value}").unwrap();
        }
    }
    for problem in &planned.problems {
        writeln!(text, "! {} {problem}", problem.reason).unwrap();
    }
    text
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect();
    found.sort();
    found
}

#[test]
fn every_scenario_becomes_its_rows() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios"));
    assert!(!files.is_empty(), "no scenario found");
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let (cluster, expected) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
        let parsed = serde_yaml::from_str(cluster)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let inputs = inputs(parsed);
        assert_eq!(check(&inputs), [], "{}", path.display());
        let rows = print(&plan_all(&inputs));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, format!("{cluster}{SEPARATOR}{rows}")).unwrap();
        } else {
            assert_eq!(rows, expected, "{}", path.display());
        }
    }
}
