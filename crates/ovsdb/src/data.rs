//! Values as OVSDB has them: atoms, sets and maps of atoms, rows (RFC 7047 section 5.1).
//!
//! The JSON form of each is in [`wire`].

mod row;
mod wire;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use uuid::Uuid;

pub use self::row::Row;

/// A floating point number with a total order (IEEE 754 `totalOrder`), so that it can be a key.
#[derive(Clone, Copy, Debug)]
pub struct Real(pub f64);

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One value: the smallest thing that OVSDB stores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A signed 64-bit integer.
    Integer(i64),
    /// A floating point number.
    Real(Real),
    /// True or false.
    Boolean(bool),
    /// Unicode text without NUL.
    String(String),
    /// The identity of a row.
    Uuid(Uuid),
    /// The identity of a row inserted by the same transaction. Never found in a replica.
    NamedUuid(String),
}

impl Atom {
    /// The text of a string atom.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The value of an integer atom.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The value of a real atom, or of an integer one: servers print whole reals without a point.
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Self::Real(value) => Some(value.0),
            #[expect(
                clippy::as_conversions,
                clippy::cast_precision_loss,
                reason = "the nearest real to an integer is what the server means by it"
            )]
            Self::Integer(value) => Some(*value as f64),
            Self::Boolean(_) | Self::String(_) | Self::Uuid(_) | Self::NamedUuid(_) => None,
        }
    }

    /// The value of a boolean atom.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Boolean(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The value of a UUID atom.
    pub fn as_uuid(&self) -> Option<Uuid> {
        if let Self::Uuid(value) = self {
            Some(*value)
        } else {
            None
        }
    }
}

/// The form used by OVSDB's tools, for logs: strings unquoted.
impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Real(value) => value.0.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::String(value) | Self::NamedUuid(value) => value.fmt(f),
            Self::Uuid(value) => value.fmt(f),
        }
    }
}

impl From<i64> for Atom {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Atom {
    fn from(value: f64) -> Self {
        Self::Real(Real(value))
    }
}

impl From<bool> for Atom {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for Atom {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Atom {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<&String> for Atom {
    fn from(value: &String) -> Self {
        Self::String(value.clone())
    }
}

impl From<Uuid> for Atom {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}

/// The value of one column: a set or a map. As on the wire, a scalar is a set of one and an absent
/// optional value is the empty set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Datum {
    /// Zero or more atoms, each at most once.
    Set(BTreeSet<Atom>),
    /// Zero or more pairs with distinct keys.
    Map(BTreeMap<Atom, Atom>),
}

impl Datum {
    /// The set without members.
    pub const fn empty() -> Self {
        Self::Set(BTreeSet::new())
    }

    /// A set of the given atoms.
    pub fn set<A: Into<Atom>>(atoms: impl IntoIterator<Item = A>) -> Self {
        Self::Set(atoms.into_iter().map(Into::into).collect())
    }

    /// A map of the given pairs; of two pairs with one key the later stays.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// A reference to one row.
    pub fn uuid(uuid: Uuid) -> Self {
        Self::from(Atom::Uuid(uuid))
    }

    /// A reference to a row inserted by the same transaction under this name.
    pub fn named_uuid(name: impl Into<String>) -> Self {
        Self::from(Atom::NamedUuid(name.into()))
    }

    /// Whether there is neither a member nor a pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of members or pairs.
    pub fn len(&self) -> usize {
        match self {
            Self::Set(atoms) => atoms.len(),
            Self::Map(pairs) => pairs.len(),
        }
    }

    /// The only member of a set of one.
    pub fn scalar(&self) -> Option<&Atom> {
        let Self::Set(atoms) = self else { return None };
        if atoms.len() == 1 {
            atoms.first()
        } else {
            None
        }
    }

    /// The text of a single string.
    pub fn as_str(&self) -> Option<&str> {
        self.scalar()?.as_str()
    }

    /// The value of a single integer.
    pub fn as_integer(&self) -> Option<i64> {
        self.scalar()?.as_integer()
    }

    /// The value of a single real or integer.
    pub fn as_real(&self) -> Option<f64> {
        self.scalar()?.as_real()
    }

    /// The value of a single boolean.
    pub fn as_bool(&self) -> Option<bool> {
        self.scalar()?.as_bool()
    }

    /// The value of a single reference.
    pub fn as_uuid(&self) -> Option<Uuid> {
        self.scalar()?.as_uuid()
    }

    /// The members of a set in order; nothing for a map.
    pub fn atoms(&self) -> impl Iterator<Item = &Atom> {
        let set = if let Self::Set(atoms) = self {
            Some(atoms)
        } else {
            None
        };
        set.into_iter().flatten()
    }

    /// The pairs of a map in order of their keys; nothing for a set.
    pub fn pairs(&self) -> impl Iterator<Item = (&Atom, &Atom)> {
        let map = if let Self::Map(pairs) = self {
            Some(pairs)
        } else {
            None
        };
        map.into_iter().flatten()
    }

    /// The strings of a set in order.
    pub fn strings(&self) -> impl Iterator<Item = &str> {
        self.atoms().filter_map(Atom::as_str)
    }

    /// The references of a set in order.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> {
        self.atoms().filter_map(Atom::as_uuid)
    }

    /// The pairs of a map from string to string in order of their keys.
    pub fn string_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs()
            .filter_map(|(key, value)| Some((key.as_str()?, value.as_str()?)))
    }

    /// The value of a string key in a map.
    pub fn get(&self, key: &str) -> Option<&Atom> {
        // maps are small: to compare beats to allocate a key
        self.pairs()
            .find(|(found, _)| found.as_str() == Some(key))
            .map(|(_, value)| value)
    }

    /// The text of a string key in a map from string to string.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Whether the set has this member, or the map this key.
    pub fn contains(&self, atom: &Atom) -> bool {
        match self {
            Self::Set(atoms) => atoms.contains(atom),
            Self::Map(pairs) => pairs.contains_key(atom),
        }
    }
}

impl Default for Datum {
    fn default() -> Self {
        Self::empty()
    }
}

impl<A: Into<Atom>> From<A> for Datum {
    fn from(atom: A) -> Self {
        Self::Set(BTreeSet::from([atom.into()]))
    }
}

impl<A: Into<Atom>> FromIterator<A> for Datum {
    fn from_iter<I: IntoIterator<Item = A>>(atoms: I) -> Self {
        Self::set(atoms)
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(atom) = self.scalar() {
            return atom.fmt(f);
        }
        match self {
            Self::Set(atoms) => {
                f.write_str("[")?;
                separated(f, atoms.iter().map(ToString::to_string))?;
                f.write_str("]")
            }
            Self::Map(pairs) => {
                f.write_str("{")?;
                separated(f, pairs.iter().map(|(key, value)| format!("{key}={value}")))?;
                f.write_str("}")
            }
        }
    }
}

fn separated(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = String>) -> fmt::Result {
    for (position, item) in items.enumerate() {
        if position > 0 {
            f.write_str(", ")?;
        }
        f.write_str(&item)?;
    }
    Ok(())
}
