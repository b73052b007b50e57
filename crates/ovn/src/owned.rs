//! How a row says whose it is: two keys of its `external_ids`.

use std::collections::BTreeMap;

use model::{NodeName, Owner, PortKey};

/// The value of [`VENDOR_KEY`] on everything that is ours.
pub const VENDOR: &str = "kube-ovn";
pub const VENDOR_KEY: &str = "vendor";
/// The key that holds the [`Owner`].
pub const OWNER_KEY: &str = "kube-ovn-owner";
/// The key that holds `<namespace>/<pod>`, on ports of pods.
pub const POD_KEY: &str = "pod";

/// `external_ids` of a row of `owner`.
pub fn external_ids(owner: &Owner) -> BTreeMap<String, String> {
    BTreeMap::from([
        (VENDOR_KEY.to_owned(), VENDOR.to_owned()),
        (OWNER_KEY.to_owned(), owner.to_string()),
    ])
}

/// Whether a row without an owner may get one: Kube-OVN marks its ports with its name alone, and
/// most other rows not at all. What says more about itself is somebody else's.
pub fn is_adoptable(external_ids: &BTreeMap<String, String>) -> bool {
    let vendor = external_ids.get(VENDOR_KEY);
    let is_marked = vendor.is_some_and(|vendor| vendor == VENDOR);
    external_ids.is_empty() || is_marked && !external_ids.contains_key(OWNER_KEY)
}

/// The owner of a switch port that Kube-OVN made: it says which pod it is for, or has the name of a
/// node's.
pub fn owner_of_port(name: &str, external_ids: &BTreeMap<String, String>) -> Option<Owner> {
    if external_ids.is_empty() || !is_adoptable(external_ids) {
        return None;
    }
    let Some(pod) = external_ids.get(POD_KEY) else {
        return NodeName::of_lsp(name).map(Owner::Node);
    };
    let port = PortKey::primary(pod.parse().ok()?);
    (port.lsp() == name).then_some(Owner::Port(port))
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
