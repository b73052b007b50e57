//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address, printed as six upper-case hexadecimal pairs joined by colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

/// The text is not six hexadecimal pairs joined by colons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MAC address; write six hexadecimal pairs joined by colons")]
pub struct InvalidMac(String);

// === impl MacAddr ===

impl MacAddr {
    /// The prefix of every address that kube-ovn chooses.
    pub const PREFIX: [u8; 3] = [0, 0, 0];

    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// The address with kube-ovn's prefix and the low 24 bits of `seed`.
    pub const fn from_seed(seed: u64) -> Self {
        let [oui0, oui1, oui2] = Self::PREFIX;
        let [.., nic0, nic1, nic2] = seed.to_be_bytes();
        Self([oui0, oui1, oui2, nic0, nic1, nic2])
    }

    /// The address that belongs to `name` for ever: a hash of it (64-bit FNV-1a), so that a router
    /// port which is made anew keeps its address.
    pub fn from_name(name: &str) -> Self {
        Self::from_seed(fnv1a(name.as_bytes()))
    }
}

/// 64-bit FNV-1a, folded so that the low bits depend on all of it.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^ (hash >> 24) ^ (hash >> 48)
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMac(text.to_owned());
        let mut octets = [0; 6];
        let mut pairs = text.split(':');
        for octet in &mut octets {
            let pair = pairs.next().filter(|p| p.len() == 2).ok_or_else(invalid)?;
            let digits = pair.bytes().all(|b| b.is_ascii_hexdigit());
            let value = u8::from_str_radix(pair, 16).ok().filter(|_| digits);
            *octet = value.ok_or_else(invalid)?;
        }
        match pairs.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn anything_but_six_pairs_is_refused() {
        for text in [
            "",
            "00:00",
            "00:00:00:00:00:0",
            "00:00:00:00:00:00:00",
            "+1:00:00:00:00:00",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_gives_the_same_address_each_time_and_another_name_another() {
        assert_eq!(MacAddr::from_name("a"), MacAddr::from_name("a"));
        assert_ne!(MacAddr::from_name("a"), MacAddr::from_name("b"));
    }

    proptest! {
        #[test]
        fn parsing_what_was_printed_gives_the_same(octets: [u8; 6]) {
            let mac = MacAddr::new(octets);
            prop_assert_eq!(mac.to_string().parse(), Ok(mac));
        }
    }
}
