use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn cidr() -> impl Strategy<Value = Cidr> {
    (0_u8..4, 8_u8..=32).prop_map(|(net, len)| format!("10.{net}.0.0/{len}").parse().unwrap())
}

fn set() -> impl Strategy<Value = Set> {
    vec(cidr(), 0..5).prop_map(|cidrs| Set::new(IpFamily::V4, cidrs))
}

fn rule() -> impl Strategy<Value = Rule> {
    "[ab]".prop_map(|set| Rule {
        matches: vec![Match::Source(IpFamily::V4, Member::In, set)],
        verdict: Verdict::Masquerade,
    })
}

prop_compose! {
    fn chain()(priority in 0..2, rules in vec(rule(), 0..3)) -> Chain {
        let base = Base {
            kind: Kind::Nat,
            hook: Hook::Postrouting,
            priority,
            policy: Policy::Accept,
        };
        Chain { base, rules }
    }
}

prop_compose! {
    fn table()(
        chains in btree_map("[a-c]", chain(), 0..3),
        sets in btree_map("[a-c]", set(), 0..3),
    ) -> Table {
        Table { chains, sets }
    }
}

/// Refuses what the kernel refuses.
fn applied(table: Option<Table>, changes: Vec<Change>) -> Option<Table> {
    let mut table = table;
    for change in changes {
        match change {
            Change::AddTable => assert!(table.replace(Table::default()).is_none()),
            Change::RemoveTable => assert!(table.take().is_some()),
            Change::AddSet(name, family) => {
                let sets = &mut table.as_mut().unwrap().sets;
                assert!(sets.insert(name, Set::new(family, [])).is_none());
            }
            Change::RemoveSet(name) => {
                assert!(table.as_mut().unwrap().sets.remove(&name).is_some());
            }
            Change::AddElements(name, added) => {
                let set = table.as_mut().unwrap().sets.get_mut(&name).unwrap();
                add(set, added);
            }
            Change::RemoveElements(name, removed) => {
                let set = table.as_mut().unwrap().sets.get_mut(&name).unwrap();
                assert!(removed.iter().all(|cidr| set.elements.remove(cidr)));
            }
            Change::AddChain(name, base) => {
                let chains = &mut table.as_mut().unwrap().chains;
                let rules = Vec::new();
                assert!(chains.insert(name, Chain { base, rules }).is_none());
            }
            Change::RemoveChain(name) => {
                assert!(table.as_mut().unwrap().chains.remove(&name).is_some());
            }
            Change::Rules(name, rules) => {
                let table = table.as_mut().unwrap();
                table.chains.get_mut(&name).unwrap().rules = rules;
            }
        }
    }
    table
}

fn add(set: &mut Set, added: BTreeSet<Cidr>) {
    for cidr in added {
        assert!(set.elements.iter().all(|other| !other.overlaps(cidr)));
        set.elements.insert(cidr);
    }
}

proptest! {
    #[test]
    fn what_is_as_desired_needs_no_change(table in table()) {
        prop_assert_eq!(diff(Some(&table), Some(&table)), vec![]);
    }

    #[test]
    fn applying_the_changes_gives_what_is_desired(
        desired in proptest::option::of(table()),
        actual in proptest::option::of(table()),
    ) {
        let changes = diff(desired.as_ref(), actual.as_ref());
        prop_assert_eq!(applied(actual, changes), desired);
    }

    #[test]
    fn elements_of_a_set_never_overlap(cidrs in vec(cidr(), 0..8)) {
        let set = Set::new(IpFamily::V4, cidrs.clone());
        for one in &set.elements {
            let others = set.elements.iter().filter(|other| *other != one);
            prop_assert!(others.into_iter().all(|other| !other.overlaps(*one)));
        }
        for cidr in cidrs {
            prop_assert!(set.elements.iter().any(|wider| wider.contains(cidr.network())));
        }
    }
}

#[test]
fn one_more_network_changes_one_element() {
    let with = |cidrs: &[&str]| {
        let cidrs = cidrs.iter().map(|cidr| cidr.parse().unwrap());
        let sets = [("s".to_owned(), Set::new(IpFamily::V4, cidrs))].into();
        Table {
            sets,
            chains: BTreeMap::new(),
        }
    };
    let changes = diff(
        Some(&with(&["10.1.0.0/16", "10.2.0.0/16"])),
        Some(&with(&["10.1.0.0/16"])),
    );
    let added = ["10.2.0.0/16".parse().unwrap()].into();
    assert_eq!(changes, [Change::AddElements("s".to_owned(), added)]);
}
