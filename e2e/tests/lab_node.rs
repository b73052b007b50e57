//! What the daemon makes of a node as an administrator leaves it: tunnels, translation, passage.
#![cfg(test)]

use std::{
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use assets::versions::GRPCURL;
use model::IpFamily;
use testkit::{
    Cluster, Families, Lab, LabOptions, Netns, Node, OvnVersion, RunningPod,
    command::Invocation,
    lab::{self, PATIENCE},
    node::{TUNNEL_BRIDGE, TUNNEL_NIC},
    objects::pod,
    traffic::{LARGE, listen, ping, tcp, wait_for_ping},
    wait_until,
};

const OPTIONS: LabOptions = bare(OvnVersion::V25_03);

const fn bare(version: OvnVersion) -> LabOptions {
    LabOptions::on(version)
        .families(Families::Dual)
        .with_api_server()
        .bare_nodes()
}

#[test]
fn a3a_pods_reach_each_other_over_the_link_that_the_daemon_took_over_on_23_03() {
    pods_reach_each_other(OvnVersion::V23_03);
}

#[test]
fn a3a_pods_reach_each_other_over_the_link_that_the_daemon_took_over_on_25_03() {
    pods_reach_each_other(OvnVersion::V25_03);
}

fn pods_reach_each_other(version: OvnVersion) {
    lab::run(bare(version), async |lab| {
        let mut cluster = Cluster::start(lab).await?;
        let (a, b) = two_pods(&cluster).await?;
        reach_each_other(lab, &a, &b).await?;
        for node in lab.nodes() {
            is_taken_over(node)?;
        }

        let node = lab.node("n1")?;
        node.kill_vswitchd()?;
        node.start_vswitchd()?;
        reach_each_other(lab, &a, &b).await?;
        is_taken_over(node)?;

        // as if the daemon had died between two addresses
        cluster.kill_daemon(node);
        let first = node.tunnel_addresses().v4.context("no IPv4")?;
        node.netns().ip([
            format!("address flush dev {TUNNEL_BRIDGE} scope global"),
            format!("address add {first}/24 dev {TUNNEL_NIC}"),
        ])?;
        cluster.start_daemon(node)?;
        cluster.ready().await?;
        is_taken_over(node)?;
        reach_each_other(lab, &a, &b).await
    });
}

#[test]
fn what_the_daemon_put_on_a_node_is_taken_away_and_the_link_gets_back_what_it_had() {
    lab::run(OPTIONS.nodes(1), async |lab| {
        let node = lab.node("n1")?;
        node.netns().nft(
            "add table ip filter
             add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
        )?;
        let far = "10.9.0.0/16 via 10.201.0.254";
        node.netns().ip([format!("route add {far}")])?;
        let before = (addresses(node, TUNNEL_NIC)?, ruleset(node)?);
        let mut cluster = Cluster::start(lab).await?;
        is_taken_over(node)?;
        assert!(route_to(node, "10.9.0.0/16")?.contains(TUNNEL_BRIDGE));
        assert!(ruleset(node)?.contains("comment \"kube-ovn\""));

        for _ in 0..2 {
            cluster.uninstall_daemon(node)?;
            assert_eq!((addresses(node, TUNNEL_NIC)?, ruleset(node)?), before);
            assert_eq!(node.vsctl(["list-br"])?, "br-int");
            let routes = node.netns().command("ip");
            let routes = routes.args(["route", "show", "proto", "75"]).read()?;
            assert_eq!(routes, "");
            assert!(route_to(node, "10.9.0.0/16")?.starts_with(&format!("{far} dev {TUNNEL_NIC}")));
        }
        Ok(())
    });
}

#[test]
fn the_link_to_the_api_server_is_refused_and_left_alone() {
    lab::run(OPTIONS.nodes(1), async |lab| {
        let mut cluster = Cluster::start_without_daemons(lab).await?;
        let node = lab.node("n1")?;
        cluster.start_daemon_with(node, &["--iface=eth0".to_owned()])?;
        wait_until("the daemon refuses eth0", PATIENCE, async || {
            let error = cluster.ask_daemon(node).unwrap_err().to_string();
            ensure!(error.contains("name another link in --iface"), "{error}");
            Ok(())
        })
        .await?;
        let bridges = node.vsctl(["list-br"])?;
        assert_eq!(bridges, "br-int");
        Ok(())
    });
}

#[test]
fn pods_leave_the_cluster_by_their_nodes_address_also_where_forwarding_drops() {
    lab::run(OPTIONS, async |lab| {
        let cluster = Cluster::start(lab).await?;
        let (outside, addresses) = lab.outside()?;
        let (a, b) = two_pods(&cluster).await?;
        for family in lab.families().all() {
            let to = *addresses.get(*family).context("no such family")?;
            for (pod, node) in [(&a, "n1"), (&b, "n2")] {
                leaves_as(lab.node(node)?, pod.netns(), &outside, to).await?;
            }
        }

        let node = lab.node("n1")?;
        node.netns().nft(
            "add table inet strict
             add chain inet strict forward { type filter hook forward priority 0; policy drop; }
             add chain inet strict input { type filter hook input priority 0; policy drop; }
             add rule inet strict input iifname { lo, eth0 } accept",
        )?;
        for family in lab.families().all() {
            let to = *addresses.get(*family).context("no such family")?;
            leaves_as(node, a.netns(), &outside, to).await?;
            let own = *node.addresses().get(*family).context("no such family")?;
            wait_for_ping(a.netns(), own, PATIENCE).await?;
        }
        Ok(())
    });
}

#[test]
fn the_daemon_shows_what_a_node_should_be_like_and_what_it_is() {
    lab::run(OPTIONS.nodes(1), async |lab| {
        let mut cluster = Cluster::start(lab).await?;
        let node = lab.node("n1")?;
        wait_until("all is as desired", PATIENCE, async || {
            let plan = debug(node, "Plan", "{}")?;
            ensure!(plan.is_empty(), "there is {plan}");
            Ok(())
        })
        .await?;
        let dump = debug(node, "Dump", r#"{"owners": ["node/n1"]}"#)?;
        for row in [
            "link ovn0",
            "route 10.16.0.0/16",
            "set nat6",
            "sysctl net/ipv4",
        ] {
            assert_eq!(dump.matches(row).count(), 2, "{row}: {dump}");
        }
        let unknown = debug(node, "Dump", r#"{"owners": ["node/n9"]}"#).unwrap_err();
        assert!(
            unknown.to_string().contains("there is node/n1"),
            "{unknown}"
        );
        let explained = debug(node, "Explain", r#"{"name": "set nat4"}"#)?;
        assert!(explained.contains("STANDING_SETTLED"), "{explained}");

        cluster.kill_daemon(node);
        assert!(debug(node, "Plan", "{}").is_err());
        Ok(())
    });
}

/// What the daemon's Debug service answers to a generic client.
fn debug(node: &Node, method: &str, request: &str) -> Result<String> {
    Invocation::new(assets::go_tool(GRPCURL)?)
        .args(["-plaintext", "-d", request, "-unix"])
        .arg(node.directory().join("daemon.sock"))
        .arg(format!("debug.v1.Debug/{method}"))
        .read()
}

async fn two_pods(cluster: &Cluster<'_>) -> Result<(RunningPod, RunningPod)> {
    let a = cluster.run_pod(pod("a"), "n1").await?;
    let b = cluster.run_pod(pod("b"), "n2").await?;
    Ok((a, b))
}

async fn reach_each_other(lab: &Lab, a: &RunningPod, b: &RunningPod) -> Result<()> {
    for family in lab.families().all() {
        let (to_a, to_b) = (a.address(*family)?, b.address(*family)?);
        wait_for_ping(a.netns(), to_b, PATIENCE).await?;
        let echoes = ping(b.netns(), to_a)?;
        assert_eq!((echoes.received, echoes.duplicates), (3, 0));
        tcp(b.netns(), a.netns(), to_a, LARGE)?;
    }
    Ok(())
}

/// The bridge has the link's addresses and MAC, the link has none, and OVN knows.
fn is_taken_over(node: &Node) -> Result<()> {
    let bridge = addresses(node, TUNNEL_BRIDGE)?;
    for address in node.tunnel_addresses().values() {
        let is_its = |network: &String| network.starts_with(&format!("{address}/"));
        assert!(bridge.iter().any(is_its), "{bridge:?}");
    }
    assert_eq!(addresses(node, TUNNEL_NIC)?, [""; 0]);
    let encap = node.vsctl(["get", "Open_vSwitch", ".", "external_ids:ovn-encap-ip"])?;
    let first = node.tunnel_addresses().values().next();
    assert_eq!(encap.trim_matches('"'), first.context("none")?.to_string());
    let mtu = node.vsctl(["get", "Interface", "ovn0", "mtu"])?;
    assert_eq!(mtu, "1400");
    Ok(())
}

/// The addresses of the link, each with its prefix length.
fn addresses(node: &Node, link: &str) -> Result<Vec<String>> {
    let ip = node.netns().command("ip");
    let list = ip
        .args(["-brief", "address", "show", "dev", link, "scope", "global"])
        .read()?;
    let words = list.split_whitespace();
    let addresses = words.filter(|word| word.contains('/'));
    Ok(addresses.map(str::to_owned).collect())
}

fn route_to(node: &Node, destination: &str) -> Result<String> {
    let ip = node.netns().command("ip");
    ip.args(["route", "show", destination]).read()
}

fn ruleset(node: &Node) -> Result<String> {
    node.netns().command("nft").args(["list", "ruleset"]).read()
}

/// Connects from the pod to `to` outside, which sees the node's address.
async fn leaves_as(node: &Node, pod: &Netns, outside: &Netns, to: IpAddr) -> Result<()> {
    let family = IpFamily::of(to);
    let listener = listen(outside, family)?;
    let peer = SocketAddr::new(to, listener.local_addr()?.port());
    let what = format!("{} reaches {to}", pod.name());
    let limit = Duration::from_secs(1);
    let stream = wait_until(&what, PATIENCE, async || {
        pod.run(|| Ok(TcpStream::connect_timeout(&peer, limit)?))
    })
    .await?;
    let (_, seen) = listener.accept()?;
    drop(stream);
    let own = node.addresses().get(family).context("no such family")?;
    assert_eq!(seen.ip(), *own);
    Ok(())
}
