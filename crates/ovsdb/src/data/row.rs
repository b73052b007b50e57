//! Rows (RFC 7047 section 5.1).

use std::collections::BTreeMap;

use super::Datum;

static ABSENT: Datum = Datum::empty();

/// A row, or a part of one: columns by name, without `_uuid` and `_version`.
///
/// In a replica, a column that is absent has the default value of its type: empty, or for a column
/// that must have a value 0, `false`, `""` or the UUID of zeros. Such values are never present.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row(pub BTreeMap<String, Datum>);

impl Row {
    /// A row without columns.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value of a column, if it is present.
    pub fn get(&self, column: &str) -> Option<&Datum> {
        self.0.get(column)
    }

    /// The value of a column, empty when it is absent.
    pub fn datum(&self, column: &str) -> &Datum {
        self.get(column).unwrap_or(&ABSENT)
    }

    /// The text of a column with one string, `""` when it is absent or something else.
    pub fn str(&self, column: &str) -> &str {
        self.datum(column).as_str().unwrap_or_default()
    }

    /// Sets a column and returns the value before.
    pub fn insert(&mut self, column: impl Into<String>, datum: impl Into<Datum>) -> Option<Datum> {
        self.0.insert(column.into(), datum.into())
    }

    /// The row with one more column.
    pub fn with(mut self, column: impl Into<String>, datum: impl Into<Datum>) -> Self {
        self.0.insert(column.into(), datum.into());
        self
    }

    /// Columns and values in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Datum)> {
        self.0
            .iter()
            .map(|(column, datum)| (column.as_str(), datum))
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<C: Into<String>> FromIterator<(C, Datum)> for Row {
    fn from_iter<I: IntoIterator<Item = (C, Datum)>>(columns: I) -> Self {
        Self(
            columns
                .into_iter()
                .map(|(column, datum)| (column.into(), datum))
                .collect(),
        )
    }
}

impl<C: Into<String>, const N: usize> From<[(C, Datum); N]> for Row {
    fn from(columns: [(C, Datum); N]) -> Self {
        columns.into_iter().collect()
    }
}
