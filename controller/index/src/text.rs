//! Reading the text fields of Kubernetes objects.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use kube::core::ObjectMeta;
use model::{Provider, Rate};

/// An object cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{field} is `{value}`: {cause}")]
pub struct Rejected {
    /// The field, as a path in the object.
    pub field: String,
    pub value: String,
    /// What is wrong, and what would be right.
    pub cause: String,
}

/// A field's value; `None` when it is empty.
pub(crate) fn parse<T>(field: &str, value: &str) -> Result<Option<T>, Rejected>
where
    T: FromStr<Err: Display>,
{
    if value.is_empty() {
        return Ok(None);
    }
    let parsed = value.parse().map_err(|error: T::Err| Rejected {
        field: field.to_owned(),
        value: value.to_owned(),
        cause: error.to_string(),
    });
    parsed.map(Some)
}

/// A field's value; an empty one is rejected.
pub(crate) fn require<T>(field: &str, value: &str) -> Result<T, Rejected>
where
    T: FromStr<Err: Display>,
{
    parse(field, value)?.ok_or_else(|| Rejected {
        field: field.to_owned(),
        value: String::new(),
        cause: "it must not be empty".to_owned(),
    })
}

/// The annotations of one network of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Annotations<'a> {
    all: Option<&'a BTreeMap<String, String>>,
    provider: &'a Provider,
}

// === impl Annotations ===

impl<'a> Annotations<'a> {
    pub(crate) const fn of(meta: &'a ObjectMeta, provider: &'a Provider) -> Self {
        Self {
            all: meta.annotations.as_ref(),
            provider,
        }
    }

    /// The annotation's text, empty when it is absent.
    pub(crate) fn text(self, key: &str) -> &'a str {
        let name = self.provider.annotation(key);
        self.all
            .and_then(|all| all.get(&name))
            .map_or("", String::as_str)
    }

    pub(crate) fn is_true(self, key: &str) -> bool {
        self.text(key) == api::annotation::TRUE
    }

    pub(crate) fn parse<T: FromStr<Err: Display>>(self, key: &str) -> Result<Option<T>, Rejected> {
        parse(&self.field(key), self.text(key))
    }

    pub(crate) fn require<T: FromStr<Err: Display>>(self, key: &str) -> Result<T, Rejected> {
        require(&self.field(key), self.text(key))
    }

    /// A limit of bandwidth; `None` where there is none.
    pub(crate) fn limit(self, key: &str) -> Result<Option<Rate>, Rejected> {
        let text = Some(self.text(key)).filter(|text| !text.is_empty());
        let limit = text.map(Rate::limit).transpose();
        let limit = limit.map_err(|error| self.rejected(key, error.to_string()));
        limit.map(Option::flatten)
    }

    /// What is wrong with the annotation.
    pub(crate) fn rejected(self, key: &str, cause: String) -> Rejected {
        Rejected {
            field: self.field(key),
            value: self.text(key).to_owned(),
            cause,
        }
    }

    fn field(self, key: &str) -> String {
        format!("annotation {}", self.provider.annotation(key))
    }
}

/// The object's UID, empty when the API server gave none.
pub(crate) fn uid(meta: &ObjectMeta) -> String {
    meta.uid.clone().unwrap_or_default()
}
