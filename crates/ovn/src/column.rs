//! What a table and a column are, and how Rust values become column values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use ovsdb::{Atom, Datum};
use uuid::Uuid;

/// A table of a database schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    pub database: &'static str,
    pub name: &'static str,
    /// Rows of a root table stay until they are deleted; others go with their last strong
    /// reference (RFC 7047, section 3.2).
    pub is_root: bool,
    pub columns: &'static [ColumnInfo],
    /// Sets of columns that no two rows may share.
    pub indexes: &'static [&'static [&'static str]],
}

/// A column as the schema declares it.
#[derive(Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    pub name: &'static str,
    pub shape: Shape,
    pub key: Base,
    pub value: Option<Base>,
    pub reference: Option<Reference>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Scalar,
    Optional,
    Set,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Integer,
    Real,
    Boolean,
    String,
    Uuid,
}

/// The table that a column of UUIDs refers to.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    pub table: &'static str,
    pub strength: Strength,
}

/// What keeps a row alive: a strong reference does, a weak one disappears with the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    Strong,
    Weak,
}

/// A column whose values are read and written as `T`.
pub struct Column<T> {
    pub name: &'static str,
    value: PhantomData<fn() -> T>,
}

/// A Rust type that a column's value can be read and written as.
pub trait ColumnValue: Sized {
    fn into_datum(self) -> Datum;

    /// `None` when the value has another shape, as from a server with another schema.
    fn from_datum(datum: &Datum) -> Option<Self>;
}

/// A type of a single element.
pub trait AtomValue: Ord + Sized {
    fn into_atom(self) -> Atom;
    fn from_atom(atom: &Atom) -> Option<Self>;
}

// === impl Table ===

impl Table {
    pub fn column(&self, name: &str) -> Option<&'static ColumnInfo> {
        self.columns.iter().find(|column| column.name == name)
    }
}

// === impl ColumnInfo ===

impl ColumnInfo {
    /// The value of a column that an insert does not name (RFC 7047, section 5.2.1).
    pub fn default_datum(&self) -> Datum {
        match self.shape {
            Shape::Optional | Shape::Set => Datum::Set(BTreeSet::new()),
            Shape::Map => Datum::Map(BTreeMap::new()),
            Shape::Scalar => Datum::Set(BTreeSet::from([self.key.default_atom()])),
        }
    }
}

// === impl Base ===

impl Base {
    fn default_atom(self) -> Atom {
        match self {
            Self::Integer => Atom::Integer(0),
            Self::Real => Atom::from(0.0),
            Self::Boolean => Atom::Boolean(false),
            Self::String => Atom::String(String::new()),
            Self::Uuid => Atom::Uuid(Uuid::nil()),
        }
    }
}

// === impl Column ===

impl<T> Column<T> {
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }
}

impl<T> Clone for Column<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Column<T> {}

impl<T> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<T: ColumnValue> Column<T> {
    /// The column's value in a row of a replica; `None` when the server has no such column.
    pub fn read(self, row: &ovsdb::Row) -> Option<T> {
        row.get(self.name).and_then(T::from_datum)
    }
}

// === impl AtomValue ===

macro_rules! atom_value {
    ($type:ty, $variant:ident) => {
        impl AtomValue for $type {
            fn into_atom(self) -> Atom {
                Atom::$variant(self)
            }

            fn from_atom(atom: &Atom) -> Option<Self> {
                if let Atom::$variant(value) = atom {
                    Some(value.clone())
                } else {
                    None
                }
            }
        }

        impl ColumnValue for $type {
            fn into_datum(self) -> Datum {
                Datum::Set(BTreeSet::from([self.into_atom()]))
            }

            fn from_datum(datum: &Datum) -> Option<Self> {
                Option::<Self>::from_datum(datum).flatten()
            }
        }
    };
}

atom_value!(String, String);
atom_value!(i64, Integer);
atom_value!(bool, Boolean);
atom_value!(Uuid, Uuid);

// === impl ColumnValue ===

impl<T: AtomValue> ColumnValue for Option<T> {
    fn into_datum(self) -> Datum {
        Datum::Set(self.into_iter().map(T::into_atom).collect())
    }

    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Set(atoms) if atoms.len() <= 1 => Some(atoms.first().and_then(T::from_atom)),
            Datum::Set(_) | Datum::Map(_) => None,
        }
    }
}

impl<T: AtomValue> ColumnValue for BTreeSet<T> {
    fn into_datum(self) -> Datum {
        Datum::Set(self.into_iter().map(T::into_atom).collect())
    }

    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Set(atoms) => atoms.iter().map(T::from_atom).collect(),
            Datum::Map(_) => None,
        }
    }
}

impl<K: AtomValue, V: AtomValue> ColumnValue for BTreeMap<K, V> {
    fn into_datum(self) -> Datum {
        let pairs = self
            .into_iter()
            .map(|(key, value)| (key.into_atom(), value.into_atom()));
        Datum::Map(pairs.collect())
    }

    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Map(pairs) => pairs
                .iter()
                .map(|(key, value)| Some((K::from_atom(key)?, V::from_atom(value)?)))
                .collect(),
            Datum::Set(_) => None,
        }
    }
}
