//! What we believe about OVN, Open vSwitch and the kernel, each proved on the real parts. The
//! daemon and the controller rest on these facts; none of our own programs runs here.

#![cfg(test)]

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::Result;
use model::IpFamily;
use testkit::{
    Families, Lab, LabOptions, Netns, OvnVersion, Wired, lab,
    node::{Node, TUNNEL_BRIDGE},
    traffic::{LARGE, SMALL, listen, ping, tcp, tcp_to, wait_for_ping},
    wait_until,
    wired::TxOffload,
};

const PATIENCE: Duration = Duration::from_secs(10);
/// The tunnel address of the second node.
const N2_TUNNEL: &str = "10.201.0.12";

/// One switch `s` with two ports.
const SWITCH: &str = "
    ls-add s
    lsp-add s a
    lsp-set-addresses a 00:00:00:00:01:01
    lsp-add s b
    lsp-set-addresses b 00:00:00:00:01:02
";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_veth_into_a_netdev_bridge_needs_tx_offload_off_for_tcp_but_not_for_ping() {
    lab::run(LabOptions::on(OvnVersion::V25_03).nodes(1), async |lab| {
        lab.nb(SWITCH)?;
        let a = Wired::attach(lab, "n1", "a", ip("10.1.0.11")).await?;
        let b = Wired::attach(lab, "n1", "b", ip("10.1.0.12")).await?;

        a.set_tx_offload(TxOffload::On)?;
        assert_eq!(ping(a.netns(), b.address())?.received, 3);
        assert!(tcp(a.netns(), b.netns(), b.address(), SMALL).is_err());

        a.set_tx_offload(TxOffload::Off)?;
        assert_eq!(ping(a.netns(), b.address())?.received, 3);
        tcp(a.netns(), b.netns(), b.address(), SMALL)
    });
}

#[test]
fn pods_on_two_nodes_reach_each_other_on_ovn_23_03() {
    two_pods_across_geneve(OvnVersion::V23_03, Families::V4, "10.1.0.11", "10.1.0.12");
}

#[test]
fn pods_on_two_nodes_reach_each_other_on_ovn_25_03() {
    two_pods_across_geneve(OvnVersion::V25_03, Families::V4, "10.1.0.11", "10.1.0.12");
}

#[test]
fn pods_on_two_nodes_reach_each_other_over_ipv6_tunnels() {
    two_pods_across_geneve(OvnVersion::V25_03, Families::V6, "fd00:1::11", "fd00:1::12");
}

fn two_pods_across_geneve(
    version: OvnVersion,
    families: Families,
    first: &'static str,
    second: &'static str,
) {
    lab::run(
        LabOptions::on(version).families(families),
        async move |lab| {
            lab.nb(SWITCH)?;
            let a = Wired::attach(lab, "n1", "a", ip(first)).await?;
            let b = Wired::attach(lab, "n2", "b", ip(second)).await?;
            wait_for_ping(a.netns(), b.address(), PATIENCE).await?;
            assert_eq!(ping(a.netns(), b.address())?.received, 3);
            tcp(a.netns(), b.netns(), b.address(), SMALL)?;
            tcp(b.netns(), a.netns(), a.address(), LARGE)
        },
    );
}

#[test]
fn the_kernel_answers_a_second_time_on_a_nic_of_a_netdev_bridge_unless_ingress_drops() {
    lab::run(LabOptions::on(OvnVersion::V25_03), async |lab| {
        let (n1, n2) = (lab.node("n1")?.netns(), lab.node("n2")?.netns());
        let tunnel = ip(N2_TUNNEL);
        wait_for_ping(n1, tunnel, PATIENCE).await?;
        let silenced = ping(n1, tunnel)?;
        assert_eq!((silenced.received, silenced.duplicates), (3, 0));

        n2.nft("delete table netdev lab")?;
        let heard_twice = ping(n1, tunnel)?;
        assert_eq!(heard_twice.received, 3);
        assert!(heard_twice.duplicates > 0, "{heard_twice:?}");
        Ok(())
    });
}

#[test]
fn a_forward_chain_that_drops_by_policy_is_opened_only_by_a_rule_of_its_own() -> Result<()> {
    let router = Netns::create("router")?;
    let (a, b) = (Netns::create("a")?, Netns::create("b")?);
    for (netns, network) in [(&a, 1), (&b, 2)] {
        router.ip([
            format!(
                "link add to{network} up type veth peer name eth0 netns {}",
                netns.name()
            ),
            format!("address add 10.1.{network}.1/24 dev to{network}"),
        ])?;
        netns.ip([
            format!("address add 10.1.{network}.2/24 dev eth0"),
            "link set eth0 up".to_owned(),
            format!("route add default via 10.1.{network}.1"),
        ])?;
    }
    router
        .command("sysctl")
        .args(["-w", "net.ipv4.ip_forward=1"])
        .read()?;
    let b_address = ip("10.1.2.2");
    assert_eq!(ping(&a, b_address)?.received, 3);

    // as iptables-nft writes `iptables -P FORWARD DROP`
    router.nft(
        "add table ip filter
         add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
    )?;
    for priority in [-10, 10] {
        router.nft(&format!(
            "add table inet ours
             add chain inet ours forward {{ type filter hook forward priority {priority}; }}
             add rule inet ours forward accept"
        ))?;
        assert_eq!(
            ping(&a, b_address)?.received,
            0,
            "accepted at priority {priority}"
        );
        router.nft("delete table inet ours")?;
    }

    router.nft("add rule ip filter FORWARD accept comment \"kube-ovn\"")?;
    assert_eq!(ping(&a, b_address)?.received, 3);
    Ok(())
}

#[test]
fn taps_and_their_addresses_survive_a_killed_vswitchd_on_23_03() {
    killed_vswitchd(OvnVersion::V23_03);
}

#[test]
fn taps_and_their_addresses_survive_a_killed_vswitchd_on_25_03() {
    killed_vswitchd(OvnVersion::V25_03);
}

fn killed_vswitchd(version: OvnVersion) {
    lab::run(LabOptions::on(version), async |lab| {
        wait_for_ping(lab.node("n1")?.netns(), ip(N2_TUNNEL), PATIENCE).await?;
        let n2 = lab.node("n2")?;
        n2.kill_vswitchd()?;
        let left = addresses(n2)?;
        assert!(
            left.contains(N2_TUNNEL) && left.contains("NO-CARRIER"),
            "{left}"
        );

        n2.start_vswitchd()?;
        wait_for_ping(lab.node("n1")?.netns(), ip(N2_TUNNEL), PATIENCE).await
    });
}

#[test]
fn taps_and_their_addresses_vanish_when_vswitchd_cleans_up_and_come_back_bare() {
    lab::run(LabOptions::on(OvnVersion::V25_03), async |lab| {
        wait_for_ping(lab.node("n1")?.netns(), ip(N2_TUNNEL), PATIENCE).await?;
        let n2 = lab.node("n2")?;
        n2.appctl(["exit", "--cleanup"])?;
        n2.kill_vswitchd()?;
        assert!(addresses(n2).is_err(), "the tap outlived vswitchd");

        n2.start_vswitchd()?;
        let bare = wait_until("the tap is back", PATIENCE, async || addresses(n2)).await?;
        assert!(!bare.contains(N2_TUNNEL), "{bare}");

        n2.restore_tunnel_address().await?;
        wait_for_ping(lab.node("n1")?.netns(), ip(N2_TUNNEL), PATIENCE).await
    });
}

fn addresses(node: &Node) -> Result<String> {
    node.netns()
        .command("ip")
        .args(["-4", "address", "show", "dev", TUNNEL_BRIDGE])
        .read()
}

#[test]
fn an_internal_port_moves_into_the_namespace_of_a_pod() {
    lab::run(LabOptions::on(OvnVersion::V25_03).nodes(1), async |lab| {
        lab.nb(SWITCH)?;
        let b = Wired::attach(lab, "n1", "b", ip("10.1.0.12")).await?;
        let (node, pod) = (lab.node("n1")?, Netns::create("internal")?);
        node.vs("add-port br-int a
             set Interface a type=internal external_ids:iface-id=a")?;
        let moved = [format!("link set dev a netns {}", pod.name())];
        wait_until("the port moves", PATIENCE, async || node.netns().ip(&moved)).await?;
        pod.ip([
            "link set dev a address 00:00:00:00:01:01 mtu 1400 up",
            "address add 10.1.0.11/24 dev a",
        ])?;
        wait_for_ping(&pod, b.address(), PATIENCE).await?;
        tcp(&pod, b.netns(), b.address(), LARGE)
    });
}

/// Two switches behind a router: `a` and `c` in the first, `b` in the second.
const ROUTED: &str = "
    lr-add r
    lrp-add r r-s1 00:00:00:00:00:01 10.1.1.1/24
    lrp-add r r-s2 00:00:00:00:00:02 10.1.2.1/24
    ls-add s1
    lsp-add s1 s1-r
    lsp-set-type s1-r router
    lsp-set-addresses s1-r router
    lsp-set-options s1-r router-port=r-s1
    ls-add s2
    lsp-add s2 s2-r
    lsp-set-type s2-r router
    lsp-set-addresses s2-r router
    lsp-set-options s2-r router-port=r-s2
    lsp-add s1 a
    lsp-set-addresses a '00:00:00:00:01:01 10.1.1.11'
    lsp-add s1 c
    lsp-set-addresses c '00:00:00:00:01:03 10.1.1.13'
    lsp-add s2 b
    lsp-set-addresses b '00:00:00:00:01:02 10.1.2.12'
";

#[test]
fn a_vip_and_an_allow_related_acl_work_on_userspace_conntrack_on_23_03() {
    vip_and_acl(OvnVersion::V23_03);
}

#[test]
fn a_vip_and_an_allow_related_acl_work_on_userspace_conntrack_on_25_03() {
    vip_and_acl(OvnVersion::V25_03);
}

fn vip_and_acl(version: OvnVersion) {
    lab::run(LabOptions::on(version), async |lab| {
        lab.nb(ROUTED)?;
        let a = Wired::attach(lab, "n1", "a", ip("10.1.1.11")).await?;
        let b = Wired::attach(lab, "n2", "b", ip("10.1.2.12")).await?;
        let c = Wired::attach(lab, "n1", "c", ip("10.1.1.13")).await?;
        wait_for_ping(a.netns(), b.address(), PATIENCE).await?;

        let backend = listen(b.netns(), IpFamily::V4)?;
        let vip = SocketAddr::new(ip("10.96.0.10"), 80);
        let port = backend.local_addr()?.port();
        lab.nb(&format!(
            "lb-add vip {vip} {}:{port} tcp
             ls-lb-add s1 vip",
            b.address()
        ))?;
        lab.sync()?;
        tcp_to(a.netns(), &backend, vip, SMALL)?;
        tcp_to(c.netns(), &backend, vip, LARGE)?;

        lab.nb(
            "acl-add s2 to-lport 1000 'ip4.src == 10.1.1.11' allow-related
             acl-add s2 to-lport 900 ip4 drop",
        )?;
        lab.sync()?;
        tcp_to(a.netns(), &backend, vip, SMALL)?;
        assert!(
            tcp_to(c.netns(), &backend, vip, SMALL).is_err(),
            "c is not allowed"
        );
        Ok(())
    });
}

/// Two nodes on `join`, each with `ovn0`; a pod whose way out is the slot 100.64.0.100.
const SLOTS: &str = "
    lr-add r
    lrp-add r r-s 00:00:00:00:00:01 10.1.0.1/16
    lrp-add r r-join 00:00:00:00:00:02 100.64.0.1/16
    lr-route-add r 0.0.0.0/0 100.64.0.1
    lr-policy-add r 29000 'ip4.src == 10.1.0.0/16' reroute 100.64.0.100
    lr-policy-add r 31000 'ip4.dst == {10.1.0.0/16, 100.64.0.0/16}' allow
    ls-add s
    lsp-add s s-r
    lsp-set-type s-r router
    lsp-set-addresses s-r router
    lsp-set-options s-r router-port=r-s
    lsp-add s a
    lsp-set-addresses a '00:00:00:00:01:01 10.1.0.11'
    ls-add join
    lsp-add join join-r
    lsp-set-type join-r router
    lsp-set-addresses join-r router
    lsp-set-options join-r router-port=r-join
    lsp-add join node-n1
    lsp-set-addresses node-n1 '00:00:00:00:02:01 100.64.0.11 100.64.0.100'
    lsp-add join node-n2
    lsp-set-addresses node-n2 '00:00:00:00:02:02 100.64.0.12'
";
const MOVE_SLOT: &str = "
    lsp-set-addresses node-n1 '00:00:00:00:02:01 100.64.0.11'
    lsp-set-addresses node-n2 '00:00:00:00:02:02 100.64.0.12 100.64.0.100'
";
/// An address outside, which both gateways hold so that each can answer for it.
const OUTSIDE: &str = "203.0.113.9";

#[test]
fn a_slot_moved_between_two_nodes_redirects_traffic_without_a_recompute() {
    lab::run(LabOptions::on(OvnVersion::V25_03), async |lab| {
        lab.nb(SLOTS)?;
        let gateways = [gateway(lab, "n1", 1).await?, gateway(lab, "n2", 2).await?];
        let pod = Wired::attach(lab, "n1", "a", ip("10.1.0.11")).await?;
        lab.sync()?;
        let [first, second] = gateways;
        let port = first.local_addr()?.port();
        wait_for_ping(pod.netns(), ip(OUTSIDE), PATIENCE).await?;
        tcp_to(
            pod.netns(),
            &first,
            SocketAddr::new(ip(OUTSIDE), port),
            SMALL,
        )?;

        let before = recomputes(lab)?;
        lab.nb(MOVE_SLOT)?;
        lab.sync()?;
        let port = second.local_addr()?.port();
        tcp_to(
            pod.netns(),
            &second,
            SocketAddr::new(ip(OUTSIDE), port),
            SMALL,
        )?;
        assert_eq!(recomputes(lab)?, before, "northd recomputed everything");
        Ok(())
    });
}

/// Makes `ovn0` of a node, and listens there on the address outside.
async fn gateway(lab: &Lab, node: &str, number: u8) -> Result<std::net::TcpListener> {
    let node = lab.node(node)?;
    node.vs(&format!(
        "add-port br-int ovn0
         set Interface ovn0 type=internal mac=\"00:00:00:00:02:0{number}\" mtu_request=1400 \
         external_ids:iface-id=node-n{number}"
    ))?;
    let commands = [
        "link set ovn0 up".to_owned(),
        format!("address replace 100.64.0.1{number}/16 dev ovn0"),
        "route replace 10.1.0.0/16 via 100.64.0.1".to_owned(),
        format!("address replace {OUTSIDE}/32 dev lo"),
    ];
    wait_until("ovn0 is there", PATIENCE, async || {
        node.netns().ip(&commands)
    })
    .await?;
    listen(node.netns(), IpFamily::V4)
}

/// How often northd and its flow generation were computed as a whole.
fn recomputes(lab: &Lab) -> Result<[String; 2]> {
    let count = |engine| {
        let arguments = ["inc-engine/show-stats", engine, "recompute"];
        lab.central().northd_appctl(arguments)
    };
    Ok([count("northd")?, count("lflow")?])
}
