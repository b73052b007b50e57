//! The JSON form of values (RFC 7047 section 5.1).
//!
//! | value | JSON |
//! | --- | --- |
//! | atom | a number, boolean or string; `["uuid", "..."]`; `["named-uuid", "..."]` |
//! | set | an atom for a set of one, else `["set", [atom, ...]]` |
//! | map | `["map", [[atom, atom], ...]]` |
//!
//! Reading goes straight to the value without an intermediate tree.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
    ser::SerializeTuple,
};
use uuid::Uuid;

use super::{Atom, Datum, Real, Row};

impl Serialize for Atom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Real(value) => serializer.serialize_f64(value.0),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::String(value) => serializer.serialize_str(value),
            Self::Uuid(value) => {
                let mut buffer = Uuid::encode_buffer();
                tagged(
                    serializer,
                    "uuid",
                    value.hyphenated().encode_lower(&mut buffer),
                )
            }
            Self::NamedUuid(name) => tagged(serializer, "named-uuid", name),
        }
    }
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(atom) = self.scalar() {
            return atom.serialize(serializer);
        }
        match self {
            Self::Set(atoms) => tagged(serializer, "set", atoms),
            Self::Map(pairs) => tagged(serializer, "map", &Pairs(pairs)),
        }
    }
}

fn tagged<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    tag: &str,
    value: &T,
) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(2)?;
    tuple.serialize_element(tag)?;
    tuple.serialize_element(value)?;
    tuple.end()
}

struct Pairs<'a>(&'a std::collections::BTreeMap<Atom, Atom>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}

impl<'de> Deserialize<'de> for Atom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AtomVisitor)
    }
}

impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DatumVisitor)
    }
}

/// Reads what both visitors read alike: everything but arrays.
macro_rules! visit_plain_atoms {
    ($value:ty) => {
        type Value = $value;

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<$value, E> {
            Ok(Atom::Integer(value).into())
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<$value, E> {
            let value = i64::try_from(value)
                .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))?;
            Ok(Atom::Integer(value).into())
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<$value, E> {
            Ok(Atom::Real(Real(value)).into())
        }

        fn visit_bool<E: de::Error>(self, value: bool) -> Result<$value, E> {
            Ok(Atom::Boolean(value).into())
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<$value, E> {
            Ok(Atom::String(value.to_owned()).into())
        }

        fn visit_string<E: de::Error>(self, value: String) -> Result<$value, E> {
            Ok(Atom::String(value).into())
        }
    };
}

struct AtomVisitor;

impl<'de> Visitor<'de> for AtomVisitor {
    visit_plain_atoms!(Atom);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an OVSDB atom")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Atom, A::Error> {
        match required::<Tag, _>(&mut seq, &self)? {
            Tag::Uuid => required(&mut seq, &self).map(Atom::Uuid),
            Tag::NamedUuid => required(&mut seq, &self).map(Atom::NamedUuid),
            Tag::Set | Tag::Map => Err(de::Error::custom("a set or map where an atom must be")),
        }
    }
}

struct DatumVisitor;

impl<'de> Visitor<'de> for DatumVisitor {
    visit_plain_atoms!(Datum);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an OVSDB atom, set or map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Datum, A::Error> {
        match required::<Tag, _>(&mut seq, &self)? {
            Tag::Uuid => required(&mut seq, &self).map(Datum::uuid),
            Tag::NamedUuid => required::<String, _>(&mut seq, &self).map(Datum::named_uuid),
            Tag::Set => required(&mut seq, &self).map(Datum::Set),
            Tag::Map => {
                let pairs: Vec<(Atom, Atom)> = required(&mut seq, &self)?;
                Ok(Datum::map(pairs))
            }
        }
    }
}

fn required<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    seq: &mut A,
    expected: &dyn de::Expected,
) -> Result<T, A::Error> {
    seq.next_element()?
        .ok_or_else(|| de::Error::invalid_length(1, expected))
}

/// The first element of an array, which says what the second is.
enum Tag {
    Set,
    Map,
    Uuid,
    NamedUuid,
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tag = Cow::<str>::deserialize(deserializer)?;
        match tag.as_ref() {
            "set" => Ok(Self::Set),
            "map" => Ok(Self::Map),
            "uuid" => Ok(Self::Uuid),
            "named-uuid" => Ok(Self::NamedUuid),
            other => Err(de::Error::unknown_variant(
                other,
                &["set", "map", "uuid", "named-uuid"],
            )),
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self)
    }
}
