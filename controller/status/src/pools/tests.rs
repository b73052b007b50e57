use controller_index::{Defaults, Settings};
use controller_ipam::Usage;
use model::{DualStack, SubnetName, VpcName};

use super::*;

fn index(pools: &[(&str, &str, &str)]) -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: SubnetName::new("join").unwrap(),
        },
        subnet: SubnetName::new("s").unwrap(),
    });
    let spec = api::SubnetSpec {
        cidr_block: "10.1.0.0/16".to_owned(),
        ..Default::default()
    };
    index.apply(&api::Subnet::new("s", spec));
    for (name, subnet, ips) in pools {
        let spec = api::IpPoolSpec {
            subnet: (*subnet).to_owned(),
            ips: vec![(*ips).to_owned()],
            ..Default::default()
        };
        index.apply(&api::IpPool::new(name, spec));
    }
    index
}

/// Three free addresses and one used, of IPv4.
fn content() -> DualStack<Content> {
    let v4 = Content {
        usage: Usage {
            available: 3,
            used: 1,
        },
        free: vec![
            "10.1.0.2".parse().unwrap(),
            "10.1.0.4..10.1.0.5".parse().unwrap(),
        ],
        used: vec!["10.1.0.3".parse().unwrap()],
    };
    DualStack {
        v4: Some(v4),
        v6: None,
    }
}

fn report(pools: &[(&str, &str, &str)], content: &DualStack<Content>) -> Vec<String> {
    let name = |name: &str| IpPoolName::new(name).unwrap();
    let contents = pools.iter().map(|(pool, ..)| (name(pool), content.clone()));
    let statuses = statuses(&index(pools), &contents.collect());
    let line = |(name, status): (IpPoolName, IpPoolStatus)| {
        let [ready] = status.conditions.as_slice() else {
            panic!("{:?}", status.conditions)
        };
        format!("{name} {}: {}", ready.status, ready.message)
    };
    statuses.into_iter().map(line).collect()
}

#[test]
fn a_pool_counts_and_lists_what_is_free_and_what_is_used() {
    let pools = [("red", "s", "10.1.0.2..10.1.0.5")];
    let contents = Contents::from([(IpPoolName::new("red").unwrap(), content())]);
    let statuses = statuses(&index(&pools), &contents);
    let status = &statuses[&IpPoolName::new("red").unwrap()];
    assert_eq!((status.v4_available, status.v4_using), (3.0, 1.0));
    assert_eq!(status.v4_available_range, "10.1.0.2,10.1.0.4..10.1.0.5");
    assert_eq!(status.v4_using_range, "10.1.0.3");
    assert_eq!(report(&pools, &content()), ["red True: "]);
}

#[test]
fn a_pool_without_its_subnet_or_outside_of_it_or_of_nonsense_says_so() {
    let pools = [("a", "other", "10.1.0.2"), ("b", "s", "nonsense")];
    let lines = report(&pools, &DualStack::NONE);
    assert!(
        lines[0].starts_with("a False: subnet `other` does not exist"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("b False: spec.ips is `nonsense`"),
        "{lines:?}"
    );
    let empty = DualStack {
        v4: Some(Content::default()),
        v6: None,
    };
    let lines = report(&[("a", "s", "10.2.0.2")], &empty);
    assert!(lines[0].contains("inside of it"), "{lines:?}");
}

#[test]
fn of_two_pools_with_one_address_the_later_names_the_earlier() {
    let pools = [
        ("blue", "s", "10.1.0.2..10.1.0.9"),
        ("red", "s", "10.1.0.8/30"),
    ];
    let lines = report(&pools, &content());
    assert_eq!(lines[0], "blue True: ");
    assert!(
        lines[1].starts_with("red False: 10.1.0.8..10.1.0.11 is of the IP pool `blue`"),
        "{lines:?}"
    );
}

#[test]
fn the_time_of_a_condition_stays_until_it_turns() {
    let status = |fault: Option<&str>| IpPoolStatus {
        conditions: vec![ready(fault.map(str::to_owned))],
        ..IpPoolStatus::default()
    };
    let mut first = stamped(status(None), None);
    let early = Some(Time(Timestamp::UNIX_EPOCH));
    first.conditions[0].last_transition_time.clone_from(&early);
    let same = stamped(status(None), Some(&first));
    assert_eq!(same.conditions[0].last_transition_time, early);
    let turned = stamped(status(Some("x")), Some(&first));
    assert_ne!(turned.conditions[0].last_transition_time, early);
    assert_eq!(timeless(turned), status(Some("x")));
}
