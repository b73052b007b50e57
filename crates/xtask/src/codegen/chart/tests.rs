//! What the chart makes of values, and what it allows the programs to do.

mod interface;
mod permissions;
mod rendering;

use std::process::Output;

use serde_json::Value;

use super::helm;
use crate::workspace::Workspace;

/// The objects that the chart makes of values.
fn objects(values: &[&str]) -> Vec<Value> {
    let output = run(values);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .filter(|object: &Value| !object.is_null())
        .collect()
}

/// Why the chart refuses values.
fn refusal(values: &[&str]) -> String {
    let output = run(values);
    assert!(!output.status.success(), "{values:?} are accepted");
    String::from_utf8(output.stderr).unwrap()
}

fn run(values: &[&str]) -> Output {
    helm(&Workspace::here(), values).unwrap().output().unwrap()
}
