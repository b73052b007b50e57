//! Traffic that is redirected to a gateway outside: where packets go, as hosts outside see them, and
//! what becomes of the nodes' rules and tables.
#![cfg(test)]

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use kube::api::DeleteParams;
use model::{DualStack, IpFamily};
use nix::sys::{
    socket::{setsockopt, sockopt::ReceiveTimeout},
    time::TimeVal,
};
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, Netns, OvnVersion, RunningPod, lab,
    network::{MANAGEMENT, add_address, plug},
    objects::pod,
    subnets,
    tell::tell,
    traffic::{SMALL, listen, tcp, tcp_to, wait_for_ping},
    wait_for_event, wait_until,
};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(1);
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";
const NAME: &str = "redirected";
const TRANSLATED: &str = "translated";
/// Hosts behind the gateways; no node has a route to them.
const FAR: &str = "198.51.100.7,2001:db8:7::7";
const BLOCKED: &str = "198.51.100.8,2001:db8:7::8";

#[test]
fn b5a_pods_of_a_distributed_subnet_are_seen_by_the_gateway_with_their_own_addresses() {
    with_gateway(async |lab, cluster, gateway| {
        create(lab, &gateway, json!({})).await?;
        let a = run_pod(&cluster, "a", "n1").await?;
        for family in lab.families().all() {
            // before the pod can send anything
            ensure!(!rules(lab, "n1", *family)?.is_empty(), "ADD did not wait");
        }
        let b = run_pod(&cluster, "b", "n2").await?;
        for (pod, node, other) in [(&a, "n1", "n2"), (&b, "n2", "n1")] {
            gateway.answer(lab, pod, node)?;
            for family in lab.families().all() {
                let rule = format!("from {} lookup 1001", pod.address(*family)?);
                rules_are(lab, node, *family, &[&rule]).await?;
                ensure!(
                    !rules(lab, other, *family)?.contains(&rule),
                    "{other} has it"
                );
                let via = format!("default via {} ", gateway.address(*family)?);
                let table = table(lab, node, *family)?;
                ensure!(table.starts_with(&via), "{node} has {table}");
                gateway.sees(pod, *family, FAR).await?;
            }
        }
        // what is on a link of the node is outside the cluster, too
        gateway.sees_on_link(lab, &a).await?;
        stays_in_the_cluster(lab, &cluster, &a, &b).await
    });
}

#[test]
fn b5a_traffic_of_a_centralized_subnet_is_redirected_on_its_gateway_nodes_alone() {
    with_gateway(centralized_and_back);
}

#[test]
fn b5a_traffic_of_a_centralized_subnet_of_ipv4_alone_is_redirected_on_its_gateway_nodes_alone() {
    with_gateway_of(Families::V4, centralized_and_back);
}

async fn centralized_and_back(lab: &Lab, cluster: Cluster<'_>, gateway: Gateway) -> Result<()> {
    let centralized = json!({"gatewayType": "centralized", "gatewayNode": "n1"});
    create(lab, &gateway, centralized).await?;
    let pod = run_pod(&cluster, "a", "n2").await?;
    is_led_by(lab, &gateway, &pod, ("n1", "n2")).await?;
    edit(lab, json!({"gatewayNode": "n2"})).await?;
    is_led_by(lab, &gateway, &pod, ("n2", "n1")).await?;
    // the other one is ready to take over
    edit(lab, json!({"gatewayNode": "n1,n2", "enableEcmp": false})).await?;
    for (family, cidr) in networks(lab) {
        for node in ["n1", "n2"] {
            rules_are(lab, node, family, &[&format!("from {cidr} lookup 1001")]).await?;
        }
    }
    gateway.answer(lab, &pod, "n1")?;
    for family in lab.families().all() {
        gateway.sees(&pod, *family, FAR).await?;
    }
    edit(lab, json!({"gatewayType": "distributed"})).await?;
    for family in lab.families().all() {
        let rule = format!("from {} lookup 1001", pod.address(*family)?);
        rules_are(lab, "n1", *family, &[]).await?;
        rules_are(lab, "n2", *family, &[&rule]).await?;
    }
    Ok(())
}

#[test]
fn b5b_what_the_gateway_blocks_is_lost_and_translation_is_refused() {
    with_gateway(async |lab, cluster, gateway| {
        create(lab, &gateway, json!({})).await?;
        let pod = run_pod(&cluster, "a", "n1").await?;
        gateway.answer(lab, &pod, "n1")?;
        for family in lab.families().all() {
            gateway.sees(&pod, *family, BLOCKED).await?;
        }
        let blocked: DualStack<IpAddr> = BLOCKED.parse()?;
        let (v4, v6) = (blocked.v4.context("v4")?, blocked.v6.context("v6")?);
        gateway.netns.nft(&format!(
            "add table inet firewall
             add chain inet firewall input {{ type filter hook input priority 0; }}
             add rule inet firewall input ip daddr {v4} drop
             add rule inet firewall input ip6 daddr {v6} drop",
        ))?;
        for family in lab.families().all() {
            let lost = gateway.connect(&pod, *family, BLOCKED);
            ensure!(lost.is_err(), "what is blocked was reached");
            gateway.sees(&pod, *family, FAR).await?;
        }
        let refused = edit(lab, json!({"natOutgoing": true})).await;
        let refused = refused.map_or_else(|error| error.to_string(), |()| String::new());
        ensure!(refused.contains("set natOutgoing to false"), "{refused}");
        Ok(())
    });
}

#[test]
fn b5c_rules_and_tables_follow_the_subnet_and_leave_nodes_as_they_were() {
    with_gateway(async |lab, mut cluster, gateway| {
        let before = settled(lab).await?;
        create(lab, &gateway, json!({})).await?;
        let a = run_pod(&cluster, "a", "n1").await?;
        let b = run_pod(&cluster, "b", "n1").await?;
        gateway.answer(lab, &a, "n1")?;
        for family in lab.families().all() {
            gateway.sees(&a, *family, FAR).await?;
        }
        let other = Gateway::new(lab, 101)?;
        other.answer(lab, &a, "n1")?;
        changed_gateway(lab, &a, &other).await?;
        deleted_pod(lab, &b).await?;
        changed_while_the_daemon_is_down(lab, &mut cluster, &a, &gateway).await?;
        a_single_gateway_is_for_its_family(lab, &a, &gateway).await?;
        translated(lab).await?;

        a.sandbox.del()?;
        lab.api_server()?.delete_pod(&a.object).await?;
        for name in [NAME, TRANSLATED] {
            subnets::all(lab)?
                .delete(name, &DeleteParams::default())
                .await?;
        }
        wait_until("nodes are as before", PATIENCE, async || {
            let after = state(lab)?;
            ensure!(after == before, "{}", difference(&before, &after));
            Ok(())
        })
        .await
    });
}

#[test]
fn r17_a_restarted_daemon_finds_rules_tables_and_nftables_as_it_left_them() {
    with_gateway(async |lab, mut cluster, gateway| {
        create(lab, &gateway, json!({})).await?;
        let pod = run_pod(&cluster, "a", "n1").await?;
        for family in lab.families().all() {
            let rule = format!("from {} lookup 1001", pod.address(*family)?);
            rules_are(lab, "n1", *family, &[&rule]).await?;
        }
        let before = settled(lab).await?;
        let node = lab.node("n1")?;
        for _ in 0..2 {
            cluster.start_daemon(node)?;
            cluster.ready().await?;
            let after = settled(lab).await?;
            ensure!(after == before, "{}", difference(&before, &after));
        }
        // what of ours was removed or left over is mended, and what is of others is not touched
        cluster.kill_daemon(node);
        let address = pod.address(IpFamily::V4)?;
        node.netns().ip([
            format!("rule del from {address} table 1001"),
            "rule add from 10.71.9.9 table 1001 priority 1001 protocol 75".to_owned(),
            "route add default via 10.200.0.9 table 1009 protocol 75".to_owned(),
            "route add unreachable default metric 4294967295 table 1009 protocol 75".to_owned(),
            "route add default via 10.200.0.9 table 1010".to_owned(),
        ])?;
        cluster.start_daemon(node)?;
        cluster.ready().await?;
        let after = settled(lab).await?;
        let foreign = difference(&before, &after);
        ensure!(
            foreign == "+ default via 10.200.0.9 dev eth0 table 1010",
            "{foreign}"
        );
        cluster.uninstall_daemon(node)?;
        for family in lab.families().all() {
            ensure!(ours(lab, "n1", *family)?.is_empty(), "something is left");
        }
        Ok(())
    });
}

#[test]
fn what_a_node_cannot_do_is_told_on_the_subnet_and_what_worked_goes_on() {
    with_gateway(async |lab, cluster, gateway| {
        create(lab, &gateway, json!({})).await?;
        let pod = run_pod(&cluster, "a", "n1").await?;
        gateway.answer(lab, &pod, "n1")?;
        gateway.sees(&pod, IpFamily::V4, FAR).await?;
        let n1 = lab.node("n1")?.netns();
        n1.ip([
            "rule add from 192.0.2.1 table 7 priority 1007",
            "route add 2001:db8:9::/64 via fd00:c8::64 table 1008",
        ])?;
        for (spec, told) in [
            (
                json!({"externalEgressGateway": "203.0.113.9"}),
                "203.0.113.9",
            ),
            (
                json!({"externalEgressGateway": "10.200.0.11"}),
                "or the node's own",
            ),
            (
                json!({"policyRoutingPriority": 1007}),
                "choose a priority that is free",
            ),
            (
                json!({"policyRoutingTableID": 1008}),
                "choose a table that is free",
            ),
        ] {
            edit(lab, spec).await?;
            wait_for_event(lab, "ValidateLogicalSwitchFailed", &["on n1", told]).await?;
            valid(lab, "False", told).await?;
            gateway.sees(&pod, IpFamily::V4, FAR).await?;
            edit(lab, redirect(&gateway)).await?;
            valid(lab, "True", "").await?;
        }
        let other = json!({
            "cidrBlock": "10.72.0.0/16", "externalEgressGateway": "10.200.0.9",
            "policyRoutingPriority": 1001, "policyRoutingTableID": 1001,
        });
        subnets::create(lab, "other", other).await?;
        let words = ["1001", "subnet redirected has it already"];
        wait_for_event(lab, "ValidateLogicalSwitchFailed", &words).await?;
        gateway.sees(&pod, IpFamily::V4, FAR).await?;
        drop(cluster);
        Ok(())
    });
}

/// A router outside of the cluster, with the hosts behind it.
struct Gateway {
    netns: Netns,
    addresses: DualStack<IpAddr>,
    listeners: DualStack<TcpListener>,
}

fn with_gateway(test: impl AsyncFnOnce(&Lab, Cluster<'_>, Gateway) -> Result<()> + Send + 'static) {
    with_gateway_of(Families::Dual, test);
}

fn with_gateway_of(
    families: Families,
    test: impl AsyncFnOnce(&Lab, Cluster<'_>, Gateway) -> Result<()> + Send + 'static,
) {
    let options = LabOptions::on(OvnVersion::V25_03).families(families);
    lab::run(options.with_api_server(), async move |lab| {
        let cluster = Cluster::start(lab).await?;
        let gateway = Gateway::new(lab, 100)?;
        test(lab, cluster, gateway).await
    });
}

// === impl Gateway ===

impl Gateway {
    fn new(lab: &Lab, number: u8) -> Result<Self> {
        let netns = Netns::create("gateway")?;
        plug(&netns, "eth0", number, lab.switch(), MANAGEMENT)?;
        let addresses = lab.families().host(MANAGEMENT, number);
        let own = addresses.values().map(|it| add_address("eth0", *it));
        let behind: Vec<&str> = FAR.split(',').chain(BLOCKED.split(',')).collect();
        let behind = behind.iter().map(|it| format!("address add {it} dev lo"));
        netns.ip(own.chain(behind))?;
        let mut listeners = DualStack::NONE;
        for family in lab.families().all() {
            let listener = listen(&netns, *family)?;
            setsockopt(&listener, ReceiveTimeout, &TimeVal::new(2, 0))?;
            *listeners.get_mut(*family) = Some(listener);
        }
        Ok(Self {
            netns,
            addresses,
            listeners,
        })
    }

    fn address(&self, family: IpFamily) -> Result<IpAddr> {
        self.addresses
            .get(family)
            .copied()
            .context("no such family")
    }

    /// Answers to the pod go by that node.
    fn answer(&self, lab: &Lab, pod: &RunningPod, node: &str) -> Result<()> {
        let by = lab.node(node)?.addresses();
        let routes = pod.addresses.iter().map(|(family, address)| {
            let by = by.get(family).context("no such family")?;
            Ok(format!("route replace {address} via {by}"))
        });
        self.netns.ip(routes.collect::<Result<Vec<_>>>()?)
    }

    /// Whom the gateway sees when the pod connects to a host behind it.
    fn connect(&self, pod: &RunningPod, family: IpFamily, to: &str) -> Result<IpAddr> {
        let to: DualStack<IpAddr> = to.parse()?;
        let to = *to.get(family).context("no such family")?;
        let listener = self.listeners.get(family).context("no such family")?;
        let peer = SocketAddr::new(to, listener.local_addr()?.port());
        listener.set_nonblocking(true)?;
        // one whose client gave up
        while listener.accept().is_ok() {}
        listener.set_nonblocking(false)?;
        let connect = || Ok(TcpStream::connect_timeout(&peer, CONNECT)?);
        let stream = pod.netns().run(connect)?;
        let (_, seen) = listener.accept()?;
        drop(stream);
        Ok(seen.ip())
    }

    /// The pod reaches the host, and is seen with its own address.
    async fn sees(&self, pod: &RunningPod, family: IpFamily, to: &str) -> Result<()> {
        let own = pod.address(family)?;
        wait_until("the gateway sees the pod", PATIENCE, async || {
            let seen = self.connect(pod, family, to)?;
            ensure!(seen == own, "it sees {seen}");
            Ok(())
        })
        .await
    }

    /// A host on the nodes' own link is reached by the gateway as well.
    async fn sees_on_link(&self, lab: &Lab, pod: &RunningPod) -> Result<()> {
        let on_link = lab.families().host(MANAGEMENT, 150);
        let behind = on_link.values();
        self.netns
            .ip(behind.map(|it| format!("address add {it} dev lo")))?;
        for family in lab.families().all() {
            self.sees(pod, *family, &on_link.to_string()).await?;
        }
        Ok(())
    }
}

/// Other pods of the same and another subnet, nodes, and what the node's own translation of services
/// leads to a pod.
async fn stays_in_the_cluster(
    lab: &Lab,
    cluster: &Cluster<'_>,
    a: &RunningPod,
    b: &RunningPod,
) -> Result<()> {
    let c = cluster.run_pod(pod("c"), "n2").await?;
    for family in lab.families().all() {
        for peer in [b, &c] {
            tcp(a.netns(), peer.netns(), peer.address(*family)?, SMALL)?;
        }
        for node in lab.nodes() {
            let address = *node.addresses().get(*family).context("no such family")?;
            wait_for_ping(a.netns(), address, PATIENCE).await?;
        }
        let listener = listen(c.netns(), *family)?;
        let port = listener.local_addr()?.port();
        let (word, bracketed) = match c.address(*family)? {
            IpAddr::V4(address) => ("ip", address.to_string()),
            IpAddr::V6(address) => ("ip6", format!("[{address}]")),
        };
        let node = lab.node("n1")?;
        node.netns().nft(&format!(
            "add table inet proxy
             add chain inet proxy services {{ type nat hook prerouting priority dstnat; }}
             add rule inet proxy services tcp dport 30080 dnat {word} to {bracketed}:{port}",
        ))?;
        let own = *node.addresses().get(*family).context("no such family")?;
        tcp_to(a.netns(), &listener, SocketAddr::new(own, 30080), SMALL)?;
        node.netns().nft("delete table inet proxy")?;
    }
    Ok(())
}

/// Rule, table and packets are on the first node, and nothing of them on the second.
async fn is_led_by(
    lab: &Lab,
    gateway: &Gateway,
    pod: &RunningPod,
    (here, elsewhere): (&str, &str),
) -> Result<()> {
    gateway.answer(lab, pod, here)?;
    for (family, cidr) in networks(lab) {
        rules_are(lab, here, family, &[&format!("from {cidr} lookup 1001")]).await?;
        rules_are(lab, elsewhere, family, &[]).await?;
        let via = format!("default via {} ", gateway.address(family)?);
        ensure!(table(lab, here, family)?.starts_with(&via), "no route");
        ensure!(
            table(lab, elsewhere, family)?.is_empty(),
            "a route elsewhere"
        );
        gateway.sees(pod, family, FAR).await?;
    }
    Ok(())
}

async fn changed_gateway(lab: &Lab, pod: &RunningPod, other: &Gateway) -> Result<()> {
    edit(lab, redirect(other)).await?;
    let begun = Instant::now();
    for family in lab.families().all() {
        let via = format!("default via {} ", other.address(*family)?);
        wait_until(
            "there is another route",
            Duration::from_secs(3),
            async || {
                let table = table(lab, "n1", *family)?;
                ensure!(table.starts_with(&via), "there is {table}");
                Ok(())
            },
        )
        .await?;
    }
    tell(format_args!(
        "b5c: another gateway after {:?}",
        begun.elapsed()
    ))?;
    for family in lab.families().all() {
        other.sees(pod, *family, FAR).await?;
    }
    Ok(())
}

async fn deleted_pod(lab: &Lab, pod: &RunningPod) -> Result<()> {
    let address = pod.address(IpFamily::V4)?;
    rule_of(lab, address, true).await?;
    pod.sandbox.del()?;
    lab.api_server()?.delete_pod(&pod.object).await?;
    let begun = Instant::now();
    rule_of(lab, address, false).await?;
    let took = begun.elapsed();
    tell(format_args!(
        "b5c: the rule of a deleted pod was gone after {took:?}"
    ))?;
    ensure!(took < Duration::from_secs(2), "it took {took:?}");
    Ok(())
}

async fn rule_of(lab: &Lab, address: IpAddr, is_there: bool) -> Result<()> {
    let rule = format!("from {address} lookup 1001");
    wait_until("the pod's rule comes or goes", PATIENCE, async || {
        let rules = rules(lab, "n1", IpFamily::V4)?;
        ensure!(rules.contains(&rule) == is_there, "there are {rules:?}");
        Ok(())
    })
    .await
}

async fn changed_while_the_daemon_is_down(
    lab: &Lab,
    cluster: &mut Cluster<'_>,
    pod: &RunningPod,
    gateway: &Gateway,
) -> Result<()> {
    let node = lab.node("n1")?;
    cluster.kill_daemon(node);
    let mut spec = redirect(gateway);
    spec["policyRoutingPriority"] = json!(900);
    spec["policyRoutingTableID"] = json!(902);
    edit(lab, spec).await?;
    cluster.start_daemon(node)?;
    cluster.ready().await?;
    for family in lab.families().all() {
        let address = pod.address(*family)?;
        wait_until("rules are the new ones", PATIENCE, async || {
            let all = ours(lab, "n1", *family)?;
            let new = format!("900: from {address} lookup 902 proto 75");
            ensure!(all.len() == 2 && all.contains(&new), "there are {all:?}");
            ensure!(
                table(lab, "n1", *family)?.is_empty(),
                "the old table is left"
            );
            Ok(())
        })
        .await?;
        gateway.sees(pod, *family, FAR).await?;
    }
    edit(lab, redirect(gateway)).await
}

/// A subnet whose traffic is translated by one node.
async fn translated(lab: &Lab) -> Result<()> {
    let spec = json!({
        "cidrBlock": "10.72.0.0/16,fd00:72::/64",
        "gatewayType": "centralized", "gatewayNode": "n1", "natOutgoing": true,
    });
    subnets::create(lab, TRANSLATED, spec).await?;
    wait_until("the node translates", PATIENCE, async || {
        let nft = lab.node("n1")?.netns().command("nft");
        let ruleset = nft.args(["list", "ruleset"]).read()?;
        for network in ["10.72.0.0/16", "fd00:72::/64"] {
            ensure!(ruleset.contains(network), "nothing of {network}");
        }
        Ok(())
    })
    .await
}

async fn a_single_gateway_is_for_its_family(
    lab: &Lab,
    pod: &RunningPod,
    gateway: &Gateway,
) -> Result<()> {
    let v6 = gateway.address(IpFamily::V6)?;
    edit(lab, json!({"externalEgressGateway": v6.to_string()})).await?;
    wait_until("IPv4 has no rule", PATIENCE, async || {
        let left = ours(lab, "n1", IpFamily::V4)?;
        ensure!(left.is_empty(), "there are {left:?}");
        Ok(())
    })
    .await?;
    gateway.sees(pod, IpFamily::V6, FAR).await?;
    let lost = gateway.connect(pod, IpFamily::V4, FAR);
    ensure!(lost.is_err(), "IPv4 still goes to the gateway");
    Ok(())
}

/// Those of the subnet.
fn networks(lab: &Lab) -> impl Iterator<Item = (IpFamily, &'static str)> {
    let families = lab.families().all().iter();
    families.map(|family| match family {
        IpFamily::V4 => (IpFamily::V4, "10.71.0.0/16"),
        IpFamily::V6 => (IpFamily::V6, "fd00:71::/64"),
    })
}

fn redirect(gateway: &Gateway) -> Value {
    json!({
        "externalEgressGateway": gateway.addresses.to_string(),
        "policyRoutingPriority": 1001, "policyRoutingTableID": 1001,
    })
}

/// The subnet, redirected to the gateway, with these fields besides.
async fn create(lab: &Lab, gateway: &Gateway, more: Value) -> Result<()> {
    let mut spec = redirect(gateway);
    let fields = spec.as_object_mut().context("an object")?;
    let cidrs: Vec<&str> = networks(lab).map(|(_, cidr)| cidr).collect();
    fields.insert("cidrBlock".to_owned(), json!(cidrs.join(",")));
    fields.extend(more.as_object().context("an object")?.clone());
    subnets::create(lab, NAME, spec).await?;
    valid(lab, "True", "").await
}

async fn run_pod(cluster: &Cluster<'_>, name: &str, node: &str) -> Result<RunningPod> {
    let pod = pod(name).annotation(LOGICAL_SWITCH, NAME);
    cluster.run_pod(pod, node).await
}

async fn edit(lab: &Lab, spec: Value) -> Result<()> {
    subnets::edit(lab, NAME, spec).await
}

/// The condition Validated of the subnet becomes so.
async fn valid(lab: &Lab, status: &str, words: &str) -> Result<()> {
    wait_until(
        "the subnet says whether it is valid",
        PATIENCE,
        async || {
            let subnet = subnets::all(lab)?.get(NAME).await?;
            let conditions = subnet.status.unwrap_or_default().conditions;
            let valid = conditions.into_iter().find(|it| it.type_ == "Validated");
            let valid = valid.context("nothing is said yet")?;
            let is_so = valid.status == status && valid.message.contains(words);
            ensure!(is_so, "it says {}: {}", valid.status, valid.message);
            Ok(())
        },
    )
    .await
}

fn ip(lab: &Lab, node: &str, family: IpFamily, arguments: &[&str]) -> Result<String> {
    let family = match family {
        IpFamily::V4 => "-4",
        IpFamily::V6 => "-6",
    };
    let ip = lab.node(node)?.netns().command("ip");
    ip.arg(family).args(arguments.iter().copied()).read()
}

/// The rules that bear our protocol number, as `ip` prints them.
fn ours(lab: &Lab, node: &str, family: IpFamily) -> Result<Vec<String>> {
    let text = ip(lab, node, family, &["rule", "show"])?;
    let lines = text.lines().filter(|line| line.contains("proto 75"));
    let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(lines.collect())
}

/// What the rules with the subnet's priority say.
fn rules(lab: &Lab, node: &str, family: IpFamily) -> Result<Vec<String>> {
    let all = ours(lab, node, family)?;
    let own = all.iter().filter_map(|line| line.strip_prefix("1001: "));
    let own = own.map(|line| line.trim_end_matches(" proto 75").to_owned());
    Ok(own.collect())
}

async fn rules_are(lab: &Lab, node: &str, family: IpFamily, expected: &[&str]) -> Result<()> {
    wait_until("the rules are as expected", PATIENCE, async || {
        let rules = rules(lab, node, family)?;
        ensure!(
            rules == expected,
            "{node} has {rules:?} and not {expected:?}"
        );
        Ok(())
    })
    .await
}

/// The routes of the subnet's table.
fn table(lab: &Lab, node: &str, family: IpFamily) -> Result<String> {
    let ip = match family {
        IpFamily::V4 => "-4",
        IpFamily::V6 => "-6",
    };
    let show = lab.node(node)?.netns().command("ip");
    let shown = show.args([ip, "route", "show", "table", "1001"]).finish()?;
    // there is no such table before somebody writes into it
    Ok(shown.stdout.trim().to_owned())
}

/// All that the daemons could change on the nodes.
fn state(lab: &Lab) -> Result<Vec<String>> {
    let mut state = Vec::new();
    for node in lab.nodes() {
        let (name, netns) = (node.name(), node.netns());
        for family in lab.families().all() {
            state.push(ip(lab, name, *family, &["rule", "show"])?);
            state.push(ip(lab, name, *family, &["route", "show", "table", "all"])?);
        }
        let ruleset = netns.command("nft").args(["list", "ruleset"]).read()?;
        let settings = netns.command("sysctl").args(["-a", "--pattern", "^net\\."]);
        let settings = settings.read()?;
        // it counts
        let settings = settings
            .lines()
            .filter(|it| !it.contains("nf_conntrack_count"));
        state.push(ruleset);
        state.push(settings.collect::<Vec<_>>().join("\n"));
    }
    let lines = state.iter().flat_map(|text| text.lines());
    // the kernel gives a link this address some time after it is made
    let lines = lines.filter(|line| !line.contains("fe80::"));
    Ok(lines.map(|line| line.trim().to_owned()).collect())
}

/// The state once it is the same twice in a row.
async fn settled(lab: &Lab) -> Result<Vec<String>> {
    let mut last = Vec::new();
    wait_until("the nodes are settled", PATIENCE, async || {
        let now = state(lab)?;
        let is_same = now == last;
        last.clone_from(&now);
        ensure!(is_same, "it still changes");
        Ok(now)
    })
    .await
}

fn difference(before: &[String], after: &[String]) -> String {
    let gone = before.iter().filter(|line| !after.contains(line));
    let new = after.iter().filter(|line| !before.contains(line));
    let gone = gone.map(|line| format!("- {line}"));
    let all: Vec<String> = gone.chain(new.map(|line| format!("+ {line}"))).collect();
    all.join("\n")
}
