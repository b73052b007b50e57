//! Database operations, conditions and mutations (RFC 7047 sections 5.1 and 5.2).

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};
use uuid::Uuid;

use crate::data::{Datum, Row};

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds a row. A chosen `uuid` makes a retry recognisable and the row referable (since
    /// Open vSwitch 2.13).
    Insert {
        table: String,
        uuid: Option<Uuid>,
        row: Row,
    },
    /// Sets the given columns of all rows that match.
    Update {
        table: String,
        condition: Condition,
        row: Row,
    },
    /// Changes columns of all rows that match, relative to what they hold.
    Mutate {
        table: String,
        condition: Condition,
        mutations: Vec<Mutation>,
    },
    /// Removes all rows that match.
    Delete { table: String, condition: Condition },
    /// Reads the given columns, or all, of all rows that match.
    Select {
        table: String,
        condition: Condition,
        columns: Option<Vec<String>>,
    },
    /// Fails the transaction unless the given columns of the rows that match are (or are not)
    /// `rows`, after waiting for at most `timeout_ms` milliseconds; without one, for ever.
    Wait {
        table: String,
        condition: Condition,
        columns: Vec<String>,
        until: Until,
        rows: Vec<Row>,
        timeout_ms: Option<u64>,
    },
    /// Text for the server's log of transactions.
    Comment(String),
}

impl Operation {
    /// The operation's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Insert { .. } => "insert",
            Self::Update { .. } => "update",
            Self::Mutate { .. } => "mutate",
            Self::Delete { .. } => "delete",
            Self::Select { .. } => "select",
            Self::Wait { .. } => "wait",
            Self::Comment(_) => "comment",
        }
    }

    /// The table that it reads or writes.
    pub fn table(&self) -> Option<&str> {
        match self {
            Self::Insert { table, .. }
            | Self::Update { table, .. }
            | Self::Mutate { table, .. }
            | Self::Delete { table, .. }
            | Self::Select { table, .. }
            | Self::Wait { table, .. } => Some(table),
            Self::Comment(_) => None,
        }
    }
}

/// For logs: the name and the table.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.table().map_or(Ok(()), |table| write!(f, " {table}"))
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("op", self.name())?;
        if let Some(table) = self.table() {
            map.serialize_entry("table", table)?;
        }
        match self {
            Self::Insert { uuid, row, .. } => {
                if let Some(uuid) = uuid {
                    map.serialize_entry("uuid", uuid)?;
                }
                map.serialize_entry("row", row)?;
            }
            Self::Update { condition, row, .. } => {
                map.serialize_entry("where", condition)?;
                map.serialize_entry("row", row)?;
            }
            Self::Mutate {
                condition,
                mutations,
                ..
            } => {
                map.serialize_entry("where", condition)?;
                map.serialize_entry("mutations", mutations)?;
            }
            Self::Delete { condition, .. } => map.serialize_entry("where", condition)?,
            Self::Select {
                condition, columns, ..
            } => {
                map.serialize_entry("where", condition)?;
                if let Some(columns) = columns {
                    map.serialize_entry("columns", columns)?;
                }
            }
            Self::Wait {
                condition,
                columns,
                until,
                rows,
                timeout_ms,
                ..
            } => {
                if let Some(timeout_ms) = timeout_ms {
                    map.serialize_entry("timeout", timeout_ms)?;
                }
                map.serialize_entry("where", condition)?;
                map.serialize_entry("columns", columns)?;
                map.serialize_entry("until", until.as_str())?;
                map.serialize_entry("rows", rows)?;
            }
            Self::Comment(text) => map.serialize_entry("comment", text)?,
        }
        map.end()
    }
}

/// Whether a `wait` wants the rows to be as given or to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Until {
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// Which rows an operation is about: those for which every clause holds. Without clauses, all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Condition(pub Vec<Clause>);

impl Condition {
    /// Every row of the table.
    pub const fn all() -> Self {
        Self(Vec::new())
    }

    /// The row with this UUID: found by hash, where any other clause is a scan.
    pub fn uuid(uuid: Uuid) -> Self {
        Self::equal("_uuid", uuid)
    }

    /// Rows whose column has this value.
    pub fn equal(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self(Vec::new()).and(column, Function::Equal, value)
    }

    /// The condition with one more clause.
    pub fn and(
        mut self,
        column: impl Into<String>,
        function: Function,
        value: impl Into<Datum>,
    ) -> Self {
        self.0.push(Clause {
            column: column.into(),
            function,
            value: value.into(),
        });
        self
    }
}

/// One comparison of a column with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The column, or `_uuid`.
    pub column: String,
    /// How to compare.
    pub function: Function,
    /// What to compare with.
    pub value: Datum,
}

impl Serialize for Clause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.column, self.function.as_str(), &self.value).serialize(serializer)
    }
}

/// How a clause compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// The column has all members or pairs of the value.
    Includes,
    /// The column has no member or pair of the value.
    Excludes,
}

impl Function {
    fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
            Self::Includes => "includes",
            Self::Excludes => "excludes",
        }
    }
}

/// One relative change of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The column.
    pub column: String,
    /// What to do.
    pub mutator: Mutator,
    /// The other operand. To delete from a map, a set of keys or a map of pairs.
    pub value: Datum,
}

impl Mutation {
    /// A change of `column`.
    pub fn new(column: impl Into<String>, mutator: Mutator, value: impl Into<Datum>) -> Self {
        Self {
            column: column.into(),
            mutator,
            value: value.into(),
        }
    }

    /// Adds members to a set, or pairs with keys that it lacks to a map.
    pub fn insert(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Insert, value)
    }

    /// Removes members from a set, or keys or pairs from a map.
    pub fn delete(column: impl Into<String>, value: impl Into<Datum>) -> Self {
        Self::new(column, Mutator::Delete, value)
    }
}

impl Serialize for Mutation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.column, self.mutator.as_str(), &self.value).serialize(serializer)
    }
}

/// What a mutation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`
    Add,
    /// `-=`
    Subtract,
    /// `*=`
    Multiply,
    /// `/=`
    Divide,
    /// `%=`, integers only.
    Modulo,
    /// Adds members or pairs; keys that are there keep their value.
    Insert,
    /// Removes members, keys or pairs.
    Delete,
}

impl Mutator {
    fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Subtract => "-=",
            Self::Multiply => "*=",
            Self::Divide => "/=",
            Self::Modulo => "%=",
            Self::Insert => "insert",
            Self::Delete => "delete",
        }
    }
}
