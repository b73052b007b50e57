//! How a row says whose it is: two keys of its `external_ids`.

use std::collections::BTreeMap;

use model::Owner;

/// The value of [`VENDOR_KEY`] on everything that is ours.
pub const VENDOR: &str = "kube-ovn";
pub const VENDOR_KEY: &str = "vendor";
/// The key that holds the [`Owner`].
pub const OWNER_KEY: &str = "kube-ovn-owner";

/// `external_ids` of a row of `owner`.
pub fn external_ids(owner: &Owner) -> BTreeMap<String, String> {
    BTreeMap::from([
        (VENDOR_KEY.to_owned(), VENDOR.to_owned()),
        (OWNER_KEY.to_owned(), owner.to_string()),
    ])
}

/// The owner that a row's `external_ids` name; `None` for a row of somebody else.
pub fn owner(external_ids: &BTreeMap<String, String>) -> Option<Owner> {
    let is_ours = external_ids
        .get(VENDOR_KEY)
        .is_some_and(|vendor| vendor == VENDOR);
    is_ours
        .then(|| external_ids.get(OWNER_KEY)?.parse().ok())
        .flatten()
}
