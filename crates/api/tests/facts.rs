//! Our definitions beside those of Kube-OVN 1.7.1.
//!
//! `facts/crds-v1.7.1.json` holds what the original installs: names, scope, columns, and each leaf
//! field with its type and bounds; `facts/crds-v1.16.2.json` the same of later kinds. Every difference stands in `facts/differences.txt` with its
//! reason; one that is not listed fails, and so does an entry that is no longer a difference.

#![cfg(test)]

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition,
};
use serde::Deserialize;
use serde_json::{Value, json};

const ORIGINAL: &str = include_str!("facts/crds-v1.7.1.json");
const LATER: &str = include_str!("facts/crds-v1.16.2.json");
const DIFFERENCES: &str = include_str!("facts/differences.txt");

/// `<kind> <field> <attribute>` and its value; the field of a whole definition is `.`.
type Facts = BTreeMap<String, Value>;

/// Attributes of a schema that say which values are valid, and what an absent one becomes.
const ATTRIBUTES: [&str; 9] = [
    "default",
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maximum",
    "minimum",
    "pattern",
    "x-kubernetes-list-type",
];

#[derive(Deserialize)]
struct Original {
    kinds: BTreeMap<String, Kind>,
}

#[derive(Deserialize)]
struct Kind {
    fields: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(flatten)]
    definition: BTreeMap<String, Value>,
}

#[test]
fn every_difference_from_the_original_is_listed_with_its_reason() {
    let (ours, theirs, listed) = (ours(), theirs(), listed());
    let differs = |key: &&String| ours.get(*key) != theirs.get(*key);
    let found: Facts = ours
        .keys()
        .chain(theirs.keys())
        .filter(differs)
        .map(|key| (key.clone(), ours.get(key).cloned().unwrap_or_default()))
        .collect();
    assert!(
        found == listed,
        "differences that are not listed:\n{}\nlisted, but not so:\n{}",
        lines_of_only(&found, &listed),
        lines_of_only(&listed, &found)
    );
}

fn lines_of_only(these: &Facts, those: &Facts) -> String {
    let only = these
        .iter()
        .filter(|(key, value)| those.get(*key) != Some(value));
    let lines: Vec<_> = only
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    lines.join("\n")
}

/// Paragraphs: an introduction, then reasons (`# ..`), each followed by its differences.
fn listed() -> Facts {
    let mut facts = Facts::new();
    for paragraph in DIFFERENCES.split("\n\n").skip(1) {
        let (reason, entries): (Vec<_>, Vec<_>) =
            paragraph.lines().partition(|line| line.starts_with("# "));
        assert!(!reason.is_empty(), "no reason for {paragraph}");
        for entry in entries {
            let (key, value) = entry.split_once(" = ").unwrap();
            let value: Value = serde_json::from_str(value).unwrap();
            let earlier = facts.insert(key.to_owned(), number(&value));
            assert!(earlier.is_none(), "{key} is listed twice");
        }
    }
    facts
}

fn theirs() -> Facts {
    let originals = [ORIGINAL, LATER].map(|text| serde_json::from_str::<Original>(text).unwrap());
    let kinds = originals.into_iter().flat_map(|it| it.kinds);
    kinds
        .flat_map(|(name, kind)| facts_of(&name, kind))
        .collect()
}

fn facts_of(name: &str, kind: Kind) -> Facts {
    let mut facts = Facts::new();
    let definition = (".".to_owned(), kind.definition);
    for (field, attributes) in kind.fields.into_iter().chain([definition]) {
        for (attribute, value) in attributes {
            facts.insert(format!("{name} {field} {attribute}"), number(&value));
        }
    }
    facts
}

fn ours() -> Facts {
    let mut facts = Facts::new();
    for crd in api::crds() {
        let kind = &crd.spec.names.kind;
        let mut report = |field: &str, attribute: &str, value| {
            facts.insert(format!("{kind} {field} {attribute}"), value);
        };
        for (attribute, value) in definition(&crd) {
            report(".", attribute, value);
        }
        let schema = json!(crd.spec.versions[0].schema)["openAPIV3Schema"].take();
        describe(".", &schema, &mut report);
    }
    facts
}

fn definition(crd: &CustomResourceDefinition) -> [(&'static str, Value); 8] {
    assert_eq!(crd.spec.versions.len(), 1);
    let (names, version) = (&crd.spec.names, &crd.spec.versions[0]);
    let column = |column: &CustomResourceColumnDefinition| {
        json!([column.name, column.type_, column.json_path])
    };
    let columns = version.additional_printer_columns.iter().flatten();
    let subresources = version.subresources.as_ref();
    let has_status = subresources.is_some_and(|subresources| subresources.status.is_some());
    [
        ("group", json!(crd.spec.group)),
        ("version", json!(version.name)),
        ("scope", json!(crd.spec.scope)),
        ("plural", json!(names.plural)),
        ("singular", json!(names.singular)),
        (
            "shortNames",
            json!(names.short_names.as_deref().unwrap_or_default()),
        ),
        ("columns", columns.map(column).collect()),
        ("statusSubresource", json!(has_status)),
    ]
}

/// Reports each attribute of the schema of `field` and of all schemas in it.
fn describe(field: &str, schema: &Value, report: &mut impl FnMut(&str, &str, Value)) {
    for attribute in ATTRIBUTES {
        if let Some(value) = schema.get(attribute) {
            report(field, attribute, number(value));
        }
    }
    if schema.get("x-kubernetes-validations").is_some() {
        report(field, "rules", json!(true));
    }
    if let Some(items) = schema.get("items") {
        describe(&format!("{field}[]"), items, report);
    } else if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            let path = format!("{field}.{name}");
            describe(path.trim_start_matches('.'), property, report);
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            let path = format!("{field}.{}", name.as_str().unwrap());
            report(path.trim_start_matches('.'), "required", json!(true));
        }
    } else {
        report(field, "type", schema["type"].clone());
    }
}

/// 1 and 1.0 are one number.
fn number(value: &Value) -> Value {
    value.as_f64().map_or_else(|| value.clone(), Value::from)
}
