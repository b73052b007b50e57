//! Addresses that outlive their pods.

use k8s_openapi::api::apps::v1::StatefulSet;

use super::*;

fn set(name: &str, replicas: u64) -> StatefulSet {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"replicas": replicas, "selector": {}, "serviceName": "", "template": {}},
    }))
    .unwrap()
}

/// `web-0` .. `web-2`, as they are after their creation.
struct World {
    ledger: Ledger,
    index: Index,
    pods: Vec<core::Pod>,
}

impl World {
    fn new() -> Self {
        let mut index = cluster();
        index.apply(&set("web", 3));
        let (ledger, pods) = (Ledger::default(), Vec::new());
        let mut world = Self {
            ledger,
            index,
            pods,
        };
        for ordinal in 0..3 {
            world.create(pod(&format!("web-{ordinal}")).of_set());
        }
        assert_eq!(world.addresses(), ["10.16.0.2", "10.16.0.3", "10.16.0.4"]);
        world
    }

    fn create(&mut self, pod: PodObject) -> Vec<Decision> {
        let pod = pod.build();
        self.pods.push(pod.clone());
        self.index.apply(&pod);
        self.settle()
    }

    fn delete(&mut self, name: &str) -> Vec<Decision> {
        self.index.delete(&pod(name).build());
        self.settle()
    }

    fn settle(&mut self) -> Vec<Decision> {
        settle(&mut self.ledger, &mut self.index, &self.pods)
    }

    fn addresses(&self) -> [String; 3] {
        let of = |ordinal| address_of(&self.index, &format!("web-{ordinal}"));
        [0, 1, 2].map(|ordinal| of(ordinal).unwrap_or_default())
    }

    fn mac_of(&self, pod: &str) -> MacAddr {
        self.index
            .records()
            .get(&format!("{pod}.default"))
            .unwrap()
            .mac
    }

    fn used(&self) -> u128 {
        let usages = self.ledger.usages(&self.index).unwrap();
        let usage = &usages[&SubnetName::new("ovn-default").unwrap()];
        usage.v4.unwrap().used
    }

    /// Another leader, which knows what the objects say.
    fn succeed(&mut self) {
        self.ledger = Ledger::default();
        let mut index = cluster();
        index.apply(&set("web", 3));
        for (name, record) in self.index.records().iter() {
            let pod = name.strip_suffix(".default").unwrap();
            let uid = record.claimant_uid.clone().unwrap();
            let mut object = super::record(pod, &uid, &record.addresses.to_string());
            object.spec.mac_address = record.mac.to_string();
            "StatefulSet".clone_into(&mut object.spec.pod_type);
            index.apply(&object);
        }
        self.index = index;
    }
}

#[test]
fn r05_a_pod_that_is_created_again_inherits_addresses_and_mac() {
    let mut world = World::new();
    let mac = world.mac_of("web-1");
    assert_eq!(world.delete("web-1"), []);
    assert_eq!(world.addresses()[1], "10.16.0.3");
    assert_eq!(world.used(), 3);

    let decisions = world.create(pod("web-1").of_set().uid("next").on("n2"));
    let [Decision::Renew { record, recorded }] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    assert_eq!(record, "uid-of-record-web-1");
    assert_eq!(recorded.addresses.to_string(), "10.16.0.3");
    assert_eq!((recorded.mac, recorded.uid.as_str()), (mac, "next"));
    assert_eq!(recorded.node, Some(NodeName::new("n2").unwrap()));
    assert_eq!(world.mac_of("web-1"), mac);
    assert_eq!(world.used(), 3);
}

#[test]
fn r05_nobody_else_gets_the_address_of_an_absent_pod() {
    let mut world = World::new();
    world.delete("web-0");
    world.create(pod("other"));
    assert_eq!(address_of(&world.index, "other").unwrap(), "10.16.0.5");
    let decisions = world.create(pod("greedy").annotated("ip_address", "10.16.0.2"));
    assert!(refusal(&decisions).message.contains("`web-0.default`"));
}

#[test]
fn r05_scaling_down_frees_the_ordinals_that_go_once_their_pods_are_gone() {
    let mut world = World::new();
    world.index.apply(&set("web", 1));
    assert_eq!(world.settle(), []);
    assert_eq!(world.addresses()[2], "10.16.0.4");
    world.delete("web-2");
    world.delete("web-1");
    assert_eq!(world.addresses(), ["10.16.0.2", "", ""]);
    assert_eq!(world.used(), 1);

    world.index.apply(&set("web", 3));
    let decisions = world.create(pod("web-1").of_set().uid("next"));
    assert!(
        matches!(decisions.as_slice(), [Decision::Record(_)]),
        "{decisions:?}"
    );
}

#[test]
fn r05_scaling_down_frees_also_the_addresses_of_absent_pods() {
    let mut world = World::new();
    world.delete("web-2");
    world.index.apply(&set("web", 2));
    world.settle();
    assert_eq!(world.addresses()[2], "");
}

#[test]
fn r05_a_set_that_is_deleted_frees_what_its_pods_had() {
    let mut deleting = set("web", 3);
    deleting.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    for is_foreground in [true, false] {
        let mut world = World::new();
        world.delete("web-0");
        if is_foreground {
            world.index.apply(&deleting);
        } else {
            world.index.delete(&set("web", 3));
        }
        world.settle();
        assert_eq!(world.addresses(), ["", "10.16.0.3", "10.16.0.4"]);
        world.delete("web-1");
        world.delete("web-2");
        assert_eq!(world.used(), 0);
    }
}

#[test]
fn r05_a_set_that_counts_from_another_number_keeps_those_ordinals() {
    let mut world = World::new();
    let mut later = set("web", 1);
    later.spec.as_mut().unwrap().ordinals = serde_json::from_value(json!({"start": 2})).unwrap();
    for name in ["web-0", "web-1", "web-2"] {
        world.delete(name);
    }
    world.index.apply(&later);
    world.settle();
    assert_eq!(world.addresses(), ["", "", "10.16.0.4"]);
}

#[test]
fn r05_an_evicted_pod_keeps_its_place() {
    let mut world = World::new();
    let evicted = pod("web-0")
        .of_set()
        .phase("Failed")
        .with("status", "reason", "Evicted");
    world.index.apply(&evicted.build());
    world.settle();
    assert_eq!(world.addresses()[0], "10.16.0.2");
}

#[test]
fn r03_another_leader_keeps_what_absent_pods_had_before_its_first_choice() {
    let mut world = World::new();
    for name in ["web-0", "web-1", "web-2"] {
        world.delete(name);
    }
    world.succeed();
    let early = pod("early").build();
    world.pods.push(early.clone());
    world.index.apply(&early);
    world.create(pod("web-2").of_set().uid("next"));
    assert_eq!(address_of(&world.index, "early").unwrap(), "10.16.0.5");
    assert_eq!(world.addresses(), ["10.16.0.2", "10.16.0.3", "10.16.0.4"]);
}

#[test]
fn r03_another_leader_frees_what_absent_pods_of_a_set_had_that_went_meanwhile() {
    let mut world = World::new();
    for name in ["web-0", "web-1", "web-2"] {
        world.delete(name);
    }
    world.succeed();
    world.index.delete(&set("web", 3));
    world.settle();
    assert_eq!(world.used(), 0);
}

#[test]
fn c1_a_set_without_a_pool_keeps_its_addresses_through_deletion_and_scaling() {
    let mut world = World::new();
    for round in 0..3 {
        for ordinal in 0..3 {
            world.delete(&format!("web-{ordinal}"));
        }
        for ordinal in [2, 0, 1] {
            let next = pod(&format!("web-{ordinal}")).of_set();
            world.create(next.uid(&format!("{round}-{ordinal}")));
        }
        assert_eq!(world.addresses(), ["10.16.0.2", "10.16.0.3", "10.16.0.4"]);
    }
}

#[test]
fn c1_the_pool_of_a_set_is_given_by_ordinal_and_nothing_beyond_it() {
    let mut world = World::new();
    world.index.delete(&set("web", 3));
    for name in ["web-0", "web-1", "web-2"] {
        world.delete(name);
    }
    world.index.apply(&set("web", 4));
    let pooled = |ordinal: u8| {
        pod(&format!("web-{ordinal}"))
            .of_set()
            .uid(&format!("pooled-{ordinal}"))
            .annotated("ip_pool", "10.16.0.31, 10.16.0.32 ,10.16.0.30")
    };
    for ordinal in [2, 0, 1] {
        world.create(pooled(ordinal));
    }
    assert_eq!(
        world.addresses(),
        ["10.16.0.31", "10.16.0.32", "10.16.0.30"]
    );
    let decisions = world.create(pooled(3));
    let message = &refusal(&decisions).message;
    assert!(
        message.contains("ordinal") && message.contains("scale"),
        "{message}"
    );
}

#[test]
fn a_set_whose_pool_was_changed_gets_what_the_new_one_says() {
    let mut world = World::new();
    world.delete("web-0");
    let next = pod("web-0").of_set().uid("next");
    let decisions = world.create(next.annotated("ip_pool", "10.16.0.40"));
    assert!(
        matches!(
            decisions.as_slice(),
            [Decision::Forget { .. }, Decision::Record(_)]
        ),
        "{decisions:?}"
    );
    assert_eq!(world.addresses()[0], "10.16.0.40");
}

#[test]
fn a_pod_of_no_set_does_not_inherit_by_its_name() {
    let mut world = World::new();
    world.create(pod("lone-7"));
    world.delete("lone-7");
    assert_eq!(address_of(&world.index, "lone-7"), None);
}

#[test]
fn a_record_that_kube_ovn_made_is_kept_while_its_name_is_a_place_of_a_set() {
    let mut world = World::new();
    let mut object = record("web-1", "", "10.16.0.3");
    object.metadata.annotations = None;
    object.spec.pod_type.clear();
    object.spec.mac_address = world.mac_of("web-1").to_string();
    world.index.apply(&object);
    assert_eq!(world.delete("web-1"), []);
    world.index.delete(&set("web", 3));
    world.settle();
    assert_eq!(world.addresses()[1], "");
}
