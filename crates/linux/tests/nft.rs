//! Rules of nftables against the kernel, in namespaces that the test makes.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "the whole file is tests, which read by `nft` what we wrote"
)]

use std::collections::BTreeMap;
use std::process::Command;

use linux::nft::guest;
use linux::nft::{
    self, Base, Chain, Family, Hook, Kind, Match, Member, Policy, Rule, Set, Table, Verdict,
};
use linux::{LinkName, Namespace};
use model::IpFamily;
use nix::sched::{CloneFlags, unshare};

fn new_namespace() -> Namespace {
    let made = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("this test needs root: run it with sudo");
        Namespace::own().unwrap()
    });
    made.join().unwrap()
}

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

/// What `nft` prints, run in the namespace.
async fn nft(namespace: &Namespace, words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let run = move || Command::new("nft").args(words).output().unwrap();
    let output = namespace.run(run).await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn set(family: IpFamily, cidrs: &[&str]) -> Set {
    Set::new(family, cidrs.iter().map(|cidr| cidr.parse().unwrap()))
}

/// A table with every match that we write.
fn table(subnets: &[&str]) -> Table {
    let outside = Rule {
        matches: vec![
            Match::Source(IpFamily::V4, Member::In, "nat4".to_owned()),
            Match::Destination(IpFamily::V4, Member::NotIn, "subnets4".to_owned()),
        ],
        verdict: Verdict::Masquerade,
    };
    let inside = Rule {
        matches: vec![
            Match::OutLink(link("ovn0")),
            Match::SourceElsewhere,
            Match::Destination(IpFamily::V6, Member::In, "subnets6".to_owned()),
        ],
        verdict: Verdict::Masquerade,
    };
    let base = |kind, hook, policy| Base {
        kind,
        hook,
        priority: 100,
        policy,
    };
    let accept = Rule {
        matches: vec![Match::InLink(link("ovn0")), Match::UdpPort(6081)],
        verdict: Verdict::Accept,
    };
    let chains = [
        (
            "postrouting".to_owned(),
            Chain {
                base: base(Kind::Nat, Hook::Postrouting, Policy::Accept),
                rules: vec![outside, inside],
            },
        ),
        (
            "input".to_owned(),
            Chain {
                base: base(Kind::Filter, Hook::Input, Policy::Accept),
                rules: vec![accept],
            },
        ),
    ];
    let sets = [
        ("nat4".to_owned(), set(IpFamily::V4, subnets)),
        ("subnets4".to_owned(), set(IpFamily::V4, subnets)),
        (
            "subnets6".to_owned(),
            set(IpFamily::V6, &["fd00:10::/64", "fd01::1/128"]),
        ),
    ];
    Table {
        chains: chains.into(),
        sets: sets.into(),
    }
}

#[tokio::test]
async fn a_table_becomes_the_desired_one_and_stays() {
    let namespace = new_namespace();
    for subnets in [
        &["10.16.0.0/16"][..],
        &["10.0.0.0/8", "192.0.2.1/32"],
        &["10.17.0.0/16", "10.18.0.0/16", "10.17.4.0/24"],
        &[],
    ] {
        let desired = table(subnets);
        let made = nft::reconcile(&namespace, Family::Inet, Some(&desired)).await;
        assert!(made.unwrap() > 0);
        let actual = nft::observe(&namespace, Family::Inet).await.unwrap();
        assert_eq!(actual, Some(desired.clone()));
        let again = nft::reconcile(&namespace, Family::Inet, Some(&desired)).await;
        assert_eq!(again.unwrap(), 0);
    }
    for made in [1, 0] {
        let removed = nft::reconcile(&namespace, Family::Inet, None).await;
        assert_eq!(removed.unwrap(), made);
    }
    assert_eq!(nft(&namespace, &["list", "ruleset"]).await, "");
}

#[tokio::test]
async fn what_somebody_changed_is_put_right_and_tables_of_others_stay() {
    let namespace = new_namespace();
    nft(&namespace, &["add table inet other"]).await;
    let desired = table(&["10.16.0.0/16"]);
    let reconcile = async || {
        let made = nft::reconcile(&namespace, Family::Inet, Some(&desired)).await;
        made.unwrap()
    };
    reconcile().await;
    for (drift, changes) in [
        ("delete element inet kube_ovn nat4 { 10.16.0.0/16 }", 1),
        ("add element inet kube_ovn nat4 { 10.99.0.0/16 }", 1),
        ("flush chain inet kube_ovn postrouting", 1),
        ("insert rule inet kube_ovn input tcp dport 22 log drop", 1),
        (
            "add chain inet kube_ovn strange { type filter hook input priority 5; }",
            1,
        ),
        ("delete table inet kube_ovn", 11),
    ] {
        nft(&namespace, &[drift]).await;
        assert_eq!(reconcile().await, changes, "{drift}");
        assert_eq!(reconcile().await, 0, "{drift}");
    }
    assert!(
        nft(&namespace, &["list", "tables"])
            .await
            .contains("inet other")
    );
}

#[tokio::test]
async fn a_link_hears_nothing_behind_a_dropping_ingress() {
    let namespace = new_namespace();
    let chain = Chain {
        base: Base {
            kind: Kind::Filter,
            hook: Hook::Ingress(link("lo")),
            priority: 0,
            policy: Policy::Drop,
        },
        rules: Vec::new(),
    };
    let desired = Table {
        chains: [("lo".to_owned(), chain)].into(),
        sets: BTreeMap::new(),
    };
    for made in [2, 0] {
        let changes = nft::reconcile(&namespace, Family::Netdev, Some(&desired)).await;
        assert_eq!(changes.unwrap(), made);
    }
    let removed = nft::reconcile(&namespace, Family::Netdev, None).await;
    assert_eq!(removed.unwrap(), 1);
}

#[tokio::test]
async fn a_chain_that_drops_gets_our_rule_first_and_loses_it_when_it_accepts() {
    let namespace = new_namespace();
    for line in [
        "add table ip filter",
        "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
        "add rule ip filter FORWARD counter",
        "add table ip6 other",
        "add chain ip6 other input { type filter hook input priority 0; policy drop; }",
        "add table inet open",
        "add chain inet open forward { type filter hook forward priority 0; }",
    ] {
        nft(&namespace, &[line]).await;
    }
    let rule = |matches| Rule {
        matches: vec![matches],
        verdict: Verdict::Accept,
    };
    let desired = guest::Desired {
        input: vec![rule(Match::UdpPort(6081))],
        forward: vec![
            rule(Match::InLink(link("ovn0"))),
            rule(Match::OutLink(link("ovn0"))),
        ],
    };
    let reconcile = async |desired| {
        let made = guest::reconcile(&namespace, desired).await;
        made.unwrap()
    };
    assert_eq!(reconcile(&desired).await, 3);
    assert_eq!(reconcile(&desired).await, 0);
    let chain = nft(&namespace, &["list", "chain", "ip", "filter", "FORWARD"]).await;
    let place = |text| chain.find(text).unwrap_or_else(|| panic!("{chain}"));
    let ours = r#"ifname "ovn0" accept comment "kube-ovn""#;
    assert!(place(ours) < place("counter"), "{chain}");

    nft(&namespace, &["flush chain ip filter FORWARD"]).await;
    assert_eq!(reconcile(&desired).await, 2);
    let accept = "add chain ip filter FORWARD { policy accept; }";
    nft(&namespace, &[accept]).await;
    assert_eq!(reconcile(&desired).await, 2);
    assert_eq!(reconcile(&guest::Desired::default()).await, 1);
    let ruleset = nft(&namespace, &["list", "ruleset"]).await;
    assert!(!ruleset.contains("kube-ovn"), "{ruleset}");
}
