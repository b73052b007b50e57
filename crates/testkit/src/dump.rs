//! What a northbound database says, in words that do not depend on UUIDs: equal databases have
//! equal dumps.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::{Deserializer, Value};

use crate::{OvnVersion, ovn::Programs};

/// Tables of the database itself.
const LEFT_OUT: [&str; 4] = ["NB_Global", "Connection", "SSL", "Copp"];
/// Columns that northd writes, and those of no row of ours.
const IGNORED: [&str; 5] = ["_uuid", "_version", "up", "dynamic_addresses", "tag"];
const NAME: &str = "name";

/// A row: its table, and its columns by their names.
struct Row {
    table: String,
    columns: BTreeMap<String, Value>,
}

/// Every row as a line, sorted; rows refer to one another by name or content.
///
/// # Errors
/// The database does not answer.
pub fn northbound(version: OvnVersion, remote: &str) -> Result<Vec<String>> {
    let client = Programs::find(version)?.command("ovsdb-client")?;
    let printed = client
        .args([
            "--timeout=20",
            "--format=json",
            "dump",
            remote,
            "OVN_Northbound",
        ])
        .read()?;
    let mut rows = BTreeMap::new();
    for table in Deserializer::from_str(&printed).into_iter::<Value>() {
        read(&table?, &mut rows)?;
    }
    Ok(lines(&rows))
}

/// The rows of a table by their UUIDs.
fn read(table: &Value, rows: &mut BTreeMap<String, Row>) -> Result<()> {
    let field = |name: &str| table.get(name).context("a table is described");
    let caption = field("caption")?.as_str().context("a caption is text")?;
    let caption = caption.trim_end_matches(" table");
    let headings = field("headings")?.as_array().context("no headings")?;
    for row in field("data")?.as_array().context("no rows")? {
        let cells = row.as_array().context("a row has cells")?;
        let names = headings.iter().filter_map(Value::as_str);
        let mut columns: BTreeMap<String, Value> = names
            .map(str::to_owned)
            .zip(cells.iter().cloned())
            .collect();
        let id = columns.get("_uuid").and_then(reference);
        let id = id.context("a row has a UUID")?.to_owned();
        columns.retain(|name, _| !IGNORED.contains(&name.as_str()));
        let table = caption.to_owned();
        rows.insert(id, Row { table, columns });
    }
    Ok(())
}

fn lines(rows: &BTreeMap<String, Row>) -> Vec<String> {
    let labels: BTreeMap<&str, String> = rows
        .iter()
        .map(|(id, row)| (id.as_str(), row.label()))
        .collect();
    let compared = rows.values();
    let mut lines: Vec<String> = compared
        .filter(|row| !LEFT_OUT.contains(&row.table.as_str()))
        .map(|row| row.text(&|id| labels.get(id).cloned().unwrap_or_default()))
        .collect();
    lines.sort();
    lines
}

// === impl Row ===

impl Row {
    /// Its name, or all that it says besides references.
    fn label(&self) -> String {
        let name = self.columns.get(NAME).and_then(Value::as_str);
        match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("{} {name}", self.table),
            None => self.text(&|_id| String::new()),
        }
    }

    fn text(&self, label: &dyn Fn(&str) -> String) -> String {
        let columns = self.columns.iter();
        let columns: Vec<String> = columns
            .map(|(name, value)| format!("{name}={}", named(value, label)))
            .collect();
        format!("{} {}", self.table, columns.join(" "))
    }
}

/// A value whose references are labels; the elements of sets are in their order.
fn named(value: &Value, label: &dyn Fn(&str) -> String) -> Value {
    if let Some(id) = reference(value) {
        return Value::String(label(id));
    }
    let Value::Array(elements) = value else {
        return value.clone();
    };
    let mut elements: Vec<Value> = elements.iter().map(|it| named(it, label)).collect();
    if let [Value::String(kind), Value::Array(members)] = elements.as_mut_slice()
        && kind == "set"
    {
        members.sort_by_key(Value::to_string);
    }
    Value::Array(elements)
}

/// Of `["uuid", "..."]`, the second.
fn reference(value: &Value) -> Option<&str> {
    match value.as_array()?.as_slice() {
        [kind, id] if kind == "uuid" => id.as_str(),
        _ => None,
    }
}

/// # Errors
/// The lines that only one of them has.
pub fn ensure_equal(one: &[String], other: &[String]) -> Result<()> {
    let without = |lines: &[String], others: &[String]| -> Vec<String> {
        let others: BTreeSet<&String> = others.iter().collect();
        let lines = lines.iter().filter(|line| !others.contains(line));
        lines.cloned().collect()
    };
    let (only, missing) = (without(one, other), without(other, one));
    ensure!(
        only.is_empty() && missing.is_empty() && one.len() == other.len(),
        "{} and {} rows; only in the first: {only:#?}; only in the second: {missing:#?}",
        one.len(),
        other.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dump([switch, port, other]: [&str; 3]) -> Vec<String> {
        let uuid = |id: &str| json!(["uuid", id]);
        let switches = json!({
            "caption": "Logical_Switch table",
            "headings": ["_uuid", "name", "ports"],
            "data": [[uuid(switch), "s", ["set", [uuid(port), uuid(other)]]]],
        });
        let ports = json!({
            "caption": "Logical_Switch_Port table",
            "headings": ["_uuid", "name", "up"],
            "data": [[uuid(port), "a", true], [uuid(other), "b", false]],
        });
        let mut rows = BTreeMap::new();
        read(&switches, &mut rows).unwrap();
        read(&ports, &mut rows).unwrap();
        lines(&rows)
    }

    #[test]
    fn equal_databases_have_equal_dumps_whatever_their_uuids() {
        let (one, other) = (dump(["1", "2", "3"]), dump(["9", "8", "7"]));
        assert_eq!(one, other);
        assert!(one[0].contains("Logical_Switch_Port a"), "{one:?}");
        ensure_equal(&one, &other).unwrap();
        ensure_equal(&one, &other[1..]).unwrap_err();
    }
}
