use super::*;
use linux::rule::Foreign;

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

fn redirect(gateways: &str, scope: Scope) -> Redirect {
    Redirect {
        subnet: "redirected".to_owned(),
        networks: "10.71.0.0/16,fd00:71::/64".parse().unwrap(),
        gateways: gateways.parse().unwrap(),
        priority: 1001,
        table: 1002,
        scope,
    }
}

fn inputs(redirects: impl IntoIterator<Item = Redirect>) -> RedirectInputs {
    let pods = ["10.71.0.5", "fd00:71::5"].map(|text| text.parse().unwrap());
    let on_link = ["192.0.2.0/24", "2001:db8::/64"];
    let on_link = on_link.map(|text| (text.parse().unwrap(), link("eth0")));
    let tables = table::Actual {
        on_link: on_link.into(),
        ..table::Actual::default()
    };
    RedirectInputs {
        redirects: redirects.into_iter().collect(),
        pods: [("redirected".to_owned(), pods.into())].into(),
        found: Found {
            tables,
            ..Found::default()
        },
    }
}

fn plan(inputs: &RedirectInputs) -> Redirection {
    let cluster = [
        ("10.71.0.0/16", Some("100.64.0.1")),
        ("fd00:71::/64", Some("fd00:64::1")),
        ("100.64.0.0/16", None),
    ];
    let cluster = cluster.map(|(cidr, gateway)| {
        let hop = gateway.map_or_else(
            || Hop::Link(link("ovn0")),
            |gateway| Hop::Gateway(gateway.parse().unwrap(), link("ovn0")),
        );
        (cidr.parse().unwrap(), hop)
    });
    redirection(inputs, &cluster, &link("ovn0"))
}

fn rules(redirection: &Redirection) -> Vec<String> {
    let rules = redirection.rules.iter();
    let own = rules.filter(|rule| rule.priority != FIRST);
    own.map(ToString::to_string).collect()
}

fn defaults(redirection: &Redirection) -> Vec<String> {
    let routes = redirection.routes.iter();
    let own = routes.filter(|it| it.table != CLUSTER && it.hop != Hop::Unreachable);
    own.map(ToString::to_string).collect()
}

/// As if the kernel had just been brought to it.
fn apply(inputs: &mut RedirectInputs, redirection: &Redirection) {
    inputs.found.rules.ours = redirection.rules.clone();
    inputs.found.tables.ours = redirection.routes.clone();
}

const PAIR: &str = "192.0.2.254,2001:db8::254";

#[test]
fn a_distributed_subnet_has_a_rule_for_each_pod_that_is_here() {
    let redirection = plan(&inputs([redirect(PAIR, Scope::Pods)]));
    let expected = [
        "1001: from 10.71.0.5/32 lookup 1002",
        "1001: from fd00:71::5/128 lookup 1002",
    ];
    assert_eq!(rules(&redirection), expected);
    let expected = [
        "0.0.0.0/0 via 192.0.2.254 dev eth0 table 1002",
        "::/0 via 2001:db8::254 dev eth0 table 1002",
    ];
    assert_eq!(defaults(&redirection), expected);
    assert!(redirection.faults.is_empty());
}

#[test]
fn a_gateway_node_has_one_rule_for_the_subnet_and_other_nodes_have_none() {
    let redirection = plan(&inputs([redirect(PAIR, Scope::Subnet)]));
    let expected = [
        "1001: from 10.71.0.0/16 lookup 1002",
        "1001: from fd00:71::/64 lookup 1002",
    ];
    assert_eq!(rules(&redirection), expected);
    let elsewhere = plan(&inputs([redirect(PAIR, Scope::None)]));
    assert_eq!(elsewhere, Redirection::default());
}

#[test]
fn a_single_gateway_is_for_its_family_alone() {
    let redirection = plan(&inputs([redirect("2001:db8::254", Scope::Subnet)]));
    assert_eq!(rules(&redirection), ["1001: from fd00:71::/64 lookup 1002"]);
    let families = redirection.rules.iter().map(|it| it.packets.family());
    assert!(families.into_iter().all(|family| family == IpFamily::V6));
}

#[test]
fn what_is_for_the_cluster_is_looked_up_before() {
    let redirection = plan(&inputs([redirect("192.0.2.254", Scope::Pods)]));
    let first = redirection.rules.first().unwrap().to_string();
    assert_eq!(first, format!("0: ip4 iif ovn0 lookup {CLUSTER}"));
    let inside = redirection.routes.iter().filter(|it| it.table == CLUSTER);
    let inside: Vec<String> = inside.map(ToString::to_string).collect();
    let expected = [
        format!("10.71.0.0/16 via 100.64.0.1 dev ovn0 table {CLUSTER}"),
        format!("100.64.0.0/16 dev ovn0 table {CLUSTER}"),
    ];
    assert_eq!(inside, expected);
}

#[test]
fn without_pods_there_is_the_route_alone_and_nothing_is_wrong_without_a_link() {
    let mut inputs = inputs([redirect("192.0.2.254", Scope::Pods)]);
    inputs.pods.clear();
    let redirection = plan(&inputs);
    assert!(redirection.rules.is_empty());
    assert_eq!(defaults(&redirection).len(), 1);
    inputs.found.tables.on_link.clear();
    assert_eq!(plan(&inputs), Redirection::default());
}

#[test]
fn packets_go_nowhere_while_the_gateway_is_on_no_link() {
    let mut inputs = inputs([redirect("198.51.100.1", Scope::Pods)]);
    let redirection = plan(&inputs);
    assert_eq!(defaults(&redirection), [""; 0]);
    let routes: Vec<String> = redirection.routes.iter().map(ToString::to_string).collect();
    assert!(
        routes.contains(&"0.0.0.0/0 unreachable table 1002".to_owned()),
        "{routes:?}"
    );
    assert_eq!(rules(&redirection).len(), 1);
    let fault = redirection.faults.first().unwrap();
    assert_eq!(
        (fault.field, fault.value.as_str()),
        (Field::Gateway, "198.51.100.1")
    );
    assert!(fault.cause.contains("traffic is dropped"), "{fault:?}");

    inputs
        .found
        .tables
        .on_link
        .insert(("198.51.100.0/24".parse().unwrap(), link("ovn0")));
    assert_eq!(
        plan(&inputs).faults.len(),
        1,
        "the node's port leads back to pods"
    );
}

#[test]
fn the_former_gateway_goes_on_while_another_is_on_no_link() {
    let mut inputs = inputs([redirect("192.0.2.254", Scope::Pods)]);
    let before = plan(&inputs);
    apply(&mut inputs, &before);
    inputs.redirects = vec![redirect("198.51.100.1", Scope::Pods)];
    let after = plan(&inputs);
    assert_eq!(
        (&after.rules, &after.routes),
        (&before.rules, &before.routes)
    );
    let fault = after.faults.first().unwrap();
    assert!(fault.cause.contains("goes to 192.0.2.254"), "{fault:?}");
}

#[test]
fn what_others_have_is_told_and_what_was_before_stays() {
    let mut inputs = inputs([redirect("192.0.2.254", Scope::Pods)]);
    let before = plan(&inputs);
    for (priority, table, field) in [(7, 1, Field::Priority), (1, 8, Field::Table)] {
        apply(&mut inputs, &before);
        inputs.found.rules.foreign = [Foreign {
            family: IpFamily::V4,
            priority,
            table,
        }]
        .into();
        let mut other = redirect("192.0.2.254", Scope::Pods);
        other.priority = 7;
        other.table = 8;
        inputs.redirects = vec![other.clone()];
        let after = plan(&inputs);
        assert_eq!(
            (&after.rules, &after.routes),
            (&before.rules, &before.routes)
        );
        assert_eq!(after.faults.first().unwrap().field, field);

        inputs.found.rules.ours.clear();
        assert!(plan(&inputs).rules.is_empty(), "there is nothing to keep");
    }
}

#[test]
fn somebody_elses_routes_in_the_table_are_told() {
    let mut inputs = inputs([redirect("192.0.2.254", Scope::Subnet)]);
    inputs.found.tables.foreign.insert((IpFamily::V6, 1002));
    assert!(
        plan(&inputs).faults.is_empty(),
        "the other family has tables of its own"
    );
    inputs.found.tables.foreign.insert((IpFamily::V4, 1002));
    let redirection = plan(&inputs);
    assert_eq!(redirection.faults.first().unwrap().field, Field::Table);
    assert_eq!(redirection.routes, Routes::new());
}

#[test]
fn of_two_subnets_with_one_table_the_first_has_it() {
    let second = Redirect {
        subnet: "second".to_owned(),
        networks: "10.72.0.0/16".parse().unwrap(),
        ..redirect("192.0.2.1", Scope::Subnet)
    };
    let first = redirect("192.0.2.254", Scope::Subnet);
    let redirection = plan(&inputs([first.clone(), second]));
    assert_eq!(redirection.rules, plan(&inputs([first])).rules);
    assert_eq!(defaults(&redirection).len(), 1);
}

#[test]
fn a_pod_waits_for_its_rules_but_not_for_what_a_user_must_mend() {
    let redirection = plan(&inputs([redirect(PAIR, Scope::Pods)]));
    let addresses = ["10.71.0.5", "fd00:71::5"].map(|text| text.parse().unwrap());
    assert!(redirection.is_settled("redirected", &addresses));
    let other = ["10.71.0.6".parse().unwrap()];
    assert!(!redirection.is_settled("redirected", &other));
    let broken = plan(&inputs([redirect("198.51.100.1", Scope::Pods)]));
    assert!(broken.is_settled("redirected", &other));
}

#[test]
fn the_node_itself_is_no_gateway() {
    let mut inputs = inputs([redirect("192.0.2.254", Scope::Pods)]);
    inputs
        .found
        .tables
        .own
        .insert("192.0.2.254".parse().unwrap());
    let redirection = plan(&inputs);
    assert_eq!(defaults(&redirection), [""; 0]);
    assert_eq!(redirection.faults.first().unwrap().field, Field::Gateway);
}
