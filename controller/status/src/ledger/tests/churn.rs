//! What holds of the records after any sequence of what users and leaders do.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// The last of them asks for an address that others may have.
const PODS: [&str; 5] = ["web-0", "web-1", "web-2", "any", "static"];
const WANTED: &str = "10.16.0.3";

#[derive(Debug, Clone)]
enum Step {
    Create(&'static str),
    Delete(&'static str),
    /// The record of a pod that is there.
    Edit(&'static str, Edit),
    /// To so many replicas; `None` deletes the set.
    Scale(Option<u64>),
    Exclude(Vec<String>),
    /// Another leader takes over.
    Succeed,
}

/// What somebody does to a record by hand.
#[derive(Debug, Clone)]
enum Edit {
    Address(String),
    /// The MAC that all pods of these tests have on request.
    Mac,
    Nonsense,
    Claimant,
    Delete,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => (2..9_u8).prop_map(|it| Edit::Address(format!("10.16.0.{it}"))),
        1 => Just(Edit::Mac),
        1 => Just(Edit::Nonsense),
        1 => Just(Edit::Claimant),
        2 => Just(Edit::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let excludes = prop::collection::vec((2..9_u8).prop_map(|it| format!("10.16.0.{it}")), 0..3);
    prop_oneof![
        6 => select(&PODS[..]).prop_map(Step::Create),
        6 => select(&PODS[..]).prop_map(Step::Delete),
        3 => (select(&PODS[..]), edit()).prop_map(|(pod, edit)| Step::Edit(pod, edit)),
        2 => prop::option::weighted(0.8, 0..4_u64).prop_map(Step::Scale),
        1 => excludes.prop_map(Step::Exclude),
        1 => Just(Step::Succeed),
    ]
}

/// The objects of the API server, and a leader.
struct World {
    pods: BTreeMap<&'static str, core::Pod>,
    records: BTreeMap<String, api::Ip>,
    replicas: Option<u64>,
    excludes: Vec<String>,
    created: u32,
    ledger: Ledger,
    index: Index,
}

impl World {
    fn new() -> Self {
        Self {
            pods: BTreeMap::new(),
            records: BTreeMap::new(),
            replicas: None,
            excludes: Vec::new(),
            created: 0,
            ledger: Ledger::default(),
            index: cluster(),
        }
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Create(name) => self.create(name),
            Step::Delete(name) => {
                if let Some(pod) = self.pods.remove(name) {
                    self.index.delete(&pod);
                }
            }
            Step::Edit(name, edit) => self.edit(name, edit),
            Step::Scale(replicas) => {
                self.replicas = replicas;
                self.apply_set();
            }
            Step::Exclude(excludes) => {
                self.excludes = excludes;
                self.apply_subnet();
            }
            Step::Succeed => self.succeed(),
        }
        self.settle();
    }

    fn create(&mut self, name: &'static str) {
        if self.pods.contains_key(name) {
            return;
        }
        self.created += 1;
        let object = pod(name).uid(&format!("uid-{}", self.created));
        let object = match name {
            "any" => object,
            "static" => object.annotated("ip_address", WANTED),
            _ => object.of_set(),
        };
        let pod = object.build();
        self.index.apply(&pod);
        self.pods.insert(name, pod);
    }

    fn edit(&mut self, name: &'static str, edit: Edit) {
        let record = format!("{name}.default");
        let Some(known) = self.records.get_mut(&record) else {
            return;
        };
        if !self.pods.contains_key(name) {
            return;
        }
        match edit {
            Edit::Address(address) => known.spec.ip_address = address,
            Edit::Mac => known.spec.mac_address = "00:00:00:00:00:09".to_owned(),
            Edit::Nonsense => known.spec.ip_address = "nonsense".to_owned(),
            Edit::Claimant => known.spec.pod_name = "somebody".to_owned(),
            Edit::Delete => {
                let known = known.clone();
                self.records.remove(&record);
                return self.index.delete(&known);
            }
        }
        self.index.apply(known);
    }

    fn apply_set(&mut self) {
        let set: StatefulSet = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": self.replicas, "selector": {}, "serviceName": "", "template": {}},
        }))
        .unwrap();
        match self.replicas {
            Some(_) => self.index.apply(&set),
            None => self.index.delete(&set),
        }
    }

    fn apply_subnet(&mut self) {
        let spec = api::SubnetSpec {
            cidr_block: "10.16.0.0/16".to_owned(),
            exclude_ips: self.excludes.clone(),
            ..Default::default()
        };
        self.index.apply(&api::Subnet::new("ovn-default", spec));
    }

    fn succeed(&mut self) {
        (self.ledger, self.index) = (Ledger::default(), cluster());
        self.apply_set();
        self.apply_subnet();
        for record in self.records.values() {
            self.index.apply(record);
        }
        for pod in self.pods.values() {
            self.index.apply(pod);
        }
    }

    fn settle(&mut self) {
        loop {
            let decisions = decide_all(&mut self.ledger, &mut self.index);
            let writes = decisions
                .iter()
                .filter(|it| !matches!(it, Decision::Refuse(_) | Decision::Disregard { .. }));
            let writes: Vec<_> = writes.cloned().collect();
            if writes.is_empty() {
                return;
            }
            for decision in writes {
                self.carry_out(&decision);
            }
        }
    }

    fn carry_out(&mut self, decision: &Decision) {
        match decision {
            Decision::Record(recorded)
            | Decision::Annotate(recorded)
            | Decision::Mend { recorded, .. }
            | Decision::Renew { recorded, .. } => {
                let uid = Some(recorded.uid.as_str());
                let mut pods = self.pods.values_mut();
                let pod = pods.find(|pod| pod.metadata.uid.as_deref() == uid).unwrap();
                *pod = patched(pod, &annotation_patch(recorded));
                let name = recorded.claimant.record_name();
                self.index.apply(pod);
                let record = if let Decision::Renew { record, .. } = decision {
                    patched(&self.records[&name], &renewal_patch(record, recorded))
                } else {
                    created(recorded)
                };
                self.index.apply(&record);
                self.records.insert(name, record);
            }
            Decision::Forget { name, .. } => {
                let record = self.records.remove(name).unwrap();
                self.index.delete(&record);
            }
            Decision::Settled
            | Decision::Locate { .. }
            | Decision::Disregard { .. }
            | Decision::Refuse(_) => {}
        }
    }

    fn is_kept(&self, pod: &str) -> bool {
        let ordinal = pod
            .strip_prefix("web-")
            .and_then(|it| it.parse::<u64>().ok());
        ordinal.is_some_and(|ordinal| self.replicas.is_some_and(|replicas| ordinal < replicas))
    }

    /// Each address is recorded once, for a pod that is there or for a place that is kept.
    fn check(&self) {
        let held: BTreeMap<_, _> = self
            .records
            .iter()
            .map(|(name, record)| (record.spec.ip_address.as_str(), name))
            .collect();
        assert_eq!(held.len(), self.records.len(), "{:?}", self.records);
        for record in self.records.values() {
            let pod = self.pods.get(record.spec.pod_name.as_str());
            let claimant = record
                .metadata
                .annotations
                .as_ref()
                .and_then(|it| it.values().next());
            match pod {
                Some(pod) => assert_eq!(claimant, pod.metadata.uid.as_ref()),
                None => assert!(self.is_kept(&record.spec.pod_name), "{record:?}"),
            }
        }
        for name in self.pods.keys() {
            let has_record = self.records.contains_key(&format!("{name}.default"));
            assert!(
                has_record || (*name == "static" && held.contains_key(WANTED)),
                "{name}"
            );
        }
        let usages = self.ledger.usages(&self.index).unwrap();
        let usage = &usages[&SubnetName::new("ovn-default").unwrap()];
        let records = u128::try_from(self.records.len()).unwrap();
        assert_eq!(usage.v4.unwrap().used, records);
        assert_eq!(
            self.index.inputs().ports.len(),
            self.pods.len().min(held_by(self))
        );
    }
}

/// How many pods have records.
fn held_by(world: &World) -> usize {
    let names = world.pods.keys();
    names
        .filter(|name| world.records.contains_key(&format!("{name}.default")))
        .count()
}

proptest! {
    #[test]
    fn r07_r08_every_address_is_recorded_once_and_counted_whatever_users_and_leaders_do(
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let mut world = World::new();
        for step in steps {
            world.perform(step);
            world.check();
        }
        world.perform(Step::Scale(None));
        for pod in PODS {
            world.perform(Step::Delete(pod));
        }
        world.check();
        prop_assert!(world.records.is_empty());
    }
}
