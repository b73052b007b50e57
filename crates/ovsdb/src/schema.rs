//! Database schemas (RFC 7047 section 3.2), as `get_schema` returns them and `.ovsschema` files
//! hold them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, de};

use crate::data::{Atom, Datum};

/// A text that is not a schema.
#[derive(Debug, thiserror::Error)]
#[error("not an OVSDB schema")]
pub struct SchemaError(#[from] serde_json::Error);

/// The tables and columns of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Schema {
    /// The database's name, for example `OVN_Northbound`.
    pub name: String,
    /// The version as `x.y.z`.
    #[serde(default)]
    pub version: String,
    /// Tables by name.
    pub tables: BTreeMap<String, TableSchema>,
}

impl Schema {
    /// Reads the JSON text of an `.ovsschema` file.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        Ok(serde_json::from_str(text)?)
    }

    /// The table of this name.
    pub fn table(&self, table: &str) -> Option<&TableSchema> {
        self.tables.get(table)
    }

    /// The column of this table.
    pub fn column(&self, table: &str, column: &str) -> Option<&ColumnSchema> {
        self.table(table)?.columns.get(column)
    }
}

/// The columns of a table and what holds for its rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSchema {
    /// Columns by name, without `_uuid` and `_version`.
    pub columns: BTreeMap<String, ColumnSchema>,
    /// Whether rows live without being referenced. A row of another table vanishes with the last
    /// strong reference to it.
    #[serde(default)]
    pub is_root: bool,
    /// The largest number of rows, if it is bounded.
    #[serde(default)]
    pub max_rows: Option<u64>,
    /// Lists of columns whose values together are unique in the table.
    #[serde(default)]
    pub indexes: Vec<Vec<String>>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ColumnSchema {
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether its values are lost when the server restarts.
    #[serde(default)]
    pub ephemeral: bool,
    /// Whether it can be changed after the row's insertion.
    #[serde(default = "default_mutable")]
    pub mutable: bool,
}

fn default_mutable() -> bool {
    true
}

/// The type of a column: a set of keys, or with `value` a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// The members of the set, or the keys of the map.
    pub key: BaseType,
    /// The values of the map.
    pub value: Option<BaseType>,
    /// The smallest number of members or pairs, 0 or 1.
    pub min: u64,
    /// The largest number of members or pairs.
    pub max: Max,
}

impl ColumnType {
    /// Whether it is a map.
    pub fn is_map(&self) -> bool {
        self.value.is_some()
    }

    /// Whether it holds exactly one atom.
    pub fn is_scalar(&self) -> bool {
        self.value.is_none() && self.min == 1 && self.max == Max::Count(1)
    }

    /// Whether it holds at most one atom, and possibly none.
    pub fn is_optional(&self) -> bool {
        self.value.is_none() && self.min == 0 && self.max == Max::Count(1)
    }

    /// Whether `datum` is what a row has that was inserted without this column.
    pub fn is_default(&self, datum: &Datum) -> bool {
        if self.min == 0 {
            return datum.is_empty();
        }
        match (datum, &self.value) {
            (Datum::Set(atoms), None) => {
                atoms.len() == 1 && atoms.iter().all(|atom| self.key.kind.is_default(atom))
            }
            (Datum::Map(pairs), Some(value)) => {
                pairs.len() == 1
                    && pairs.iter().all(|(left, right)| {
                        self.key.kind.is_default(left) && value.kind.is_default(right)
                    })
            }
            (Datum::Set(_), Some(_)) | (Datum::Map(_), None) => false,
        }
    }

    /// The value of a row that was inserted without this column.
    pub fn default_datum(&self) -> Datum {
        match (&self.value, self.min) {
            (None, 0) => Datum::empty(),
            (None, _) => Datum::from(self.key.kind.default_atom()),
            (Some(_), 0) => Datum::Map(BTreeMap::new()),
            (Some(value), _) => {
                Datum::map([(self.key.kind.default_atom(), value.kind.default_atom())])
            }
        }
    }
}

/// How many members or pairs a column can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Max {
    /// At most so many.
    Count(u64),
    /// Any number.
    Unlimited,
}

/// The type of atoms, with constraints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseType {
    /// Which kind of atom.
    pub kind: AtomicType,
    /// The only values allowed.
    pub enumeration: Option<BTreeSet<Atom>>,
    /// The smallest integer allowed.
    pub min_integer: Option<i64>,
    /// The largest integer allowed.
    pub max_integer: Option<i64>,
    /// The table that a UUID refers to.
    pub ref_table: Option<String>,
    /// What a reference means; without `ref_table`, nothing.
    pub ref_type: RefType,
}

/// The kinds of atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtomicType {
    /// Signed 64-bit integers.
    Integer,
    /// Floating point numbers.
    Real,
    /// True or false.
    Boolean,
    /// Text.
    String,
    /// Row identities.
    Uuid,
}

impl AtomicType {
    /// The atom that stands for "nothing was said".
    pub fn default_atom(self) -> Atom {
        match self {
            Self::Integer => Atom::Integer(0),
            Self::Real => Atom::from(0.0),
            Self::Boolean => Atom::Boolean(false),
            Self::String => Atom::String(String::new()),
            Self::Uuid => Atom::Uuid(uuid::Uuid::nil()),
        }
    }

    fn is_default(self, atom: &Atom) -> bool {
        match (self, atom) {
            (Self::Integer | Self::Real, Atom::Integer(value)) => *value == 0,
            (Self::Real, Atom::Real(value)) => value.0 == 0.0,
            (Self::Boolean, Atom::Boolean(value)) => !value,
            (Self::String, Atom::String(text)) => text.is_empty(),
            (Self::Uuid, Atom::Uuid(uuid)) => uuid.is_nil(),
            (Self::Integer | Self::Real | Self::Boolean | Self::String | Self::Uuid, _) => false,
        }
    }
}

/// What a reference means for the row it refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefType {
    /// Keeps the row alive, and must refer to one.
    #[default]
    Strong,
    /// Is removed when the row is.
    Weak,
}

/// The two notations of types: a name alone, or an object with constraints.
#[derive(Deserialize)]
#[serde(untagged)]
enum Notation<O> {
    Name(AtomicType),
    Object(O),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BaseObject {
    r#type: AtomicType,
    #[serde(default)]
    r#enum: Option<Datum>,
    #[serde(default)]
    min_integer: Option<i64>,
    #[serde(default)]
    max_integer: Option<i64>,
    #[serde(default)]
    ref_table: Option<String>,
    #[serde(default)]
    ref_type: RefType,
}

impl From<AtomicType> for BaseType {
    fn from(kind: AtomicType) -> Self {
        Self {
            kind,
            enumeration: None,
            min_integer: None,
            max_integer: None,
            ref_table: None,
            ref_type: RefType::Strong,
        }
    }
}

impl<'de> Deserialize<'de> for BaseType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object: BaseObject = match Notation::deserialize(deserializer)? {
            Notation::Name(kind) => return Ok(kind.into()),
            Notation::Object(object) => object,
        };
        let enumeration = match object.r#enum {
            None => None,
            Some(Datum::Set(atoms)) => Some(atoms),
            Some(Datum::Map(_)) => return Err(de::Error::custom("an enum cannot be a map")),
        };
        Ok(Self {
            kind: object.r#type,
            enumeration,
            min_integer: object.min_integer,
            max_integer: object.max_integer,
            ref_table: object.ref_table,
            ref_type: object.ref_type,
        })
    }
}

#[derive(Deserialize)]
struct TypeObject {
    key: BaseType,
    #[serde(default)]
    value: Option<BaseType>,
    #[serde(default)]
    min: Option<u64>,
    #[serde(default)]
    max: Option<MaxNotation>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MaxNotation {
    Count(u64),
    Word(Unlimited),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unlimited {
    Unlimited,
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object: TypeObject = match Notation::deserialize(deserializer)? {
            Notation::Name(kind) => {
                return Ok(Self {
                    key: kind.into(),
                    value: None,
                    min: 1,
                    max: Max::Count(1),
                });
            }
            Notation::Object(object) => object,
        };
        Ok(Self {
            key: object.key,
            value: object.value,
            min: object.min.unwrap_or(1),
            max: match object.max {
                None => Max::Count(1),
                Some(MaxNotation::Count(count)) => Max::Count(count),
                Some(MaxNotation::Word(Unlimited::Unlimited)) => Max::Unlimited,
            },
        })
    }
}
