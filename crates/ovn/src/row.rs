//! A row as it should be or is: its managed columns and the places it hangs in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ovsdb::Datum;

use crate::column::{Column, ColumnInfo, ColumnValue, Table};
use crate::key::RowKey;

/// Rows by meaning.
pub type Rows = BTreeMap<RowKey, Row>;

/// One row: the managed columns that differ from their default, and its links.
///
/// A column that is absent has its default value, so two equal rows have equal `Row`s.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    table: &'static Table,
    columns: BTreeMap<&'static str, Datum>,
    links: BTreeSet<Link>,
}

/// This row is an element of `column` of the row `parent`.
///
/// The child states it, so that two owners never write one column of a shared parent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub parent: RowKey,
    pub column: &'static str,
}

// === impl Row ===

impl Row {
    pub const fn new(table: &'static Table) -> Self {
        Self {
            table,
            columns: BTreeMap::new(),
            links: BTreeSet::new(),
        }
    }

    /// The row with `column` set; a default value is the same as none.
    pub fn with<T: ColumnValue>(mut self, column: Column<T>, value: impl Into<T>) -> Self {
        self.set_datum(column.name, value.into().into_datum());
        self
    }

    /// The row as an element of `column` of `parent`.
    pub fn linked<T>(mut self, parent: RowKey, column: Column<T>) -> Self {
        self.links.insert(Link {
            parent,
            column: column.name,
        });
        self
    }

    pub const fn table(&self) -> &'static Table {
        self.table
    }

    /// The columns that differ from their default.
    pub const fn columns(&self) -> &BTreeMap<&'static str, Datum> {
        &self.columns
    }

    pub const fn links(&self) -> &BTreeSet<Link> {
        &self.links
    }

    /// `None` when the column has its default value.
    pub fn get<T: ColumnValue>(&self, column: Column<T>) -> Option<T> {
        self.columns.get(column.name).and_then(T::from_datum)
    }

    pub(crate) fn set_datum(&mut self, column: &'static str, value: Datum) {
        let is_default = self
            .table
            .column(column)
            .is_some_and(|info| info.default_datum() == value);
        if is_default {
            self.columns.remove(column);
        } else {
            self.columns.insert(column, value);
        }
    }

    pub(crate) fn add_link(&mut self, link: Link) {
        self.links.insert(link);
    }

    pub(crate) fn remove_link(&mut self, link: &Link) {
        self.links.remove(link);
    }

    /// The column's value, its default included.
    pub(crate) fn datum(&self, column: &str) -> Option<Datum> {
        let stated = self.columns.get(column).cloned();
        stated.or_else(|| self.table.column(column).map(ColumnInfo::default_datum))
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.table.name)
            .field("columns", &self.columns)
            .field("links", &self.links)
            .finish()
    }
}
