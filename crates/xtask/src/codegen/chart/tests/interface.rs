//! What the chart passes to programs is what the programs read.

use std::{fs, path::Path};

use serde_json::Value;

use super::objects;
use crate::workspace::Workspace;

/// Where the programs of each image read arguments and variables.
const SOURCES: [(&str, &str); 4] = [
    ("controller", "controller/src"),
    ("daemon", "daemon/src"),
    ("ovn", "crates/central/src"),
    ("pinger", "pinger/src"),
];
/// The arguments of all of them.
const SHARED: &str = "crates/kit/src";

/// A container, and the code of its program.
struct Program {
    name: String,
    container: Value,
    code: String,
}

fn programs() -> Vec<Program> {
    let values = [
        "tunnelInterface=eth1",
        "mtu=1400",
        "central.addresses={10.0.0.1}",
    ];
    let pods = objects(&values).into_iter();
    pods.filter_map(|object| {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array()?;
        let container = containers.first()?.clone();
        let image = container["image"].as_str()?;
        let role = image.rsplit('/').next()?.split(':').next()?;
        let (_, folder) = SOURCES.iter().find(|(name, _)| *name == role)?;
        Some(Program {
            name: object["metadata"]["name"].as_str()?.to_owned(),
            code: code(folder) + &code(SHARED),
            container,
        })
    })
    .collect()
}

/// The text of all files in a folder of the workspace.
fn code(folder: &str) -> String {
    text(&Workspace::here().path(folder))
}

fn text(path: &Path) -> String {
    if path.is_file() {
        return fs::read_to_string(path).unwrap();
    }
    let entries = fs::read_dir(path).unwrap();
    entries.map(|entry| text(&entry.unwrap().path())).collect()
}

#[test]
fn every_workload_is_looked_at() {
    let names: Vec<String> = programs().into_iter().map(|it| it.name).collect();
    assert_eq!(names.len(), 5, "{names:?}");
}

#[test]
fn every_argument_is_a_field_of_the_programs_arguments() {
    for Program {
        name,
        container,
        code,
    } in programs()
    {
        for argument in container["args"].as_array().unwrap() {
            let argument = argument.as_str().unwrap();
            let Some(flag) = argument.strip_prefix("--") else {
                continue;
            };
            let field = flag.split('=').next().unwrap().replace('-', "_");
            assert!(code.contains(&format!(" {field}:")), "{name}: {argument}");
        }
    }
}

#[test]
fn every_variable_is_one_that_the_program_reads() {
    for Program {
        name,
        container,
        code,
    } in programs()
    {
        for variable in container["env"].as_array().into_iter().flatten() {
            let variable = variable["name"].as_str().unwrap();
            let is_read = code.contains(&format!("env = \"{variable}\""));
            assert!(is_read, "{name}: {variable}");
        }
    }
}

#[test]
fn probes_ask_where_the_program_listens() {
    for Program {
        name,
        container,
        code,
    } in programs()
    {
        for probe in ["livenessProbe", "readinessProbe"] {
            let port = &container[probe]["httpGet"]["port"];
            assert!(
                code.contains(&format!("AdminArgs<{port}>")),
                "{name}: {port}"
            );
        }
    }
}
