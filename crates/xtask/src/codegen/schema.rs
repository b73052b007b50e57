//! An `.ovsschema` file (RFC 7047, 3.2), as far as the generator of rows needs it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Debug, Deserialize)]
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) tables: BTreeMap<String, Table>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Table {
    pub(crate) columns: BTreeMap<String, Column>,
    #[serde(default)]
    pub(crate) is_root: bool,
    #[serde(default)]
    pub(crate) indexes: Vec<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Column {
    pub(crate) r#type: Type,
}

/// `<type>`: one base type, or key, value and bounds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Type {
    Atomic(Atomic),
    Full {
        key: Base,
        value: Option<Base>,
        #[serde(default = "one")]
        min: u32,
        #[serde(default)]
        max: Max,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Atomic {
    Integer,
    Real,
    Boolean,
    String,
    Uuid,
}

/// `<base-type>`: an atomic type, perhaps with constraints.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Base {
    Plain(Atomic),
    #[serde(rename_all = "camelCase")]
    Constrained {
        r#type: Atomic,
        ref_table: Option<String>,
        #[serde(default)]
        ref_type: Strength,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Strength {
    #[default]
    Strong,
    Weak,
}

/// `max`: a number or `"unlimited"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Max {
    Number(u32),
    Unlimited(IgnoredAny),
}

impl Default for Max {
    fn default() -> Self {
        Self::Number(1)
    }
}

fn one() -> u32 {
    1
}
