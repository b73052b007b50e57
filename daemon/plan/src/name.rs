//! Names that the node derives from a sandbox.

use std::fmt;
use std::str::FromStr;

use linux::LinkName;
use linux::link::InvalidLinkName;

/// The runtime's name of a sandbox: letters, digits, `_`, `.` and `-`, the first a letter or digit
/// (CNI specification, section 2, `CNI_CONTAINERID`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerId(String);

/// The text cannot be a container id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no container id; start with a letter or digit, go on with those, `_`, `.` and `-`"
)]
pub struct InvalidContainerId(String);

/// Characters of the id and the interface name together, before `_h`.
const STEM: usize = 12;
/// With fewer characters of the id, two sandboxes of one node would often get one name.
const LEAST_OF_ID: usize = 6;

/// The name of the node's end of a veth pair: `<id[..12]>_h` for `eth0`,
/// `<id[..12 - len]>_<ifname>_h` for another interface. Where the latter leaves less than six
/// characters of the id, the stem is a hash of both instead.
///
/// # Errors
/// Never for an id and a name as the CNI specification allows them; the type says so because the
/// kernel has the last word.
pub fn host_link(id: &ContainerId, ifname: &LinkName) -> Result<LinkName, InvalidLinkName> {
    let ifname = ifname.as_str();
    let of_id = |length: usize| id.0.chars().take(length).collect::<String>();
    let name = match STEM.checked_sub(ifname.len()) {
        _ if ifname == "eth0" => format!("{}_h", of_id(STEM)),
        Some(length) if length >= LEAST_OF_ID => format!("{}_{ifname}_h", of_id(length)),
        Some(_) | None => format!("{:012x}_h", hash(&id.0, ifname) & 0xffff_ffff_ffff),
    };
    LinkName::new(name)
}

/// 64-bit FNV-1a of both, told apart by a byte that neither contains.
fn hash(id: &str, ifname: &str) -> u64 {
    let bytes = id.bytes().chain([0]).chain(ifname.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

// === impl ContainerId ===

impl ContainerId {
    /// # Errors
    /// When `text` cannot be a container id.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidContainerId> {
        let text = text.into();
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts && text.chars().all(inner) {
            Ok(Self(text))
        } else {
            Err(InvalidContainerId(text))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContainerId {
    type Err = InvalidContainerId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}";
    const IFNAME: &str = "[a-z0-9_.@-]{3,15}";

    fn named(id: &str, ifname: &str) -> String {
        let (id, ifname) = (id.parse().unwrap(), ifname.parse().unwrap());
        host_link(&id, &ifname).unwrap().to_string()
    }

    #[test]
    fn usual_names_are_the_original_ones() {
        assert_eq!(named("0123456789abcdef", "eth0"), "0123456789ab_h");
        assert_eq!(named("0123456789abcdef", "net1"), "01234567_net1_h");
        assert_eq!(named("short", "eth0"), "short_h");
    }

    #[test]
    fn a_long_interface_name_does_not_eat_the_id() {
        let (one, other) = ("0123456789ab", "0123456789cd");
        let long = "fifteen-letters";
        assert_ne!(named(one, long), named(other, long));
        assert_ne!(named(one, long), named(one, "fifteen-letterz"));
    }

    #[test]
    fn what_is_no_container_id_is_refused() {
        for text in ["", "-a", "a/b", "a b", "ä"] {
            assert!(ContainerId::new(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_sandbox_gets_a_name_that_the_kernel_takes(id in ID, ifname in IFNAME) {
            let ifname = LinkName::new(ifname).unwrap();
            prop_assert!(host_link(&ContainerId::new(id).unwrap(), &ifname).is_ok());
        }
    }
}
