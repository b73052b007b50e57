//! The addresses that a pod may use beside its own.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use api::annotation::key;
use controller_plan::Shared;

use crate::text::{Annotations, Rejected};

/// The VIPs that the pod names, by name or by address.
pub(super) fn read(annotations: Annotations<'_>) -> Result<BTreeSet<Shared>, Rejected> {
    let names = list(annotations, key::AAPS)?.into_iter().map(Shared::Vip);
    let addresses = list(annotations, key::PORT_VIPS)?;
    Ok(names
        .chain(addresses.into_iter().map(Shared::Address))
        .collect())
}

fn list<T: FromStr<Err: Display>>(
    annotations: Annotations<'_>,
    key: &str,
) -> Result<Vec<T>, Rejected> {
    let entries = annotations.text(key).split(',').map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty()).map(|entry| {
        entry.parse().map_err(|error: T::Err| {
            annotations.rejected(key, format!("`{entry}` is none of a VIP: {error}"))
        })
    });
    entries.collect()
}
