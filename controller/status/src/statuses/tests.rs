use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::fixture::index_of_default_vpc;

fn index(subnets: &[(&str, &str, &str)]) -> Index {
    let mut index = index_of_default_vpc();
    for (name, cidr, provider) in subnets {
        let spec = api::SubnetSpec {
            cidr_block: (*cidr).to_owned(),
            provider: (*provider).to_owned(),
            ..Default::default()
        };
        index.apply(&api::Subnet::new(name, spec));
    }
    index
}

fn report(index: &Index, verdicts: &Verdicts) -> Vec<String> {
    let name = |it: &str| SubnetName::new(it).unwrap();
    let usages = ["a", "b"].map(|it| (name(it), DualStack::default()));
    let statuses = subnets(index, verdicts, &Usages::from(usages));
    let line = |(name, status): (SubnetName, SubnetStatus)| {
        let conditions = status.conditions.iter();
        let words = conditions.map(|it| format!("{}={}", it.type_, it.status));
        format!("{name}: {}", words.collect::<Vec<_>>().join(" "))
    };
    statuses.into_iter().map(line).collect()
}

#[test]
fn nothing_is_said_of_a_subnet_before_its_rows_are_committed() {
    let verdicts = Verdicts::default();
    let index = index(&[("a", "10.1.0.0/16", "ovn")]);
    assert!(report(&index, &verdicts).is_empty());
    verdicts.tell(
        Owner::Subnet(SubnetName::new("a").unwrap()),
        Verdict::default(),
    );
    assert_eq!(
        report(&index, &verdicts),
        ["a: Validated=True Ready=True Error=False"]
    );
}

#[test]
fn a_subnet_is_ready_for_the_reason_that_kube_ovn_gives() {
    let verdicts = Verdicts::default();
    let name = SubnetName::new("a").unwrap();
    verdicts.tell(Owner::Subnet(name.clone()), Verdict::default());
    let reason = |private: bool| {
        let mut index = index(&[]);
        let spec = api::SubnetSpec {
            cidr_block: "10.1.0.0/16".to_owned(),
            private,
            ..Default::default()
        };
        index.apply(&api::Subnet::new("a", spec));
        let usages = Usages::from([(name.clone(), DualStack::default())]);
        let statuses = subnets(&index, &verdicts, &usages);
        let conditions = statuses[0].1.conditions.clone().into_iter();
        let ready = conditions.filter(|it| it.type_ == READY && it.status == "True");
        ready.map(|it| it.reason).collect::<Vec<_>>()
    };
    assert_eq!(reason(false), ["ResetLogicalSwitchAclSuccess"]);
    assert_eq!(reason(true), ["SetPrivateLogicalSwitchSuccess"]);
}

#[test]
fn rows_that_the_database_rejects_make_an_error() {
    let verdicts = Verdicts::default();
    let rejected = Verdict {
        rejection: Some("constraint violation".to_owned()),
        ..Verdict::default()
    };
    verdicts.tell(Owner::Subnet(SubnetName::new("a").unwrap()), rejected);
    assert_eq!(
        report(&index(&[("a", "10.1.0.0/16", "ovn")]), &verdicts),
        ["a: Validated=True Ready=False Error=True"]
    );
}

#[test]
fn what_a_subnet_goes_without_makes_it_invalid_and_no_less_ready() {
    let verdicts = Verdicts::default();
    verdicts.tell(
        Owner::Subnet(SubnetName::new("a").unwrap()),
        Verdict::default(),
    );
    let said = |spec: serde_json::Value| {
        let mut index = index(&[]);
        let spec = serde_json::from_value(spec).unwrap();
        index.apply(&api::Subnet::new("a", spec));
        report(&index, &verdicts)
    };
    let told = serde_json::json!({
        "cidrBlock": "10.1.0.0/16", "private": true, "allowSubnets": ["fd00::/64"],
    });
    assert_eq!(said(told), ["a: Validated=False Error=True Ready=True"]);
    let closed = serde_json::json!({"cidrBlock": "10.1.0.0/16", "vlan": "none"});
    assert_eq!(said(closed), ["a: Validated=False Ready=False Error=True"]);
}

#[test]
fn an_unusable_subnet_is_not_valid_and_one_of_another_plugin_never_ready() {
    let subnets = [("a", "nonsense", "ovn"), ("b", "10.2.0.0/16", "macvlan")];
    assert_eq!(
        report(&index(&subnets), &Verdicts::default()),
        [
            "b: Validated=True",
            "a: Validated=False Ready=False Error=True"
        ]
    );
}

#[test]
fn a_vpc_is_ready_by_its_rows_unless_it_goes_without_what_it_asks_for() {
    let said = |spec: serde_json::Value, words: &str| {
        let verdicts = Verdicts::default();
        let mut index = index(&[]);
        let name = VpcName::new("ovn-cluster").unwrap();
        verdicts.tell(Owner::Vpc(name.clone()), Verdict::default());
        let spec = serde_json::from_value(spec).unwrap();
        index.apply(&api::Vpc::new("ovn-cluster", spec));
        let [(said, status)] = vpcs(&index, &verdicts).try_into().unwrap();
        assert_eq!((said, status.standby), (name, true));
        assert_eq!(status.router, "ovn-cluster");
        let complaints = crate::complaints::all(&index, &verdicts);
        let complaint = complaints.first().unwrap();
        assert_eq!(complaint.object.to_string(), "Vpc ovn-cluster");
        assert!(complaint.message.starts_with(words), "{complaint:?}");
        let conditions = status.conditions.iter();
        let conditions = conditions.map(|it| {
            let is_told = it.message.starts_with(words);
            format!("{}={} told={is_told}", it.type_, it.status)
        });
        conditions.collect::<Vec<_>>()
    };
    let no_default = serde_json::json!({"defaultSubnet": "A_b"});
    assert_eq!(
        said(no_default, "spec.defaultSubnet is `A_b`"),
        ["Ready=True told=false", "Error=True told=true"]
    );
    let no_route =
        serde_json::json!({"staticRoutes": [{"cidr": "nonsense", "nextHopIP": "10.16.0.9"}]});
    assert_eq!(
        said(no_route, "spec.staticRoutes[0].cidr is `nonsense`"),
        ["Ready=False told=true", "Error=True told=true"]
    );
}

#[test]
fn the_default_vpc_names_the_load_balancers_that_its_subnets_share() {
    let verdicts = Verdicts::default();
    let name = VpcName::new("ovn-cluster").unwrap();
    verdicts.tell(Owner::Vpc(name), Verdict::default());
    let [(_, status)] = vpcs(&index(&[]), &verdicts).try_into().unwrap();
    assert!(status.default && status.standby);
    assert_eq!(status.default_logical_switch, "ovn-default");
    assert_eq!(
        [
            status.tcp_load_balancer,
            status.udp_load_balancer,
            status.tcp_session_load_balancer,
            status.udp_session_load_balancer,
        ],
        [
            "cluster-tcp-loadbalancer",
            "cluster-udp-loadbalancer",
            "cluster-tcp-session-loadbalancer",
            "cluster-udp-session-loadbalancer",
        ]
    );
}

#[test]
fn a_subnet_that_cannot_be_read_counts_the_addresses_that_are_recorded_of_it() {
    let mut index = index(&[("a", "nonsense", "ovn"), ("b", "10.1.0.0/16", "ovn")]);
    for (name, subnet, address) in [
        ("one", "a", "10.2.0.1"),
        ("two", "a", "10.2.0.2,fd00::2"),
        ("three", "b", "10.1.0.2"),
    ] {
        let spec = api::IpSpec {
            subnet: subnet.to_owned(),
            ip_address: address.to_owned(),
            mac_address: "00:00:00:00:00:01".to_owned(),
            ..Default::default()
        };
        index.apply(&api::Ip::new(name, spec));
    }
    let statuses = subnets(&index, &Verdicts::default(), &Usages::default());
    let [(_, status)] = statuses.try_into().unwrap();
    let counted = [status.v4_using, status.v6_using, status.v4_available];
    assert_eq!(counted.map(|it| format!("{it}")), ["2", "1", "0"]);
}

fn ready_of_gateways(index: &Index) -> String {
    let verdicts = Verdicts::default();
    let name = SubnetName::new("a").unwrap();
    let sets = index.inputs().gateways.keys().cloned().map(Owner::Gateway);
    for owner in sets.chain([Owner::Subnet(name.clone())]) {
        verdicts.tell(owner, Verdict::default());
    }
    let usages = Usages::from([(name, DualStack::default())]);
    let status = subnets(index, &verdicts, &usages).remove(0).1;
    let mut ready = status.conditions.into_iter().filter(|it| it.type_ == READY);
    let ready = ready.next().unwrap();
    format!("{} {} {}", ready.status, ready.reason, ready.message)
}

#[test]
fn b3e_a_subnet_says_by_which_nodes_its_traffic_leaves_and_when_there_is_none() {
    let mut index = index(&[]);
    let subnet = |index: &mut Index, nodes: &str| {
        let spec = api::SubnetSpec {
            cidr_block: "10.1.0.0/16".to_owned(),
            gateway_type: "centralized".to_owned(),
            gateway_node: nodes.to_owned(),
            ..Default::default()
        };
        index.apply(&api::Subnet::new("a", spec));
    };
    let node = |index: &mut Index, name: &str, ready: &str| {
        let annotations = serde_json::json!({
            "ovn.kubernetes.io/allocated": "true",
            "ovn.kubernetes.io/ip_address": "100.64.0.2",
            "ovn.kubernetes.io/mac_address": "00:00:00:00:00:02",
        });
        index.apply::<Node>(
            &serde_json::from_value(serde_json::json!({
                "metadata": {"name": name, "annotations": annotations},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            }))
            .unwrap(),
        );
    };
    subnet(&mut index, "");
    let said = ready_of_gateways(&index);
    assert!(
        said.starts_with("False NoReadyGateway spec.gatewayNode names no node"),
        "{said}"
    );
    node(&mut index, "n1", "True");
    node(&mut index, "n2", "True");
    subnet(&mut index, "n1,n2");
    assert_eq!(
        ready_of_gateways(&index),
        "True ReconcileCentralizedGatewaySuccess traffic leaves by n1, n2"
    );
    node(&mut index, "n1", "False");
    assert!(ready_of_gateways(&index).ends_with("traffic leaves by n2"));
    node(&mut index, "n1", "True");
    index.set_silent(&["n1".parse().unwrap()].into());
    assert!(ready_of_gateways(&index).ends_with("traffic leaves by n2; no answer from n1"));
    node(&mut index, "n1", "False");
    node(&mut index, "n2", "Unknown");
    let said = ready_of_gateways(&index);
    assert!(
        said.starts_with("False NoReadyGateway no node of spec.gatewayNode is ready"),
        "{said}"
    );
}

fn ready(status: bool) -> SubnetStatus {
    SubnetStatus {
        conditions: vec![condition(READY, status, OPEN, "")],
        ..SubnetStatus::default()
    }
}

#[test]
fn a_transition_time_stays_until_the_condition_turns() {
    let (early, late) = (Time(Timestamp::UNIX_EPOCH), Time(Timestamp::MAX));
    let first = ready(true).stamped(None, &early);
    let second = ready(true).stamped(Some(&first), &late);
    assert_eq!(second.conditions[0].last_transition_time, Some(early));
    assert_eq!(second.conditions[0].last_update_time, Some(late.clone()));
    let third = ready(false).stamped(Some(&first), &late);
    assert_eq!(third.conditions[0].last_transition_time, Some(late));
}

#[test]
fn times_are_no_difference() {
    let stamped = ready(true).stamped(None, &Time(Timestamp::UNIX_EPOCH));
    assert_eq!(stamped.timeless(), ready(true));
}

#[test]
fn a_slash_64_has_as_many_addresses_as_kube_ovn_says() {
    let text = format!("{:e}", float(1 << 64));
    assert_eq!(text, "1.8446744073709552e19");
}

#[test]
fn a_subnet_whose_gateway_nodes_get_no_slots_is_ready_and_says_so() {
    let mut index = index(&[("join", "100.64.0.0/28", "ovn")]);
    let name = SubnetName::new("a").unwrap();
    let spec = api::SubnetSpec {
        cidr_block: "10.1.0.0/16".to_owned(),
        gateway_type: api::subnet::CENTRALIZED.to_owned(),
        gateway_node: "n1,n2".to_owned(),
        ..Default::default()
    };
    index.apply(&api::Subnet::new("a", spec));
    for (node, address) in [("n1", "100.64.0.2"), ("n2", "100.64.0.3")] {
        let annotations = json!({
            "ovn.kubernetes.io/allocated": "true",
            "ovn.kubernetes.io/ip_address": address,
            "ovn.kubernetes.io/mac_address": "00:00:00:00:00:02",
        });
        let node = json!({
            "metadata": {"name": node, "annotations": annotations},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        index.apply::<Node>(&serde_json::from_value(node).unwrap());
    }
    let lacking = slots::lacking(&index);
    let Some(Gateway::Ready(message)) = gateway(&index, &name, &lacking) else {
        panic!("traffic leaves by both");
    };
    assert!(
        message.starts_with("traffic leaves by n1, n2; subnet join has too few"),
        "{message}"
    );
    let complaints = crate::complaints::all(&index, &Verdicts::default());
    let told = complaints
        .iter()
        .filter(|it| it.reason == "TooFewGatewaySlots");
    assert!(told.map(|it| it.object.name.as_str()).eq(["a"]));
}
