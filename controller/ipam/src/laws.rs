//! What holds after any sequence of operations, checked against a count by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{
    AddressRange, CidrPair, DualStack, IpFamily, IpPoolName, MacAddr, SubnetName, VpcName,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{Claim, ClaimKey, Ipam, Request, SubnetPool, Succession, Uid, Usage, Wish};

// === operations ===

const SUBNETS: [&str; 2] = ["s", "t"];
const CIDRS: [&str; 8] = [
    "10.0.0.0/28",
    "10.0.0.0/29",
    "10.0.0.8/29",
    "10.0.0.0/28,fd00::/125",
    "fd00::/124",
    "10.0.0.0/31",
    "10.0.0.4/30",
    "10.0.0.0/31,fd00::/126",
];

#[derive(Debug, Clone)]
enum Step {
    Allocate(Request),
    Release(ClaimKey, Uid),
    Restore(Claim),
    Set(SubnetName, VpcName, SubnetPool),
    Remove(SubnetName),
}

fn subnet() -> impl Strategy<Value = SubnetName> {
    select(&SUBNETS[..]).prop_map(|name| name.parse().unwrap())
}

fn key() -> impl Strategy<Value = ClaimKey> {
    (0..20_u8).prop_map(|number| ClaimKey::new(format!("pod{number}.ns")))
}

fn uid() -> impl Strategy<Value = Uid> {
    select(&["first", "second"][..]).prop_map(Uid::new)
}

/// An address in, near or at the edge of the CIDRs above.
fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = (0..20_u8).prop_map(|host| IpAddr::from([10, 0, 0, host]));
    let v6 = (0..20_u16).prop_map(|host| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, host]));
    prop_oneof![v4, v6]
}

fn range() -> impl Strategy<Value = AddressRange> {
    (address(), address()).prop_filter_map("ascending, of one family", |(start, end)| {
        AddressRange::new(start, end)
    })
}

fn pair() -> impl Strategy<Value = DualStack<IpAddr>> {
    prop::collection::vec(address(), 1..3)
        .prop_filter_map("one of each family", DualStack::from_values)
}

fn mac() -> impl Strategy<Value = MacAddr> {
    (1..6_u64).prop_map(MacAddr::from_seed)
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => Just(Wish::Any),
        2 => pair().prop_map(Wish::Addresses),
        1 => prop::collection::vec(address(), 0..4).prop_map(Wish::OneOf),
    ]
}

fn pool() -> impl Strategy<Value = IpPoolName> {
    select(&["red", "green"][..]).prop_map(|name| name.parse().unwrap())
}

fn request() -> impl Strategy<Value = Request> {
    let succession = select(vec![
        Succession::Inherit,
        Succession::Replace,
        Succession::Refuse,
    ]);
    let mac = prop::option::weighted(0.2, mac());
    let pool = prop::option::weighted(0.3, pool());
    (key(), uid(), subnet(), succession, wish(), mac, pool).prop_map(
        |(key, uid, subnet, succession, wish, mac, pool)| Request {
            mac,
            pool,
            ..Request::new(key, uid, subnet, succession).with_wish(wish)
        },
    )
}

fn record() -> impl Strategy<Value = Claim> {
    let uid = prop::option::of(uid());
    (key(), uid, subnet(), pair(), mac()).prop_map(|(key, uid, subnet, addresses, mac)| Claim {
        key,
        uid,
        subnet,
        addresses,
        mac,
    })
}

fn definition() -> impl Strategy<Value = SubnetPool> {
    let gateways = prop_oneof![Just(DualStack::NONE), pair()];
    let excludes = prop::collection::vec(range(), 0..3);
    let forbidden = prop::collection::btree_set(address(), 0..2);
    let pools = prop::collection::btree_map(pool(), prop::collection::vec(range(), 1..3), 0..3);
    (select(&CIDRS[..]), gateways, excludes, forbidden, pools).prop_map(
        |(cidrs, gateways, excludes, forbidden, pools)| SubnetPool {
            cidrs: cidrs.parse().unwrap(),
            gateways,
            excludes,
            pools,
            forbidden,
            router_mac: Some(MacAddr::from_seed(1)),
            former_gateways: BTreeSet::new(),
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let vpc = select(&["v", "w"][..]).prop_map(|name| name.parse::<VpcName>().unwrap());
    prop_oneof![
        12 => request().prop_map(Step::Allocate),
        6 => (key(), uid()).prop_map(|(key, uid)| Step::Release(key, uid)),
        2 => record().prop_map(Step::Restore),
        2 => (subnet(), vpc, definition()).prop_map(|(name, vpc, it)| Step::Set(name, vpc, it)),
        1 => subnet().prop_map(Step::Remove),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..50)
}

/// An allocator and, kept beside it, what its subnets are defined as.
#[derive(Debug, Default)]
struct World {
    ipam: Ipam,
    definitions: BTreeMap<SubnetName, SubnetPool>,
}

impl World {
    fn after(steps: Vec<Step>) -> Self {
        let mut world = Self::default();
        for name in SUBNETS {
            world.set(name.parse().unwrap(), "v".parse().unwrap(), whole(CIDRS[3]));
        }
        for step in steps {
            world.perform(step);
        }
        world
    }

    /// Performs the step; an error must leave everything as it was.
    fn perform(&mut self, step: Step) {
        let before = self.ipam.clone();
        let unchanged = match step {
            Step::Allocate(request) => self.ipam.allocate(&request).is_err(),
            Step::Release(key, uid) => self.ipam.release(&key, &uid).is_none(),
            Step::Restore(claim) => self.ipam.restore(claim).is_err(),
            Step::Set(name, vpc, definition) => {
                self.set(name, vpc, definition);
                false
            }
            Step::Remove(name) => {
                self.ipam.remove_subnet(&name);
                self.definitions.remove(&name).is_none()
            }
        };
        assert!(!unchanged || self.ipam == before);
    }

    fn set(&mut self, name: SubnetName, vpc: VpcName, definition: SubnetPool) {
        self.definitions.insert(name.clone(), definition.clone());
        self.ipam.set_subnet(name, vpc, definition);
    }
}

/// A subnet of which every host may be handed out.
fn whole(cidrs: &str) -> SubnetPool {
    SubnetPool {
        cidrs: cidrs.parse().unwrap(),
        ..SubnetPool::default()
    }
}

// === the count by hand ===

fn hosts(cidrs: &CidrPair, family: IpFamily) -> BTreeSet<IpAddr> {
    let hosts = cidrs.get(family).and_then(|cidr| cidr.hosts());
    let numbers =
        hosts.map(|it| model::address::number(it.start())..=model::address::number(it.end()));
    let addresses = numbers.into_iter().flatten();
    addresses.filter_map(|it| family.address(it)).collect()
}

fn is_reserved(definition: &SubnetPool, address: IpAddr) -> bool {
    definition.forbidden.contains(&address)
        || definition.gateways.values().any(|it| *it == address)
        || definition.excludes.iter().any(|it| it.contains(address))
        || definition
            .pools
            .values()
            .flatten()
            .any(|it| it.contains(address))
}

/// The addresses in use by subnet, from the claims alone.
fn used(ipam: &Ipam, subnet: &SubnetName, family: IpFamily) -> Vec<IpAddr> {
    let claims = ipam.claims().filter(|claim| claim.subnet == *subnet);
    claims
        .filter_map(|claim| claim.addresses.get(family).copied())
        .collect()
}

fn usage_by_hand(world: &World, subnet: &SubnetName, family: IpFamily) -> Usage {
    let used = used(&world.ipam, subnet, family);
    let definition = world.definitions.get(subnet);
    let free = definition.map_or(0, |it| {
        let hosts = hosts(&it.cidrs, family).into_iter();
        hosts
            .filter(|host| !is_reserved(it, *host) && !used.contains(host))
            .count()
    });
    Usage {
        available: u128::try_from(free).unwrap(),
        used: u128::try_from(used.len()).unwrap(),
    }
}

fn any(number: usize) -> Request {
    let key = ClaimKey::new(format!("filler{number}.ns"));
    Request::new(key, Uid::new("u"), "s".parse().unwrap(), Succession::Refuse)
}

/// Takes addresses until none is left, in the order in which they come.
fn drain(ipam: &mut Ipam) -> Vec<IpAddr> {
    let claims = (0..).map_while(|number| ipam.allocate(&any(number)).ok());
    claims.filter_map(|claim| claim.addresses.v4).collect()
}

// === laws ===

proptest! {
    #[test]
    fn no_address_has_two_holders(steps in steps()) {
        let world = World::after(steps);
        for subnet in SUBNETS.map(|name| name.parse().unwrap()) {
            for family in IpFamily::ALL {
                let used = used(&world.ipam, &subnet, family);
                let distinct: BTreeSet<_> = used.iter().collect();
                prop_assert_eq!(distinct.len(), used.len());
            }
        }
    }

    #[test]
    fn r07_counters_equal_the_truth(steps in steps()) {
        let world = World::after(steps);
        for subnet in SUBNETS.map(|name| name.parse().unwrap()) {
            for family in IpFamily::ALL {
                let usage = world.ipam.usage(&subnet, family);
                prop_assert_eq!(usage, usage_by_hand(&world, &subnet, family));
            }
        }
    }

    #[test]
    fn r08_after_any_edit_an_address_in_use_is_handed_out_to_nobody(
        steps in steps(),
        edits in prop::collection::vec(definition(), 1..4),
        releases in prop::collection::vec((key(), uid()), 0..4),
    ) {
        let mut world = World::after(steps);
        for edit in edits {
            world.set("s".parse().unwrap(), "v".parse().unwrap(), edit);
            for (key, uid) in releases.clone() {
                world.perform(Step::Release(key, uid));
            }
        }
        let s = "s".parse().unwrap();
        let used: BTreeSet<_> = used(&world.ipam, &s, IpFamily::V4).into_iter().collect();
        let definition = world.definitions.get(&s).cloned().unwrap();
        let order = drain(&mut world.ipam);
        let distinct: BTreeSet<_> = order.iter().copied().collect();
        prop_assert_eq!(distinct.len(), order.len());
        prop_assert!(distinct.is_disjoint(&used));
        prop_assert!(!order.iter().any(|it| is_reserved(&definition, *it)));
    }

    #[test]
    fn free_used_and_reserved_make_up_the_subnet(steps in steps()) {
        let world = World::after(steps);
        for (subnet, definition) in &world.definitions {
            for family in IpFamily::ALL {
                let mut rest = hosts(&definition.cidrs, family);
                let usable = u128::try_from(rest.len()).unwrap();
                let used = used(&world.ipam, subnet, family);
                rest.retain(|host| is_reserved(definition, *host) || used.contains(host));
                let rest = u128::try_from(rest.len()).unwrap();
                prop_assert_eq!(world.ipam.usage(subnet, family).available + rest, usable);
            }
        }
    }

    #[test]
    fn what_is_allocated_meets_the_request_and_repeating_it_changes_nothing(
        steps in steps(),
        request in request(),
    ) {
        let mut ipam = World::after(steps).ipam;
        if let Ok(claim) = ipam.allocate(&request) {
            prop_assert!(request.is_met_by(&claim));
            prop_assert_eq!(claim.uid.as_ref(), Some(&request.uid));
            let after = ipam.clone();
            prop_assert_eq!(ipam.allocate(&request), Ok(claim));
            prop_assert_eq!(ipam, after);
        }
    }

    #[test]
    fn the_addresses_of_a_pool_go_to_nobody_else(steps in steps(), request in request()) {
        let mut world = World::after(steps);
        let former = world.ipam.claim(&request.key).cloned();
        let former = former.map_or(DualStack::NONE, |former| former.addresses);
        let pools = world.definitions.get(&request.subnet).map(|it| it.pools.clone());
        if let Ok(claim) = world.ipam.allocate(&request) {
            let fresh = claim.addresses.values().filter(|it| former.values().all(|old| old != *it));
            for address in fresh {
                let pools = pools.iter().flatten();
                let mut of = pools.filter(|(_, ranges)| ranges.iter().any(|it| it.contains(*address)));
                let first = of.next().map(|(name, _)| name);
                prop_assert!(first.is_none() || first == request.pool.as_ref());
            }
        }
    }

    #[test]
    fn a_pool_is_what_is_free_and_what_is_used_of_it(steps in steps(), name in pool()) {
        let world = World::after(steps);
        for (subnet, definition) in &world.definitions {
            let content = world.ipam.pool_content(subnet, &name);
            for (family, content) in content.iter() {
                let held: BTreeSet<_> = used(&world.ipam, subnet, family).into_iter().collect();
                let ranges = definition.pools.get(&name).into_iter().flatten();
                let is_in = |ranges: &[AddressRange], it| ranges.iter().any(|range| range.contains(it));
                let ranges: Vec<_> = ranges.copied().collect();
                for host in hosts(&definition.cidrs, family) {
                    let (free, used) = (is_in(&content.free, host), is_in(&content.used, host));
                    prop_assert!(!(free && used) && (!(free || used) || is_in(&ranges, host)));
                    prop_assert!(!free || !held.contains(&host));
                    prop_assert!(!used || held.contains(&host));
                }
                let all = content.usage.available + content.usage.used;
                let sizes = content.free.iter().chain(&content.used);
                let size = |it: &AddressRange| {
                    model::address::number(it.end()) - model::address::number(it.start()) + 1
                };
                prop_assert_eq!(sizes.map(size).sum::<u128>(), all);
            }
        }
    }

    #[test]
    fn a_new_claim_gets_a_mac_that_nobody_in_its_vpc_has(steps in steps()) {
        let mut ipam = World::after(steps).ipam;
        ipam.set_subnet("u".parse().unwrap(), "v".parse().unwrap(), whole("10.9.0.0/24"));
        let request = Request { subnet: "u".parse().unwrap(), ..any(0) };
        let claim = ipam.allocate(&request).unwrap();
        let vpc = "v".parse().unwrap();
        prop_assert_eq!(ipam.with_mac(&vpc, claim.mac).count(), 1);
    }

    #[test]
    fn releasing_what_was_allocated_conserves_the_pool(steps in steps(), request in request()) {
        let mut ipam = World::after(steps).ipam;
        prop_assume!(ipam.claim(&request.key).is_none());
        let before = ipam.clone();
        if let Ok(claim) = ipam.allocate(&request) {
            prop_assert_eq!(ipam.release(&request.key, &request.uid), Some(claim));
        }
        prop_assert!(ipam.claims().eq(before.claims()));
        for family in IpFamily::ALL {
            let usage = |ipam: &Ipam| ipam.usage(&request.subnet, family);
            prop_assert_eq!(usage(&ipam), usage(&before));
        }
    }

    #[test]
    fn a_released_address_comes_back_last(which: Index, spare in 0..10_usize) {
        let mut ipam = Ipam::default();
        ipam.set_subnet("s".parse().unwrap(), "v".parse().unwrap(), whole("10.0.0.0/28"));
        let taken: Vec<_> = (0..14 - spare)
            .map(|number| ipam.allocate(&any(number)).unwrap())
            .collect();
        let released = which.get(&taken);
        ipam.release(&released.key, &Uid::new("u")).unwrap();
        let order: Vec<_> = (100..)
            .map_while(|number| ipam.allocate(&any(number)).ok())
            .collect();
        prop_assert_eq!(order.len(), spare + 1);
        prop_assert_eq!(order.last().unwrap().addresses, released.addresses);
    }

    #[test]
    fn records_rebuild_the_allocator_in_any_order(
        (steps, records) in steps().prop_flat_map(|steps| {
            let claims: Vec<_> = World::after(steps.clone()).ipam.claims().cloned().collect();
            (Just(steps), Just(claims).prop_shuffle())
        })
    ) {
        let world = World::after(steps);
        let mut ipam = Ipam::default();
        for record in records {
            prop_assert_eq!(ipam.restore(record), Ok(()));
        }
        let mut late = ipam.clone();
        for (name, definition) in &world.definitions {
            late.set_subnet(name.clone(), "v".parse().unwrap(), definition.clone());
        }
        let mut early = Ipam::default();
        for (name, definition) in &world.definitions {
            early.set_subnet(name.clone(), "v".parse().unwrap(), definition.clone());
        }
        for record in world.ipam.claims() {
            prop_assert_eq!(early.restore(record.clone()), Ok(()));
        }
        prop_assert_eq!(&early, &late);
        prop_assert!(early.claims().eq(world.ipam.claims()));
        for subnet in world.definitions.keys() {
            for family in IpFamily::ALL {
                prop_assert_eq!(early.usage(subnet, family), world.ipam.usage(subnet, family));
            }
        }
    }

    #[test]
    fn everything_free_can_be_had_and_nothing_else(steps in steps()) {
        let mut world = World::after(steps);
        let cidrs = world.definitions.get(&"s".parse().unwrap()).map(|it| it.cidrs);
        prop_assume!(cidrs.is_some_and(|it| it.v4.is_some() && it.v6.is_none()));
        let available = world.ipam.usage(&"s".parse().unwrap(), IpFamily::V4).available;
        let order = drain(&mut world.ipam);
        prop_assert_eq!(u128::try_from(order.len()).unwrap(), available);
    }
}
