//! The rows of the table, as data: what is asked, where, by which command, and what must come out.

use std::net::IpAddr;

use model::IpFamily;
use serde::Serialize;

use super::{
    facts::{Facts, Pod},
    workload::{LARGE_SHA256, NAMESPACE, headless_name, probed_name},
};

/// A way of packets, which a row tries in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    SameNodePing,
    SameNodeTcp,
    SameNodeLarge,
    OtherNodePing,
    OtherNodeTcp,
    OtherNodeLarge,
    ClusterIp,
    Name,
    NodeToPod,
    NodeToOtherPod,
    Probe,
    Outside,
    OutsideFromOther,
    OutsideByGateway,
    OutsideByBoth,
}

/// Where a row's command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a pod, by `kubectl exec`.
    Pod(String),
    /// In a node's namespaces, by `nsenter`.
    Node(String),
    /// In the kubelet of a node, which probes this pod; `kubectl wait` only looks on.
    Kubelet { node: String, pod: String },
}

/// A row before it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) way: Way,
    pub(crate) family: IpFamily,
    pub(crate) place: Place,
    /// Whom it calls.
    pub(crate) target: String,
    pub(crate) command: Vec<String>,
    /// What it must print; one of these.
    pub(crate) expected: Vec<String>,
}

/// Every row of the families that the client has.
pub(crate) fn checks(facts: &Facts) -> Vec<Check> {
    let families = facts.client.addresses.iter();
    families
        .flat_map(|(family, _)| Way::ALL.map(|way| way.check(facts, family)))
        .flatten()
        .collect()
}

// === impl Way ===

impl Way {
    pub(crate) const ALL: [Self; 15] = [
        Self::SameNodePing,
        Self::SameNodeTcp,
        Self::SameNodeLarge,
        Self::OtherNodePing,
        Self::OtherNodeTcp,
        Self::OtherNodeLarge,
        Self::ClusterIp,
        Self::Name,
        Self::NodeToPod,
        Self::NodeToOtherPod,
        Self::Probe,
        Self::Outside,
        Self::OutsideFromOther,
        Self::OutsideByGateway,
        Self::OutsideByBoth,
    ];

    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::SameNodePing => "pod to pod on its node, ping",
            Self::SameNodeTcp => "pod to pod on its node, TCP",
            Self::SameNodeLarge => "pod to pod on its node, 10 MB",
            Self::OtherNodePing => "pod to pod on another node, ping",
            Self::OtherNodeTcp => "pod to pod on another node, TCP",
            Self::OtherNodeLarge => "pod to pod on another node, 10 MB",
            Self::ClusterIp => "pod to ClusterIP, TCP",
            Self::Name => "pod to DNS name, TCP",
            Self::NodeToPod => "node to its pod, TCP",
            Self::NodeToOtherPod => "node to pod on another node, TCP",
            Self::Probe => "kubelet's readiness probe",
            Self::Outside | Self::OutsideFromOther => "pod to outside, seen as its node",
            Self::OutsideByGateway => "pod to outside, seen as the gateway node",
            Self::OutsideByBoth => "pod to outside, seen as each of two gateway nodes",
        }
    }

    /// `None` where an object has no address of the family.
    fn check(self, facts: &Facts, family: IpFamily) -> Option<Check> {
        let address = |pod: &Pod| pod.addresses.get(family).copied();
        let (near, far) = (address(&facts.near)?, address(&facts.far)?);
        let both = [&facts.near, &facts.far].map(|pod| pod.name.clone());
        let in_client = |plan| self.row(family, Place::Pod(facts.client.name.clone()), plan);
        let on_node = |plan| self.row(family, Place::Node(facts.client.node.clone()), plan);
        Some(match self {
            Self::SameNodePing => in_client(ping(near)),
            Self::SameNodeTcp => in_client(fetch(near, &facts.near)),
            Self::SameNodeLarge => in_client(large(near)),
            Self::OtherNodePing => in_client(ping(far)),
            Self::OtherNodeTcp => in_client(fetch(far, &facts.far)),
            Self::OtherNodeLarge => in_client(large(far)),
            Self::ClusterIp => {
                let address = facts.service.get(family)?;
                in_client((
                    address.to_string(),
                    get(&host(*address), "/"),
                    both.to_vec(),
                ))
            }
            Self::Name => in_client(by_name(family, *facts.dns.get(family)?, &both)),
            Self::NodeToPod => on_node(fetch(near, &facts.near)),
            Self::NodeToOtherPod => on_node(fetch(far, &facts.far)),
            Self::Probe => self.probe(facts, family),
            Self::Outside => in_client(outside(facts, family, *facts.first.get(family)?)?),
            Self::OutsideFromOther => {
                let plan = outside(facts, family, *facts.second.get(family)?)?;
                self.row(family, Place::Pod(facts.far.name.clone()), plan)
            }
            Self::OutsideByGateway => {
                let plan = outside(facts, family, *facts.second.get(family)?)?;
                self.row(family, Place::Pod(facts.central.name.clone()), plan)
            }
            Self::OutsideByBoth => {
                let place = Place::Pod(facts.shared.name.clone());
                self.row(family, place, outside_by_both(facts, family)?)
            }
        })
    }

    fn row(self, family: IpFamily, place: Place, (target, command, expected): Plan) -> Check {
        Check {
            way: self,
            family,
            place,
            target,
            command,
            expected,
        }
    }

    fn probe(self, facts: &Facts, family: IpFamily) -> Check {
        let pod = probed_name(family);
        let command = [
            "wait",
            &format!("--namespace={NAMESPACE}"),
            "--for=condition=Ready",
            "--timeout=20s",
            &format!("pod/{pod}"),
        ];
        let command = command.map(str::to_owned).to_vec();
        let expected = vec![format!("pod/{pod} condition met")];
        let place = Place::Kubelet {
            node: facts.client.node.clone(),
            pod: pod.clone(),
        };
        self.row(family, place, (pod, command, expected))
    }
}

/// Target, command, and what it must print.
type Plan = (String, Vec<String>, Vec<String>);

fn ping(address: IpAddr) -> Plan {
    let script = format!("ping -c 3 -W 1 {address} | grep -o '. packets received'");
    (
        address.to_string(),
        shell(script),
        one("3 packets received"),
    )
}

fn fetch(address: IpAddr, server: &Pod) -> Plan {
    let command = get(&host(address), "/");
    (address.to_string(), command, one(&server.name))
}

fn large(address: IpAddr) -> Plan {
    let get = get(&host(address), "/large").join(" ");
    let script = format!("{get} | sha256sum | cut -d ' ' -f 1");
    (address.to_string(), shell(script), one(LARGE_SHA256))
}

/// Asks the DNS server of the same family, then calls by the name.
fn by_name(family: IpFamily, server: IpAddr, servers: &[String]) -> Plan {
    let name = headless_name(family);
    let get = get(&name, "/").join(" ");
    let full = format!("{name}.{NAMESPACE}.svc.cluster.local");
    let script = format!("timeout 5 nslookup {full} {server} > /dev/null && {get}");
    (name, shell(script), servers.to_vec())
}

fn outside(facts: &Facts, family: IpFamily, node: IpAddr) -> Option<Plan> {
    let address = *facts.outside.get(family)?;
    let command = get(&host(address), cluster::outside::ADDRESS_PATH);
    Some((address.to_string(), command, one(&node.to_string())))
}

/// Every connection chooses its gateway, so that this many find both.
fn outside_by_both(facts: &Facts, family: IpFamily) -> Option<Plan> {
    let address = *facts.outside.get(family)?;
    let get = get(&host(address), cluster::outside::ADDRESS_PATH).join(" ");
    let calls = format!("for i in $(seq 24); do {get} || exit 1; echo; done");
    let script = format!(r#"seen=$({calls}) && echo "$seen" | grep . | sort -u | tr '\n' ' '"#);
    let nodes = [&facts.first, &facts.second].map(|node| node.get(family).map(IpAddr::to_string));
    let mut nodes: Vec<String> = nodes.into_iter().collect::<Option<_>>()?;
    nodes.sort();
    Some((address.to_string(), shell(script), one(&nodes.join(" "))))
}

/// In five seconds at most; what is slow is not reached.
fn get(host: &str, path: &str) -> Vec<String> {
    let url = format!("http://{host}{path}");
    let words = ["timeout", "5", "busybox", "wget", "-q", "-O", "-", &url];
    words.map(str::to_owned).to_vec()
}

fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn shell(script: String) -> Vec<String> {
    vec!["sh".to_owned(), "-c".to_owned(), script]
}

fn one(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

// === impl Place ===

impl Place {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Pod(pod) => format!("pod {pod}"),
            Self::Node(node) => format!("node {node}"),
            Self::Kubelet { node, .. } => format!("kubelet of {node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::DualStack;

    use super::*;

    fn pair(v4: &str, v6: &str) -> DualStack<IpAddr> {
        DualStack {
            v4: Some(v4.parse().unwrap()),
            v6: Some(v6.parse().unwrap()),
        }
    }

    fn pod(name: &str, node: &str, host: u8) -> Pod {
        Pod {
            name: name.to_owned(),
            node: node.to_owned(),
            addresses: pair(&format!("10.16.0.{host}"), &format!("fd00:10:16::{host}")),
        }
    }

    fn facts() -> Facts {
        Facts {
            client: pod("client-1", "n1", 5),
            near: pod("near-1", "n1", 6),
            far: pod("far-1", "n2", 7),
            central: pod("central-1", "n1", 8),
            shared: pod("shared-1", "n1", 9),
            service: pair("10.96.0.50", "fd00:96::50"),
            dns: pair("10.96.0.10", "fd00:96::a"),
            first: pair("10.200.0.11", "fd00:c8::b"),
            second: pair("10.200.0.12", "fd00:c8::c"),
            outside: pair("192.0.2.1", "2001:db8::1"),
        }
    }

    fn find(way: Way, family: IpFamily) -> Check {
        let mut all = checks(&facts()).into_iter();
        all.find(|check| check.way == way && check.family == family)
            .unwrap()
    }

    #[test]
    fn every_way_is_tried_in_both_families() {
        let rows = checks(&facts());
        for family in IpFamily::ALL {
            let of_family = rows.iter().filter(|row| row.family == family);
            let ways: Vec<Way> = of_family.map(|row| row.way).collect();
            assert_eq!(ways, Way::ALL);
        }
    }

    #[test]
    fn a_family_that_the_cluster_lacks_has_no_rows() {
        let mut facts = facts();
        facts.client.addresses.v6 = None;
        assert!(checks(&facts).iter().all(|row| row.family == IpFamily::V4));
    }

    #[test]
    fn the_outside_host_must_see_the_node_of_the_pod() {
        let near = find(Way::Outside, IpFamily::V6);
        assert_eq!(near.place, Place::Pod("client-1".to_owned()));
        assert_eq!(near.expected, ["fd00:c8::b"]);
        let far = find(Way::OutsideFromOther, IpFamily::V4);
        assert_eq!(far.place, Place::Pod("far-1".to_owned()));
        assert_eq!(far.expected, ["10.200.0.12"]);
    }

    #[test]
    fn the_outside_host_must_see_the_gateway_nodes_of_the_pod() {
        let one = find(Way::OutsideByGateway, IpFamily::V4);
        assert_eq!(one.place, Place::Pod("central-1".to_owned()));
        assert_eq!(one.expected, ["10.200.0.12"]);
        let both = find(Way::OutsideByBoth, IpFamily::V6);
        assert_eq!(both.place, Place::Pod("shared-1".to_owned()));
        assert_eq!(both.expected, ["fd00:c8::b fd00:c8::c"]);
        assert!(
            both.command[2].contains(r"tr '\n' ' '"),
            "{:?}",
            both.command
        );
    }

    #[test]
    fn an_address_of_ipv6_stands_in_brackets_in_a_url() {
        let row = find(Way::OtherNodeTcp, IpFamily::V6);
        assert_eq!(row.command.last().unwrap(), "http://[fd00:10:16::7]/");
        assert_eq!(row.target, "fd00:10:16::7");
    }

    #[test]
    fn either_server_may_answer_for_the_service() {
        let row = find(Way::ClusterIp, IpFamily::V4);
        assert_eq!(row.expected, ["near-1", "far-1"]);
    }
}
