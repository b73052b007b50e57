//! Whoever may do something is on a list that says which line of its code does it.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::objects;
use crate::workspace::Workspace;

/// `<account> <resource>.<group> <verbs> <file>: <text in it>`
const USED: &str = include_str!("used.txt");

/// One verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Permission {
    account: String,
    /// `pods`, `events.events.k8s.io`, or one object, `leases.coordination.k8s.io/name`.
    resource: String,
    verb: String,
}

/// Permissions, each with the file that uses it and a text that shows it.
fn used() -> Vec<(Permission, &'static str, &'static str)> {
    let lines = USED.lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(|line| {
            let (what, text) = line.split_once(": ").unwrap();
            let words: Vec<&str> = what.split_whitespace().collect();
            let [account, resource, verbs, file] = words[..] else {
                panic!("not four words: {what}");
            };
            verbs.split(',').map(move |verb| {
                let permission = Permission {
                    account: account.to_owned(),
                    resource: resource.to_owned(),
                    verb: verb.to_owned(),
                };
                (permission, file, text)
            })
        })
        .collect()
}

/// Every permission that the chart gives; a role has the name of the account that it is bound to.
fn granted(objects: &[Value]) -> BTreeSet<Permission> {
    let roles = objects
        .iter()
        .filter(|object| object["kind"] == "ClusterRole" || object["kind"] == "Role");
    roles
        .flat_map(|role| {
            let account = name(role);
            let rules = role["rules"].as_array().unwrap();
            rules.iter().flat_map(move |rule| of_rule(account, rule))
        })
        .collect()
}

fn of_rule(account: &str, rule: &Value) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for group in texts(&rule["apiGroups"]) {
        for resource in texts(&rule["resources"]) {
            let dot = if group.is_empty() { "" } else { "." };
            for one in of_names(&rule["resourceNames"]) {
                let of_verb = |verb: &str| Permission {
                    account: account.to_owned(),
                    resource: format!("{resource}{dot}{group}{one}"),
                    verb: verb.to_owned(),
                };
                permissions.extend(texts(&rule["verbs"]).map(of_verb));
            }
        }
    }
    permissions
}

/// What names a rule is limited to, as `/name`; one empty text when it is not limited.
fn of_names(names: &Value) -> Vec<String> {
    if names.is_null() {
        return vec![String::new()];
    }
    texts(names).map(|name| format!("/{name}")).collect()
}

fn texts(array: &Value) -> impl Iterator<Item = &str> {
    let values = array.as_array().unwrap().iter();
    values.map(|value| value.as_str().unwrap())
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

#[test]
fn the_chart_grants_what_the_programs_use_and_nothing_else() {
    let used = used().into_iter().map(|(permission, _, _)| permission);
    let used: BTreeSet<Permission> = used.collect();
    for ssl in ["enableSsl=true", "enableSsl=false"] {
        assert_eq!(granted(&objects(&[ssl])), used, "{ssl}");
    }
}

#[test]
fn what_is_said_to_be_used_stands_in_the_code() {
    for (permission, file, text) in used() {
        let code = fs::read_to_string(Workspace::here().path(file));
        let code = code.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(code.contains(text), "{permission:?}: no `{text}` in {file}");
    }
}

#[test]
fn every_role_is_bound_to_the_account_of_its_name() {
    let objects = objects(&[]);
    let names = |kind: &str| -> BTreeSet<&str> {
        let of_kind = objects.iter().filter(|object| object["kind"] == kind);
        of_kind.map(name).collect()
    };
    assert_eq!(names("Role"), names("RoleBinding"));
    assert_eq!(names("ClusterRole"), names("ClusterRoleBinding"));
    for binding in objects.iter().filter(|object| !object["roleRef"].is_null()) {
        assert_eq!(binding["roleRef"]["name"], name(binding));
        assert_eq!(binding["subjects"][0]["name"], name(binding));
    }
}

#[test]
fn only_programs_with_permissions_get_a_token() {
    let objects = objects(&[]);
    let granted = granted(&objects);
    let accounts: BTreeSet<&str> = granted
        .iter()
        .map(|permission| permission.account.as_str())
        .collect();
    for object in &objects {
        let pod = &object["spec"]["template"]["spec"];
        let Some(account) = pod["serviceAccountName"].as_str() else {
            continue;
        };
        let has_token = pod["automountServiceAccountToken"] != false;
        assert_eq!(has_token, accounts.contains(account), "{account}");
    }
}
