//! Gateway nodes that do not answer probes: who notices, how soon, and what does not change.
#![cfg(test)]

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use api::Subnet;
use assets::versions::GRPCURL;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams, PostParams};
use model::IpFamily;
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, Netns, Outside, OvnVersion, RunningPod,
    command::Invocation, lab, objects::pod, process::Process, tell, wait_for_event, wait_until,
};
use tokio::time::Instant;

/// What is promised; it takes about half a second.
const NOTICED: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";
const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// So many slots each of three nodes has.
const SLOTS: usize = 4;

#[test]
fn b3c_a_gateway_node_that_does_not_answer_is_out_until_it_does_and_one_lost_echo_is_nothing() {
    with_gateways(async |lab, cluster| {
        let before = policies(lab)?;
        let pod = pod("client").annotation(LOGICAL_SWITCH, "ecmp");
        let pod = cluster.run_pod(pod, "n1").await?;
        let outside = Outside::new(lab)?;
        leaves_by(lab, &pod, &outside, &NODES).await?;
        one_lost_echo_is_nothing(lab).await?;
        for (which, family) in [
            ("both", None),
            ("v4", Some(IpFamily::V4)),
            ("v6", Some(IpFamily::V6)),
        ] {
            let silence = Silence::of(lab.node("n2")?.netns(), family)?;
            let begun = Instant::now();
            holders_are(lab, &["n1", "n3"], NOTICED).await?;
            tell(format_args!(
                "b3c: silent in {which}: out after {:?}",
                begun.elapsed()
            ))?;
            leaves_by(lab, &pod, &outside, &["n1", "n3"]).await?;
            says(lab, "traffic leaves by n1, n3; no answer from n2").await?;
            ensure!(
                shown(lab, "n2")? == ["n1 no", "n3 no"],
                "the Debug service says otherwise"
            );
            silence.end()?;
            let begun = Instant::now();
            holders_are(lab, &NODES, NOTICED).await?;
            tell(format_args!(
                "b3c: it answers again: back after {:?}",
                begun.elapsed()
            ))?;
        }
        wait_for_event(lab, "GatewayUnreachable", &["ovn0", "fd00:100:64::"]).await?;
        wait_for_event(lab, "GatewayReachable", &["ovn0"]).await?;
        says(lab, "traffic leaves by n1, n2, n3").await?;
        ensure!(policies(lab)? == before, "the next hops changed");
        two_nodes_are_observed_by_a_third(lab).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn b3e_a_leader_whose_host_is_cut_off_from_the_overlay_takes_out_that_host_and_no_other() {
    with_gateways(async |lab, cluster| {
        let port = format!("tunnel{}", lab.station("n1")?);
        lab.switch().ip([format!("link set {port} down")])?;
        holders_are(lab, &["n2", "n3"], NOTICED).await?;
        // what others might make of it comes within the same time
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            let holders = holders(lab)?;
            ensure!(
                holders.contains_key("n2") && holders.contains_key("n3"),
                "{holders:?}"
            );
        }
        // the last two do not hear each other either
        let port2 = format!("tunnel{}", lab.station("n2")?);
        lab.switch().ip([format!("link set {port2} down")])?;
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            let slots: usize = holders(lab)?.values().sum();
            ensure!(slots == NODES.len() * SLOTS, "a slot is nowhere");
        }
        lab.switch().ip([
            format!("link set {port} up"),
            format!("link set {port2} up"),
        ])?;
        holders_are(lab, &NODES, PATIENCE).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn b3c_while_no_controller_lives_nothing_changes_and_the_next_is_right_within_a_second() {
    with_gateways(async |lab, mut cluster| {
        let second = standby(lab, &cluster, "n3").await?;
        let before = holders(lab)?;
        // the first is on n1
        cluster.controller()?.kill()?;
        let silence = Silence::of(lab.node("n2")?.netns(), None)?;
        let led = leads(lab, "n3", || {
            ensure!(holders(lab)? == before, "somebody moved slots");
            Ok(())
        })
        .await?;
        holders_are(lab, &["n1", "n3"], NOTICED).await?;
        let right = led.elapsed();
        tell(format_args!("b3c: the successor was right after {right:?}"))?;
        ensure!(right < Duration::from_millis(1500), "it took {right:?}");

        // and the next one begins with what it finds
        let third = standby(lab, &cluster, "n1").await?;
        drop(second);
        let lost = holders(lab)?;
        let led = leads(lab, "n1", || Ok(())).await?;
        while led.elapsed() < Duration::from_secs(3) {
            ensure!(holders(lab)? == lost, "the successor moved slots");
        }
        silence.end()?;
        holders_are(lab, &NODES, NOTICED).await?;
        drop(third);
        Ok(())
    });
}

/// Rules that drop echo requests to a node.
struct Silence<'a> {
    netns: &'a Netns,
    families: Vec<&'static str>,
}

// === impl Silence ===

impl<'a> Silence<'a> {
    /// Of one family, or of both.
    fn of(netns: &'a Netns, family: Option<IpFamily>) -> Result<Self> {
        let families = match family {
            None => vec!["ip", "ip6"],
            Some(IpFamily::V4) => vec!["ip"],
            Some(IpFamily::V6) => vec!["ip6"],
        };
        for family in &families {
            netns.nft(&format!(
                "add table {family} deaf
                 add chain {family} deaf input {{ type filter hook input priority -300; }}
                 add rule {family} deaf input iifname ovn0 {} drop",
                request(family)
            ))?;
        }
        Ok(Self { netns, families })
    }

    fn end(self) -> Result<()> {
        for family in self.families {
            self.netns.nft(&format!("delete table {family} deaf"))?;
        }
        Ok(())
    }
}

fn request(family: &str) -> &'static str {
    match family {
        "ip" => "icmp type echo-request",
        _ => "icmpv6 type echo-request",
    }
}

/// Of every observer one request to n2 gets lost in each family, and the next ones do not.
async fn one_lost_echo_is_nothing(lab: &Lab) -> Result<()> {
    let before = (holders(lab)?, failovers(lab)?);
    let n2 = lab.node("n2")?.netns();
    let rule = |family: &str, from: IpAddr| {
        format!(
            "add rule {family} flaky input {family} saddr {from} {} limit rate 1/day burst 1 \
             packets counter drop",
            request(family)
        )
    };
    for family in lab.families().all() {
        let table = match family {
            IpFamily::V4 => "ip",
            IpFamily::V6 => "ip6",
        };
        let joins = ["n1", "n3"].map(|node| join_address(lab, node, *family));
        let [one, other] = joins;
        n2.nft(&format!(
            "add table {table} flaky
             add chain {table} flaky input {{ type filter hook input priority -300; }}
             {}\n{}
             add rule {table} flaky input {} counter",
            rule(table, one?),
            rule(table, other?),
            request(table)
        ))?;
    }
    wait_until(
        "the echoes are lost, and others are not",
        PATIENCE,
        async || {
            let counts = counts(n2)?;
            let [a, b, v4, c, d, v6] = counts.as_slice() else {
                anyhow::bail!("there are {counts:?}");
            };
            let is_lost = [a, b, c, d].iter().all(|it| **it == 1);
            ensure!(is_lost && *v4 > 20 && *v6 > 20, "counted are {counts:?}");
            Ok(())
        },
    )
    .await?;
    for table in ["ip", "ip6"] {
        n2.nft(&format!("delete table {table} flaky"))?;
    }
    ensure!((holders(lab)?, failovers(lab)?) == before, "slots moved");
    Ok(())
}

/// The packets that each rule of both tables counted.
fn counts(netns: &Netns) -> Result<Vec<usize>> {
    let mut counts = Vec::new();
    for family in ["ip", "ip6"] {
        let command = netns
            .command("nft")
            .args(["list", "table", family, "flaky"]);
        let text = command.read()?;
        let mut words = text.split_whitespace();
        while words.by_ref().any(|word| word == "packets") {
            let count = words.next().context("a count follows")?;
            // after a burst stand packets, too
            counts.extend(count.parse::<usize>());
        }
    }
    Ok(counts)
}

/// A dual-stack subnet with the gateway nodes n1, n2 and n3, and the leader on n1.
fn with_gateways(test: impl AsyncFnOnce(&Lab, Cluster<'_>) -> Result<()> + Send + 'static) {
    let options = LabOptions::on(OvnVersion::V25_03).families(Families::Dual);
    lab::run(options.nodes(3).with_api_server(), async move |lab| {
        let cluster = Cluster::start_elected(lab, "n1").await?;
        let subnet: Subnet = serde_json::from_value(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "ecmp"},
            "spec": {
                "cidrBlock": "10.70.0.0/16,fd00:70::/64", "natOutgoing": true,
                "gatewayType": "centralized", "gatewayNode": "n1,n2,n3",
            },
        }))?;
        let subnets: Api<Subnet> = Api::all(lab.api_server()?.client()?);
        subnets.create(&PostParams::default(), &subnet).await?;
        holders_are(lab, &NODES, PATIENCE).await?;
        lab.sync()?;
        observed(lab).await?;
        holders_are(lab, &NODES, PATIENCE).await?;
        test(lab, cluster).await
    });
}

/// Every node is probed by two others.
async fn observed(lab: &Lab) -> Result<()> {
    for name in NODES {
        let node = lab.node(name)?.netns();
        node.nft(
            "add table inet heard
             add chain inet heard input { type filter hook input priority -300; }
             add rule inet heard input icmp type echo-request counter
             add rule inet heard input icmpv6 type echo-request counter",
        )?;
        wait_until(&format!("{name} is probed"), PATIENCE, async || {
            let command = node.command("nft").args(["list", "table", "inet", "heard"]);
            let text = command.read()?;
            let none = text.contains("packets 0 ");
            ensure!(!none, "not in each family: {text}");
            Ok(())
        })
        .await?;
        node.nft("delete table inet heard")?;
    }
    Ok(())
}

/// How many slots each node has, by the addresses of its port in NB, all at one time.
fn holders(lab: &Lab) -> Result<BTreeMap<&'static str, usize>> {
    let ports = NODES.map(|node| format!("node-{node}"));
    let list = [
        "--bare",
        "--columns=name,addresses",
        "list",
        "Logical_Switch_Port",
    ];
    let text = lab.nbctl(list.into_iter().chain(ports.iter().map(String::as_str)))?;
    let mut holders = BTreeMap::new();
    for record in text.split("\n\n") {
        let mut words = record.split_whitespace();
        let name = words.next().context("a port has a name")?;
        let node = NODES
            .into_iter()
            .find(|node| name == format!("node-{node}"));
        // the MAC and its own two addresses come first
        let slots = words.count().saturating_sub(3) / 2;
        if slots > 0 {
            holders.insert(node.with_context(|| format!("what is {name}?"))?, slots);
        }
    }
    Ok(holders)
}

/// These nodes have all slots of the set of three.
async fn holders_are(lab: &Lab, nodes: &[&str], patience: Duration) -> Result<()> {
    slots_are_at(lab, nodes, NODES.len() * SLOTS, patience).await
}

async fn slots_are_at(lab: &Lab, nodes: &[&str], slots: usize, patience: Duration) -> Result<()> {
    wait_until(&format!("{nodes:?} have the slots"), patience, async || {
        let holders = holders(lab)?;
        let names: Vec<&str> = holders.keys().copied().collect();
        let all: usize = holders.values().sum();
        ensure!(names == nodes && all == slots, "it is {holders:?}");
        Ok(())
    })
    .await
}

/// The leader is on one of the two, and has no voice of its own.
async fn two_nodes_are_observed_by_a_third(lab: &Lab) -> Result<()> {
    let subnets: Api<Subnet> = Api::all(lab.api_server()?.client()?);
    let patch = Patch::Merge(json!({"spec": {"gatewayNode": "n1,n2"}}));
    subnets
        .patch("ecmp", &PatchParams::default(), &patch)
        .await?;
    let slots = 2 * SLOTS;
    slots_are_at(lab, &["n1", "n2"], slots, PATIENCE).await?;
    let silence = Silence::of(lab.node("n2")?.netns(), None)?;
    slots_are_at(lab, &["n1"], slots, NOTICED).await?;
    silence.end()?;
    slots_are_at(lab, &["n1", "n2"], slots, NOTICED).await
}

/// A host outside sees these nodes, in each family.
async fn leaves_by(lab: &Lab, pod: &RunningPod, outside: &Outside, nodes: &[&str]) -> Result<()> {
    for family in lab.families().all() {
        let addresses = nodes.iter().map(|node| {
            let addresses = lab.node(node)?.addresses();
            addresses.get(*family).copied().context("no such family")
        });
        let addresses = addresses.collect::<Result<Vec<IpAddr>>>()?;
        outside.wait_for(pod.netns(), *family, &addresses).await?;
    }
    Ok(())
}

/// What the observers say of a node, as the Debug service shows it to a member. The leader on n1 has
/// the voice of its host, and is shown beside it.
fn shown(lab: &Lab, node: &str) -> Result<Vec<String>> {
    let tls = |name: &str| lab.directory().join("tls").join(name).display().to_string();
    let address = lab.addresses_of("n1")?;
    let address = address.v4.context("the lab has IPv4")?;
    let sets = Invocation::new(assets::go_tool(GRPCURL)?)
        .in_netns(lab.node("n1")?.netns().path())
        .args(["-insecure", "-cert", &tls("cert"), "-key", &tls("key")])
        .args([&format!("{address}:10670"), "debug.v1.Debug/Gateways"])
        .read()?;
    let set: Value = serde_json::from_str(&sets)?;
    let slots = set["slots"].as_array().context("there are slots")?;
    ensure!(slots.len() == NODES.len() * SLOTS, "there are {slots:?}");
    ensure!(
        slots.iter().all(|it| it["node"] != node),
        "it has slots: {slots:?}"
    );
    let mut nodes = set["nodes"].as_array().context("there are nodes")?.iter();
    let node = nodes
        .find(|it| it["node"] == node)
        .context("there is the node")?;
    ensure!(
        node["ready"] == true && node["unreachable"] == true,
        "it is {node}"
    );
    let views = node["views"].as_array().context("there are views")?.iter();
    let views = views.filter(|it| it["observer"] != "leader");
    let view = |it: &Value| {
        let answers = if it["answers"] == true { "yes" } else { "no" };
        Some(format!("{} {answers}", it["observer"].as_str()?))
    };
    views.map(|it| view(it).context("who observes?")).collect()
}

/// The condition of the subnet becomes so.
async fn says(lab: &Lab, message: &str) -> Result<()> {
    let subnets: Api<Subnet> = Api::all(lab.api_server()?.client()?);
    wait_until(message, PATIENCE, async || {
        let conditions = subnets
            .get("ecmp")
            .await?
            .status
            .unwrap_or_default()
            .conditions;
        let said = conditions.iter().any(|it| it.message == message);
        ensure!(said, "it says {conditions:?}");
        Ok(())
    })
    .await
}

/// A controller on a node that stands by.
async fn standby(lab: &Lab, cluster: &Cluster<'_>, node: &str) -> Result<Process> {
    let program = cluster.candidate(node)?.arg("--admin-address=[::]:10661");
    let process = program.spawn("standby", lab.node(node)?.directory())?;
    let log = process.log().to_owned();
    wait_until("it stands by", PATIENCE, async || {
        let log = std::fs::read_to_string(&log)?;
        ensure!(log.contains("Standing by"), "it does not yet");
        Ok(())
    })
    .await?;
    Ok(process)
}

/// Waits until the controller on that node leads; until then `meanwhile` holds.
async fn leads(lab: &Lab, node: &str, meanwhile: impl Fn() -> Result<()>) -> Result<Instant> {
    let leases: Api<Lease> = Api::namespaced(lab.api_server()?.client()?, "kube-system");
    let end = Instant::now() + PATIENCE;
    loop {
        let checked = meanwhile();
        let lease = leases.get("kube-ovn-controller").await?;
        let now = Instant::now();
        let holder = lease.spec.and_then(|spec| spec.holder_identity);
        if holder.as_deref() == Some(node) {
            return Ok(now);
        }
        checked?;
        ensure!(now < end, "{holder:?} leads");
    }
}

fn join_address(lab: &Lab, node: &str, family: IpFamily) -> Result<IpAddr> {
    let port = format!("node-{node}");
    let addresses = lab.nbctl(["--bare", "lsp-get-addresses", &port])?;
    let mut words = addresses.split_whitespace();
    let found = words.find_map(|word| word.parse().ok().filter(|it| IpFamily::of(*it) == family));
    found.with_context(|| format!("{node} has {addresses}"))
}

/// How often a node was taken out or came back, as the metrics tell.
fn failovers(lab: &Lab) -> Result<String> {
    let curl = lab.node("n1")?.netns().command("curl");
    let metrics = curl.args(["-s", "http://[::1]:10660/metrics"]).read()?;
    let lines = metrics.lines();
    let told: Vec<&str> = lines
        .filter(|it| it.starts_with("controller_gateway_failovers_total"))
        .collect();
    Ok(told.join("\n"))
}

fn policies(lab: &Lab) -> Result<String> {
    lab.nbctl(["lr-policy-list", "ovn-cluster"])
}
