//! Named pools: addresses for those who name them.

use super::*;

impl SubnetPool {
    fn named(mut self, name: &str, ranges: &[&str]) -> Self {
        let ranges = ranges.iter().map(|it| it.parse().unwrap());
        self.pools.insert(name.parse().unwrap(), ranges.collect());
        self
    }
}

fn of(pool: &str, key: &str) -> Request {
    pod(key).of_pool(Some(pool.parse().unwrap()))
}

fn subnet() -> Ipam {
    let pool = pool("10.0.0.0/29").gateway("10.0.0.1");
    ipam(pool.named("red", &["10.0.0.2..10.0.0.3", "10.9.0.0..10.9.0.9"]))
}

#[test]
fn a_pool_goes_to_those_who_name_it_and_the_rest_to_the_others() {
    let mut ipam = subnet();
    assert_eq!(ipam.available(IpFamily::V4), 3);
    assert_eq!(ipam.get(&pod("a")).unwrap(), "10.0.0.4");
    assert_eq!(ipam.get(&of("red", "b")).unwrap(), "10.0.0.2");
    assert_eq!(ipam.get(&of("red", "c")).unwrap(), "10.0.0.3");
    let error = ipam.get(&of("red", "d")).unwrap_err().to_string();
    assert!(
        error.contains("`red`") && error.contains("add addresses"),
        "{error}"
    );
    let content = ipam.pool_content(&name("s"), &"red".parse().unwrap());
    let content = content.v4.unwrap();
    assert_eq!((content.usage.available, content.usage.used), (0, 2));
    assert_eq!(content.used[0].to_string(), "10.0.0.2..10.0.0.3");
}

#[test]
fn an_address_of_a_pool_cannot_be_asked_for_without_naming_it() {
    let mut ipam = subnet();
    let error = ipam.get(&pod("a").at("10.0.0.3")).unwrap_err().to_string();
    for word in ["10.0.0.3", "`s`", "`red`", "ip_pool"] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(
        ipam.get(&of("red", "a").at("10.0.0.3")).unwrap(),
        "10.0.0.3"
    );
    assert_eq!(
        ipam.get(&of("red", "b").at("10.0.0.5")).unwrap(),
        "10.0.0.5"
    );
}

#[test]
fn a_pool_that_the_subnet_does_not_have_is_named() {
    let error = subnet().get(&of("blue", "a")).unwrap_err();
    let (subnet, pool) = (name("s"), "blue".parse().unwrap());
    assert_eq!(error, AllocateError::UnknownPool { subnet, pool });
}

#[test]
fn who_holds_an_address_keeps_it_when_a_pool_takes_it_and_when_the_pool_goes() {
    let mut ipam = ipam(pool("10.0.0.0/29"));
    assert_eq!(ipam.get(&pod("a")).unwrap(), "10.0.0.1");
    let definition = pool("10.0.0.0/29").named("red", &["10.0.0.1..10.0.0.2"]);
    ipam.set_subnet(name("s"), vpc("v"), definition);
    assert_eq!(ipam.get(&pod("a")).unwrap(), "10.0.0.1");
    assert_eq!(ipam.get(&of("red", "b")).unwrap(), "10.0.0.2");
    ipam.set_subnet(name("s"), vpc("v"), pool("10.0.0.0/29"));
    assert_eq!(ipam.get(&pod("c")).unwrap(), "10.0.0.3");
}

#[test]
fn of_two_pools_with_one_address_the_first_by_name_has_it() {
    let definition = pool("10.0.0.0/29")
        .named("blue", &["10.0.0.2..10.0.0.3"])
        .named("red", &["10.0.0.3..10.0.0.4"]);
    let mut ipam = ipam(definition);
    assert_eq!(ipam.get(&of("red", "a")).unwrap(), "10.0.0.4");
    assert_eq!(ipam.get(&of("blue", "b")).unwrap(), "10.0.0.2");
}

#[test]
fn a_pool_of_one_family_leaves_the_other_to_the_subnet() {
    let definition = pool("10.0.0.0/29,fd00::/64").named("red", &["10.0.0.5"]);
    let mut ipam = ipam(definition);
    assert_eq!(ipam.get(&of("red", "a")).unwrap(), "10.0.0.5,fd00::1");
}
