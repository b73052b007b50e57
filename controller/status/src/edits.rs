//! What the controller writes into objects of users, as patches of just the fields that differ.

use api::annotation::{self, ACCEPTED};
use api::{Subnet, Vpc};
use controller_index::{Effect, Index, Kind, Slots, Watched};
use model::{SubnetName, VpcName};
use serde_json::{Map, Value, json};

use crate::complaints::{Complaint, named};
use crate::slots;

/// What a subnet lacks; `None` when it is as it should be.
///
/// Its spec reads in full: defaults, normalised values, and no namespace that another subnet has.
/// A finalizer keeps it until nobody has an address of it. With what it is accepted is recorded once
/// its VPC is there, since after that it stays in that one.
pub(crate) fn of_subnet(index: &Index, object: &Subnet) -> Option<Value> {
    let name = SubnetName::new(object.metadata.name.clone()?).ok()?;
    let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
    if is_ending(&object.metadata) {
        let is_free = index.holders_of(&name).is_empty();
        return without_ours(finalizers).filter(|_| is_free).map(finalized);
    }
    let row = object.parse().ok()?;
    let acceptance = index.acceptance(&name)?;
    let network = &row.network;
    let mut patch = Map::new();
    if acceptance.cidrs.is_some() {
        merge(
            &mut patch,
            with_ours(finalizers, annotation::FINALIZER).map(finalized),
        );
    }
    let is_sound = acceptance
        .faults
        .iter()
        .all(|it| it.effect != Effect::Blocks);
    if is_sound && acceptance.cidrs == Some(network.cidrs) {
        let accepted = row.to_accept();
        let is_settled = index.vpcs().get(&accepted.vpc).is_some();
        if is_settled && row.accepted() != Some(&accepted) {
            let annotations = json!({ACCEPTED: accepted.to_string()});
            merge(
                &mut patch,
                Some(json!({"metadata": {"annotations": annotations}})),
            );
        }
    }
    if name == index.defaults().settings.join {
        let slots = slots::chosen(index, &row.slots);
        merge(
            &mut patch,
            (slots != row.slots).then(|| recorded_slots(&slots)),
        );
    }
    let mut spec = row.completed();
    spec.namespaces
        .retain(|it| index.taken_by(it, &name).is_none());
    let settings = &index.defaults().settings;
    if network.vpc == settings.default_vpc && name != index.defaults().subnet {
        spec.default = false;
    }
    let differing = differing(&json!(object.spec), &json!(spec));
    merge(&mut patch, differing.map(|spec| json!({"spec": spec})));
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// No annotation where there is nothing to record.
fn recorded_slots(slots: &Slots) -> Value {
    let text = Some(slots.to_string()).filter(|text| !text.is_empty());
    json!({"metadata": {"annotations": {annotation::GATEWAY_SLOTS: text}}})
}

/// The namespaces that the subnet names in vain.
pub(crate) fn lost_namespaces(index: &Index, name: &SubnetName) -> Vec<Complaint> {
    let Some(subnet) = index.subnets().get(name) else {
        return Vec::new();
    };
    let lost = subnet.namespaces.iter();
    let lost = lost.filter_map(|it| Some((it, index.taken_by(it, name)?)));
    let complaint = |(namespace, holder): (&String, &SubnetName)| Complaint {
        object: named(Kind::Subnet, name),
        uid: subnet.life.uid.clone(),
        reason: "NamespaceTaken".to_owned(),
        message: format!(
            "spec.namespaces named `{namespace}`, which subnet {holder}, created later, names, \
             too; it was removed here: to have it here, remove it there first"
        ),
    };
    lost.map(complaint).collect()
}

/// A finalizer keeps a VPC until no subnet is in it.
pub(crate) fn of_vpc(index: &Index, object: &Vpc) -> Option<Value> {
    let name = VpcName::new(object.metadata.name.clone()?).ok()?;
    let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
    if is_ending(&object.metadata) {
        let is_empty = index.subnets_in(&name).next().is_none();
        return without_ours(finalizers).filter(|_| is_empty).map(finalized);
    }
    with_ours(finalizers, annotation::LATER_FINALIZER).map(finalized)
}

/// What a namespace's annotations lack.
pub(crate) fn of_namespace(index: &Index, name: &str) -> Option<Value> {
    let namespace = index.namespaces().get(&name.to_owned())?;
    let binding = index.binding_of(name)?;
    let is_due = !namespace.is_deleting && binding != namespace.annotated;
    is_due
        .then(|| json!({"metadata": {"uid": namespace.uid, "annotations": binding.annotations()}}))
}

fn is_ending(meta: &kube::core::ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the last use of what was made for it"
)]
fn finalized(finalizers: Vec<String>) -> Value {
    json!({"metadata": {"finalizers": finalizers}})
}

fn is_ours(finalizer: &str) -> bool {
    [annotation::FINALIZER, annotation::LATER_FINALIZER].contains(&finalizer)
}

/// The finalizers with one of ours; `None` when there is one.
fn with_ours(finalizers: &[String], ours: &str) -> Option<Vec<String>> {
    let is_there = finalizers.iter().any(|it| is_ours(it));
    (!is_there).then(|| {
        finalizers
            .iter()
            .cloned()
            .chain([ours.to_owned()])
            .collect()
    })
}

/// The finalizers without ours; `None` when there is none.
fn without_ours(finalizers: &[String]) -> Option<Vec<String>> {
    let is_there = finalizers.iter().any(|it| is_ours(it));
    is_there.then(|| {
        finalizers
            .iter()
            .filter(|it| !is_ours(it))
            .cloned()
            .collect()
    })
}

/// The fields of `wanted` that `actual` has not so, as a merge patch.
fn differing(actual: &Value, wanted: &Value) -> Option<Value> {
    let (actual, wanted) = (actual.as_object()?, wanted.as_object()?);
    let set = wanted
        .iter()
        .filter(|(key, value)| actual.get(*key) != Some(value));
    let set = set.map(|(key, value)| (key.clone(), value.clone()));
    let removed = actual.keys().filter(|key| !wanted.contains_key(*key));
    let removed = removed.map(|key| (key.clone(), Value::Null));
    let patch: Map<_, _> = set.chain(removed).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The patch, for the object as it is at that version.
pub(crate) fn at_version(patch: Value, version: Option<&str>) -> Value {
    let mut all = Map::new();
    merge(&mut all, Some(patch));
    merge(
        &mut all,
        Some(json!({"metadata": {"resourceVersion": version}})),
    );
    Value::Object(all)
}

/// Both patches in one.
fn merge(patch: &mut Map<String, Value>, other: Option<Value>) {
    let Some(Value::Object(other)) = other else {
        return;
    };
    for (key, value) in other {
        match patch.get_mut(&key) {
            Some(Value::Object(inner)) => merge(inner, Some(value)),
            Some(_) | None => drop(patch.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests;
