//! The tables and columns of OVN's and Open vSwitch's databases, from their `.ovsschema` files.

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use assets::DebianRoot;
use ovsdb::{AtomicType, ColumnSchema, ColumnType, RefType, Schema, TableSchema};

use super::{Generated, MARK, rustfmt};
use crate::workspace::Workspace;

/// (file below `usr/share` of an installed OVN and Open vSwitch, module of `ovn::gen`)
const SOURCES: [(&str, &str); 3] = [
    ("ovn/ovn-nb.ovsschema", "nb"),
    ("ovn/ovn-sb.ovsschema", "sb"),
    ("openvswitch/vswitch.ovsschema", "vswitch"),
];

/// One module of `ovn::gen` for each schema.
///
/// # Errors
/// When a schema cannot be read or understood, or rustfmt is missing.
pub(crate) fn generate(workspace: &Workspace) -> Result<Vec<Generated>> {
    let root = trixie_root()?;
    SOURCES
        .iter()
        .map(|(source, module)| {
            let schema = read(&root.share(source))?;
            Ok(Generated {
                path: format!("crates/ovn/src/gen/{module}.rs"),
                text: rustfmt(workspace, render(&schema)?)?,
            })
        })
        .collect()
}

/// The Debian root with the schemas, made when it is missing.
fn trixie_root() -> Result<DebianRoot> {
    if let Ok(root) = assets::trixie_root() {
        return Ok(root);
    }
    assets::prepare_ovn()?;
    assets::trixie_root()
}

fn read(path: &Path) -> Result<Schema> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Schema::parse(&text).with_context(|| format!("{} is not a schema", path.display()))
}

fn render(schema: &Schema) -> Result<String> {
    let mut out = String::new();
    head(&mut out, schema)?;
    for (name, table) in &schema.tables {
        table_constant(&mut out, schema, name, table)?;
        column_constants(&mut out, name, table)?;
    }
    Ok(out)
}

fn head(out: &mut String, schema: &Schema) -> Result<()> {
    let Schema { name, version, .. } = schema;
    writeln!(
        out,
        "//! Tables and columns of database `{name}`, schema {version}.\n\
         //!\n\
         //! {MARK}. Do not edit.\n"
    )?;
    writeln!(
        out,
        "use crate::column::{{{}}};\n",
        imports(schema).join(", ")
    )?;
    writeln!(out, "/// The name of the database.")?;
    writeln!(out, "pub const DATABASE: &str = \"{name}\";\n")?;
    writeln!(
        out,
        "/// The version of the schema that this file was made from."
    )?;
    writeln!(out, "pub const VERSION: &str = \"{version}\";\n")?;
    let tables: Vec<String> = schema
        .tables
        .keys()
        .map(|table| format!("&{}", table.to_uppercase()))
        .collect();
    writeln!(out, "/// Every table, by name.")?;
    writeln!(
        out,
        "pub const TABLES: &[&Table] = &[{}];\n",
        tables.join(", ")
    )?;
    Ok(())
}

/// What a file needs of `crate::column`: only a schema with references needs their types.
fn imports(schema: &Schema) -> Vec<&'static str> {
    let refers = schema
        .tables
        .values()
        .flat_map(|table| table.columns.values())
        .any(|column| reference(&column.kind).is_some());
    let mut names = vec!["Base", "ColumnInfo", "Shape", "Table"];
    if refers {
        names.extend(["Reference", "Strength"]);
    }
    names.sort_unstable();
    names
}

fn table_constant(
    out: &mut String,
    schema: &Schema,
    name: &str,
    table: &TableSchema,
) -> Result<()> {
    writeln!(out, "/// Table `{name}`.")?;
    writeln!(out, "pub const {}: Table = Table {{", name.to_uppercase())?;
    writeln!(out, "database: \"{}\", name: \"{name}\",", schema.name)?;
    writeln!(out, "is_root: {}, columns: &[", table.is_root)?;
    for (name, column) in &table.columns {
        writeln!(out, "{},", column_info(name, &column.kind))?;
    }
    writeln!(out, "], indexes: &{:?} }};\n", Slices(&table.indexes))?;
    Ok(())
}

fn column_info(name: &str, kind: &ColumnType) -> String {
    let (key, value) = atoms(kind);
    let value = value.map_or_else(
        || "None".to_owned(),
        |value| format!("Some(Base::{value:?})"),
    );
    let reference = reference(kind).map_or_else(
        || "None".to_owned(),
        |(table, strength)| {
            format!("Some(Reference {{ table: {table:?}, strength: Strength::{strength:?} }})")
        },
    );
    format!(
        "ColumnInfo {{ name: {name:?}, shape: Shape::{:?}, key: Base::{key:?}, value: {value}, \
         reference: {reference} }}",
        shape(kind)
    )
}

fn column_constants(out: &mut String, name: &str, table: &TableSchema) -> Result<()> {
    writeln!(out, "/// Columns of table `{name}`.")?;
    writeln!(out, "pub mod {} {{", name.to_lowercase())?;
    let types: Vec<(&String, String)> = table
        .columns
        .iter()
        .map(|(name, ColumnSchema { kind, .. })| (name, rust_type(kind)))
        .collect();
    for import in column_imports(types.iter().map(|(_, rust)| rust.as_str())) {
        writeln!(out, "{import}")?;
    }
    for (name, rust) in types {
        let constant = name.to_uppercase();
        writeln!(
            out,
            "pub const {constant}: Column<{rust}> = Column::new({name:?});"
        )?;
    }
    writeln!(out, "}}\n")?;
    Ok(())
}

/// The `use` lines of a module with constants of these types, in three groups.
fn column_imports<'a>(types: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut collections = BTreeSet::new();
    let mut uuid = false;
    for rust in types {
        collections.extend(
            ["BTreeMap", "BTreeSet"]
                .into_iter()
                .filter(|c| rust.contains(c)),
        );
        uuid |= rust.contains("Uuid");
    }
    let collections: Vec<&str> = collections.into_iter().collect();
    let mut lines = match collections.as_slice() {
        [] => vec![],
        [one] => vec![format!("use std::collections::{one};\n")],
        several => vec![format!(
            "use std::collections::{{{}}};\n",
            several.join(", ")
        )],
    };
    if uuid {
        lines.push("use uuid::Uuid;\n".to_owned());
    }
    lines.push("use crate::column::Column;\n".to_owned());
    lines
}

/// How many atoms a column holds, in `ovn`'s words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Scalar,
    Optional,
    Set,
    Map,
}

fn shape(kind: &ColumnType) -> Shape {
    if kind.is_map() {
        Shape::Map
    } else if kind.is_scalar() {
        Shape::Scalar
    } else if kind.is_optional() {
        Shape::Optional
    } else {
        Shape::Set
    }
}

fn rust_type(kind: &ColumnType) -> String {
    let (key, value) = atoms(kind);
    let key = rust_atom(key);
    let value = rust_atom(value.unwrap_or(AtomicType::String));
    match shape(kind) {
        Shape::Scalar => key.to_owned(),
        Shape::Optional => format!("Option<{key}>"),
        Shape::Set => format!("BTreeSet<{key}>"),
        Shape::Map => format!("BTreeMap<{key}, {value}>"),
    }
}

fn rust_atom(atomic: AtomicType) -> &'static str {
    match atomic {
        AtomicType::Integer => "i64",
        AtomicType::Real => "f64",
        AtomicType::Boolean => "bool",
        AtomicType::String => "String",
        AtomicType::Uuid => "Uuid",
    }
}

/// The atomic types of key and value.
fn atoms(kind: &ColumnType) -> (AtomicType, Option<AtomicType>) {
    (kind.key.kind, kind.value.as_ref().map(|value| value.kind))
}

/// The table that the key or the value refers to, and how.
fn reference(kind: &ColumnType) -> Option<(&str, RefType)> {
    std::iter::once(&kind.key)
        .chain(&kind.value)
        .find_map(|base| Some((base.ref_table.as_deref()?, base.ref_type)))
}

/// Prints lists of lists as slices of slices.
struct Slices<'a>(&'a [Vec<String>]);

impl std::fmt::Debug for Slices<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner: Vec<String> = self.0.iter().map(|index| format!("&{index:?}")).collect();
        write!(f, "[{}]", inner.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "name": "Zoo", "version": "1.2.3",
        "tables": {
            "Animal": {
                "isRoot": true,
                "indexes": [["name", "kind"]],
                "columns": {
                    "name": {"type": "string"},
                    "legs": {"type": {"key": "integer"}},
                    "mate": {"type": {"key": {"type": "uuid", "refTable": "Animal",
                                              "refType": "weak"}, "min": 0, "max": 1}},
                    "tags": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
                    "kind": {"type": {"key": "string", "value": "integer",
                                      "min": 0, "max": "unlimited"}}
                }
            }
        }
    }"#;

    fn rendered() -> String {
        render(&Schema::parse(SCHEMA).unwrap()).unwrap()
    }

    #[test]
    fn a_column_gets_the_rust_type_of_its_shape() {
        let text = rendered();
        for constant in [
            r#"pub const NAME: Column<String> = Column::new("name");"#,
            r#"pub const LEGS: Column<i64> = Column::new("legs");"#,
            r#"pub const MATE: Column<Option<Uuid>> = Column::new("mate");"#,
            r#"pub const TAGS: Column<BTreeSet<String>> = Column::new("tags");"#,
            r#"pub const KIND: Column<BTreeMap<String, i64>> = Column::new("kind");"#,
        ] {
            assert!(text.contains(constant), "{constant} in {text}");
        }
    }

    #[test]
    fn a_reference_names_its_table_and_strength() {
        let reference = r#"Some(Reference { table: "Animal", strength: Strength::Weak })"#;
        assert!(rendered().contains(reference));
    }

    #[test]
    fn a_table_keeps_its_indexes_and_the_file_its_mark() {
        let text = rendered();
        assert!(text.contains(r#"indexes: &[&["name", "kind"]]"#));
        assert!(text.lines().take(5).any(|line| line.contains(MARK)));
    }

    #[test]
    fn a_schema_without_references_imports_none() {
        let schema = r#"{"name": "A", "version": "1.0.0", "tables": {"T": {"columns": {}}}}"#;
        let schema = Schema::parse(schema).unwrap();
        assert_eq!(imports(&schema), ["Base", "ColumnInfo", "Shape", "Table"]);
    }
}
