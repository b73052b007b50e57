//! Links: names, hardware addresses, MTU, administrative state; veth pairs.

use std::fmt;
use std::str::FromStr;

use model::MacAddr;

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{apply, create_veth, delete, list, names, observe, reconcile, with_address};

/// The alias (`ip -details link`) of every link that kube-ovn made.
pub const MARK: &str = "kube-ovn";

/// The name of a link: 1 to 15 bytes without `/`, `:` and white space, neither `.` nor `..`
/// (`dev_valid_name` in the kernel).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName(String);

/// The kernel would refuse the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name for a link; use 1 to 15 characters without `/`, `:` and white space")]
pub struct InvalidLinkName(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    Up,
    Down,
}

/// What a link should be like; `None` leaves the attribute as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    pub mac: Option<MacAddr>,
    /// In bytes, without the Ethernet header.
    pub mtu: Option<u32>,
    pub alias: Option<String>,
    pub admin: Option<Admin>,
}

/// What a link is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actual {
    /// Unique in its namespace, never reused while the link lives.
    pub index: u32,
    pub mac: Option<MacAddr>,
    pub mtu: u32,
    pub alias: Option<String>,
    pub admin: Admin,
    /// Of a veth: the index of the other end, in that end's namespace.
    pub peer: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Mac(MacAddr),
    Mtu(u32),
    Alias(String),
    Admin(Admin),
}

/// One end of a veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub name: LinkName,
    pub link: Desired,
}

/// A veth pair whose peer is born in another namespace, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veth {
    pub near: End,
    pub peer: End,
}

/// What must change for `actual` to be as desired, in the order in which the kernel takes it.
pub fn diff(desired: &Desired, actual: &Actual) -> Vec<Change> {
    let Desired {
        mac,
        mtu,
        alias,
        admin,
    } = desired;
    let mac = mac.filter(|mac| actual.mac != Some(*mac)).map(Change::Mac);
    let mtu = mtu.filter(|mtu| actual.mtu != *mtu).map(Change::Mtu);
    let alias = alias
        .clone()
        .filter(|alias| actual.alias.as_ref() != Some(alias));
    let admin = admin.filter(|admin| actual.admin != *admin);
    [mac, mtu, alias.map(Change::Alias), admin.map(Change::Admin)]
        .into_iter()
        .flatten()
        .collect()
}

// === impl LinkName ===

impl LinkName {
    /// Bytes in the longest name.
    pub const MAX: usize = 15;

    /// # Errors
    /// When the kernel would refuse the name.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidLinkName> {
        let text = text.into();
        let allowed = |c: char| c != '/' && c != ':' && !c.is_whitespace() && !c.is_control();
        let valid = (1..=Self::MAX).contains(&text.len())
            && text != "."
            && text != ".."
            && text.chars().all(allowed);
        if valid {
            Ok(Self(text))
        } else {
            Err(InvalidLinkName(text))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LinkName {
    type Err = InvalidLinkName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

// === impl Veth ===

impl Veth {
    /// Whether `near` and `peer` are the two ends of one pair.
    pub fn are_peers(near: &Actual, peer: &Actual) -> bool {
        near.peer == Some(peer.index) && peer.peer == Some(near.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option;
    use proptest::prelude::*;

    fn admin() -> impl Strategy<Value = Admin> {
        prop_oneof![Just(Admin::Up), Just(Admin::Down)]
    }

    prop_compose! {
        fn desired()(
            mac in option::of(any::<[u8; 6]>()),
            mtu in option::of(68_u32..9000),
            alias in option::of("[a-z]{1,8}"),
            admin in option::of(admin()),
        ) -> Desired {
            Desired { mac: mac.map(MacAddr::new), mtu, alias, admin }
        }
    }

    prop_compose! {
        fn actual()(
            mac in option::of(any::<[u8; 6]>()),
            mtu in 68_u32..9000,
            alias in option::of("[a-z]{1,8}"),
            admin in admin(),
        ) -> Actual {
            Actual { index: 1, mac: mac.map(MacAddr::new), mtu, alias, admin, peer: None }
        }
    }

    fn applied(mut link: Actual, changes: Vec<Change>) -> Actual {
        for change in changes {
            match change {
                Change::Mac(mac) => link.mac = Some(mac),
                Change::Mtu(mtu) => link.mtu = mtu,
                Change::Alias(alias) => link.alias = Some(alias),
                Change::Admin(admin) => link.admin = admin,
            }
        }
        link
    }

    proptest! {
        #[test]
        fn a_link_that_took_every_change_needs_none(desired in desired(), actual in actual()) {
            let changes = diff(&desired, &actual);
            prop_assert_eq!(diff(&desired, &applied(actual, changes)), vec![]);
        }

        #[test]
        fn wanting_nothing_changes_nothing(actual in actual()) {
            prop_assert_eq!(diff(&Desired::default(), &actual), vec![]);
        }
    }

    #[test]
    fn a_link_comes_up_only_after_its_address_and_mtu_are_set() {
        let desired = Desired {
            mac: Some(MacAddr::new([0, 0, 0, 1, 2, 3])),
            mtu: Some(1400),
            alias: None,
            admin: Some(Admin::Up),
        };
        let actual = Actual {
            index: 1,
            mac: None,
            mtu: 1500,
            alias: None,
            admin: Admin::Down,
            peer: None,
        };
        let changes = diff(&desired, &actual);
        assert_eq!(changes.last(), Some(&Change::Admin(Admin::Up)));
        assert_eq!(changes.len(), 3);
    }

    #[test]
    fn names_that_the_kernel_refuses_are_refused_here() {
        for text in ["", ".", "..", "a/b", "a b", "a:b", "1234567890123456"] {
            assert!(LinkName::new(text).is_err(), "{text}");
        }
        assert!(LinkName::new("123456789012345").is_ok());
    }
}
