//! Every domain against the kernel, in namespaces that the test makes: apply, observe, equal;
//! again, no change; tear down, as before.

#![expect(
    clippy::expect_used,
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "the whole file is tests"
)]

use std::collections::BTreeSet;

use linux::link::{Admin, Desired, End, Veth};
use linux::offload::TxChecksum;
use linux::route::Route;
use linux::rule::{Foreign, Packets, Rule, Rules};
use linux::sysctl::{Key, Settings};
use linux::table::{Hop, Routes};
use linux::{
    Driver, LinkName, Namespace, Netlink, address, link, netlink, offload, route, rule, sysctl,
    table,
};
use model::{IpFamily, MacAddr};
use nix::sched::{CloneFlags, unshare};

/// A namespace of its own, which ends with the value.
fn new_namespace() -> Namespace {
    let made = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("this test needs root: run it with sudo");
        Namespace::own().unwrap()
    });
    made.join().unwrap()
}

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

const MAC: MacAddr = MacAddr::new([0, 0, 0, 0x11, 0x22, 0x33]);

fn veth() -> Veth {
    Veth {
        near: End {
            name: name("abc_h"),
            link: Desired {
                mtu: Some(1400),
                alias: Some(link::MARK.to_owned()),
                admin: Some(Admin::Up),
                mac: None,
            },
        },
        peer: End {
            name: name("eth0"),
            link: Desired {
                mac: Some(MAC),
                mtu: Some(1400),
                alias: None,
                admin: Some(Admin::Up),
            },
        },
    }
}

/// The node, and a pod with the two ends of a veth pair, and connections to both.
struct Lab {
    node: Namespace,
    pod: Namespace,
    node_netlink: Netlink,
    pod_netlink: Netlink,
}

async fn in_lab(test: impl AsyncFnOnce(&Lab)) {
    let (node, pod) = (new_namespace(), new_namespace());
    let (node_netlink, node_driver): (Netlink, Driver) = netlink::connect(&node).await.unwrap();
    let (pod_netlink, pod_driver) = netlink::connect(&pod).await.unwrap();
    let lab = Lab {
        node,
        pod,
        node_netlink,
        pod_netlink,
    };
    let work = async {
        let (eth0, veth) = (name("eth0"), veth());
        link::create_veth(&lab.node_netlink, &veth, &lab.pod)
            .await
            .unwrap();
        link::reconcile(&lab.node_netlink, &veth.near.name, &veth.near.link)
            .await
            .unwrap();
        link::reconcile(&lab.pod_netlink, &eth0, &veth.peer.link)
            .await
            .unwrap();
        test(&lab).await;
    };
    node_driver
        .until(pod_driver.until(work))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn the_peer_of_a_veth_is_born_complete_in_the_pod() {
    in_lab(async |lab| {
        let near = link::observe(&lab.node_netlink, &name("abc_h"))
            .await
            .unwrap()
            .unwrap();
        let peer = link::observe(&lab.pod_netlink, &name("eth0"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (peer.mac, peer.mtu, peer.admin),
            (Some(MAC), 1400, Admin::Up)
        );
        assert_eq!(near.alias.as_deref(), Some(link::MARK));
        assert!(Veth::are_peers(&near, &peer));
        assert_eq!(link::diff(&veth().near.link, &near), vec![]);
        assert_eq!(link::diff(&veth().peer.link, &peer), vec![]);
    })
    .await;
}

async fn delete_node_end(netlink: Netlink) -> Result<(), linux::Error> {
    link::delete(&netlink, &name("abc_h")).await
}

#[tokio::test]
async fn a_link_takes_other_attributes_once_and_is_deleted_with_its_peer() {
    in_lab(async |lab| {
        let desired = Desired {
            mac: Some(MacAddr::new([0, 0, 0, 1, 1, 1])),
            mtu: Some(1300),
            alias: Some("x".to_owned()),
            admin: Some(Admin::Down),
        };
        let (eth0, netlink) = (name("eth0"), &lab.pod_netlink);
        let (actual, made) = link::reconcile(netlink, &eth0, &desired).await.unwrap();
        assert_eq!((link::diff(&desired, &actual), made), (vec![], 4));
        assert_eq!(
            link::reconcile(netlink, &eth0, &desired).await.unwrap().1,
            0
        );

        for _ in 0..2 {
            let deleted = netlink::apart(&lab.node, delete_node_end).await.unwrap();
            deleted.unwrap();
        }
        assert_eq!(link::observe(netlink, &eth0).await.unwrap(), None);
        let gone = link::reconcile(netlink, &eth0, &desired).await.unwrap_err();
        assert!(gone.is_absent(), "{gone}");
    })
    .await;
}

#[tokio::test]
async fn addresses_become_the_desired_ones_and_stay() {
    in_lab(async |lab| {
        let netlink = &lab.pod_netlink;
        let index = link::observe(netlink, &name("eth0"))
            .await
            .unwrap()
            .unwrap()
            .index;
        let first = ["10.16.0.5/16", "fd00::5/64"]
            .map(|text| text.parse().unwrap())
            .into();
        let second = ["10.16.0.6/16", "10.17.0.1/24"]
            .map(|text| text.parse().unwrap())
            .into();
        for (desired, changes) in [(&first, 2), (&second, 4), (&BTreeSet::new(), 2)] {
            let made = address::reconcile(netlink, index, desired).await.unwrap();
            assert_eq!(&address::observe(netlink, index).await.unwrap(), desired);
            assert_eq!(made, changes);
            assert_eq!(
                address::reconcile(netlink, index, desired).await.unwrap(),
                0
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_is_found_by_its_address() {
    in_lab(async |lab| {
        let netlink = &lab.pod_netlink;
        let link = link::observe(netlink, &name("eth0")).await.unwrap();
        let index = link.as_ref().unwrap().index;
        let addresses = ["10.16.0.5/16", "fd00::5/64"]
            .map(|text| text.parse().unwrap())
            .into();
        address::reconcile(netlink, index, &addresses)
            .await
            .unwrap();
        for address in addresses {
            assert_eq!(
                link::with_address(netlink, address.addr()).await.unwrap(),
                link
            );
        }
        let other = "10.16.0.6".parse().unwrap();
        assert_eq!(link::with_address(netlink, other).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn routes_of_both_families_become_the_desired_ones_and_others_are_left_alone() {
    in_lab(async |lab| {
        let netlink = &lab.pod_netlink;
        let index = link::observe(netlink, &name("eth0"))
            .await
            .unwrap()
            .unwrap()
            .index;
        let addresses = ["10.16.0.5/16", "fd00::5/64"]
            .map(|text| text.parse().unwrap())
            .into();
        address::reconcile(netlink, index, &addresses)
            .await
            .unwrap();

        let to = |destination: &str, gateway: Option<&str>| Route {
            destination: destination.parse().unwrap(),
            gateway: gateway.map(|text| text.parse().unwrap()),
            link: name("eth0"),
        };
        let first = [
            to("0.0.0.0/0", Some("10.16.0.1")),
            to("::/0", Some("fd00::1")),
            to("10.99.0.0/16", None),
        ];
        let second = [
            to("0.0.0.0/0", Some("10.16.0.2")),
            to("fd01::/64", Some("fd00::2")),
        ];
        let (first, second) = (first.into(), second.into());
        for (desired, changes) in [(&first, 3), (&second, 5), (&BTreeSet::new(), 2)] {
            let made = route::reconcile(netlink, desired).await.unwrap();
            assert_eq!(&route::observe(netlink).await.unwrap(), desired);
            assert_eq!(made, changes);
            assert_eq!(route::reconcile(netlink, desired).await.unwrap(), 0);
        }
        // the kernel's route to the network of the address is still there
        assert_eq!(address::observe(netlink, index).await.unwrap(), addresses);
    })
    .await;
}

const TABLE: u32 = 2_147_483_700;

async fn bring_rules(netlink: &Netlink, desired: &Rules) -> usize {
    let actual = rule::observe(netlink).await.unwrap();
    let changes = rule::diff(desired, &actual.ours);
    for change in &changes {
        rule::apply(netlink, change).await.unwrap();
    }
    assert_eq!(&rule::observe(netlink).await.unwrap().ours, desired);
    changes.len()
}

#[tokio::test]
async fn rules_of_both_families_become_the_desired_ones_and_others_are_left_alone() {
    in_lab(async |lab| {
        let netlink = &lab.pod_netlink;
        let foreign = rule::observe(netlink).await.unwrap().foreign;
        let main = Foreign {
            family: IpFamily::V6,
            priority: 32766,
            table: 254,
        };
        assert!(foreign.contains(&main), "{foreign:?}");
        let from = |source: &str, table| Rule {
            priority: 1001,
            packets: Packets::From(source.parse().unwrap()),
            table,
        };
        let iif = |family| Rule {
            priority: 0,
            packets: Packets::In(name("eth0"), family),
            table: TABLE,
        };
        let first = [
            from("10.71.0.5/32", 100),
            from("fd00:71::/64", TABLE),
            iif(IpFamily::V4),
            iif(IpFamily::V6),
        ];
        let second = [from("10.71.0.5/32", TABLE), from("fd00:71::/64", TABLE)];
        for (desired, changes) in [(first.into(), 4), (second.into(), 4), (Rules::new(), 2)] {
            assert_eq!(bring_rules(netlink, &desired).await, changes);
            assert_eq!(bring_rules(netlink, &desired).await, 0);
            assert_eq!(rule::observe(netlink).await.unwrap().foreign, foreign);
        }
        let gone = rule::Change::Remove(from("10.71.0.5/32", TABLE));
        rule::apply(netlink, &gone).await.unwrap();
    })
    .await;
}

async fn bring_table(netlink: &Netlink, desired: &Routes) -> usize {
    let actual = table::observe(netlink).await.unwrap();
    let changes = table::diff(desired, &actual.ours);
    for change in &changes {
        table::apply(netlink, change).await.unwrap();
    }
    assert_eq!(&table::observe(netlink).await.unwrap().ours, desired);
    changes.len()
}

#[tokio::test]
async fn tables_get_the_desired_routes_and_keep_them_where_a_gateway_is_refused() {
    in_lab(async |lab| {
        let netlink = &lab.pod_netlink;
        let eth0 = link::observe(netlink, &name("eth0")).await.unwrap();
        let addresses = ["10.16.0.5/16", "fd00::5/64"]
            .map(|text| text.parse().unwrap())
            .into();
        address::reconcile(netlink, eth0.unwrap().index, &addresses)
            .await
            .unwrap();
        let to = |destination: &str, table, hop| table::Route {
            table,
            destination: destination.parse().unwrap(),
            hop,
        };
        let by = |gateway: &str| Hop::Gateway(gateway.parse().unwrap(), name("eth0"));
        let first = [
            to("0.0.0.0/0", 100, by("10.16.0.1")),
            to("0.0.0.0/0", 100, Hop::Unreachable),
            to("::/0", TABLE, by("fd00::1")),
            to("::/0", TABLE, Hop::Unreachable),
            to("10.99.0.0/16", TABLE, Hop::Link(name("eth0"))),
        ];
        let second = [
            to("0.0.0.0/0", 100, by("10.16.0.2")),
            to("0.0.0.0/0", 100, Hop::Unreachable),
            to("::/0", TABLE, by("fd00::2")),
        ];
        let (first, second) = (Routes::from(first), Routes::from(second));
        for (desired, changes) in [(&first, 5), (&second, 4), (&Routes::new(), 3)] {
            assert_eq!(bring_table(netlink, desired).await, changes);
            assert_eq!(bring_table(netlink, desired).await, 0);
        }
        bring_table(netlink, &second).await;
        let refused = table::Change::Put(to("0.0.0.0/0", 100, by("192.0.2.1")));
        table::apply(netlink, &refused).await.unwrap_err();
        let actual = table::observe(netlink).await.unwrap();
        assert_eq!(actual.ours, second);
        assert!(actual.foreign.is_empty(), "{actual:?}");
        let network = ("10.16.0.0/16".parse().unwrap(), name("eth0"));
        assert!(actual.on_link.contains(&network), "{actual:?}");
        assert!(
            actual.own.contains(&"10.16.0.5".parse().unwrap()),
            "{actual:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn settings_belong_to_one_namespace_and_unknown_ones_are_left_out() {
    in_lab(async |lab| {
        let forward = |value: &str| Settings::from([(Key::ipv4_forward(), value.to_owned())]);
        assert!(sysctl::reconcile(&lab.pod, &forward("0")).await.unwrap() <= 1);
        assert_eq!(
            sysctl::reconcile(&lab.node, &forward("1")).await.unwrap(),
            1
        );
        assert_eq!(
            sysctl::reconcile(&lab.node, &forward("1")).await.unwrap(),
            0
        );
        assert_eq!(sysctl::reconcile(&lab.pod, &forward("0")).await.unwrap(), 0);

        let absent = Settings::from([(Key::disable_ipv6(&name("none")), "0".to_owned())]);
        assert_eq!(sysctl::reconcile(&lab.pod, &absent).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn transmit_checksums_are_switched_off_once() {
    in_lab(async |lab| {
        let eth0 = name("eth0");
        let off = TxChecksum::Off;
        assert_eq!(
            offload::observe(&lab.pod, &eth0).await.unwrap(),
            TxChecksum::On
        );
        assert_eq!(offload::reconcile(&lab.pod, &eth0, off).await.unwrap(), 1);
        assert_eq!(offload::observe(&lab.pod, &eth0).await.unwrap(), off);
        assert_eq!(offload::reconcile(&lab.pod, &eth0, off).await.unwrap(), 0);
        let absent = offload::reconcile(&lab.node, &eth0, off).await.unwrap_err();
        assert!(absent.is_absent(), "{absent}");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_namespace_is_refused_by_path() {
    let missing = Namespace::open("/run/netns/none-such").unwrap_err();
    assert!(
        missing.to_string().contains("/run/netns/none-such"),
        "{missing}"
    );
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let pipe = Namespace::open(pipe).unwrap();
    assert!(netlink::connect(&pipe).await.is_err());
    let file = Namespace::open("/proc/self/status").unwrap();
    let refused = netlink::connect(&file).await.unwrap_err();
    assert!(
        refused.to_string().contains("/proc/self/status"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_change_in_a_namespace_is_told() {
    use futures::StreamExt;

    in_lab(async |lab| {
        let (mut changes, driver) = netlink::changes(&lab.pod).await.unwrap();
        let delete_and_wait = async {
            link::delete(&lab.node_netlink, &name("abc_h"))
                .await
                .unwrap();
            changes.next().await.unwrap();
        };
        driver.until(delete_and_wait).await.unwrap();
    })
    .await;
}
