//! The address of a router's port, with the network that it is in.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::address::HasFamily;
use crate::{Cidr, IpFamily};

/// An address and its network, such as `169.254.0.1/30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortAddress {
    pub address: IpAddr,
    pub network: Cidr,
}

/// The text is no address with a prefix length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address with its prefix length; write `<address>/<prefix length>`")]
pub struct InvalidPortAddress(String);

// === impl PortAddress ===

impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.network.with_host(self.address))
    }
}

impl FromStr for PortAddress {
    type Err = InvalidPortAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPortAddress(text.to_owned());
        let (address, _) = text.split_once('/').ok_or_else(invalid)?;
        Ok(Self {
            address: address.trim().parse().ok().ok_or_else(invalid)?,
            network: text.parse().ok().ok_or_else(invalid)?,
        })
    }
}

impl HasFamily for PortAddress {
    fn family(&self) -> IpFamily {
        self.network.family()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DualStack;

    #[test]
    fn it_keeps_the_host_and_knows_the_network() {
        let pair: DualStack<PortAddress> = "fd00::2/64,169.254.0.1/30".parse().unwrap();
        assert_eq!(pair.to_string(), "169.254.0.1/30,fd00::2/64");
        assert_eq!(pair.v4.unwrap().network.to_string(), "169.254.0.0/30");
        assert_eq!(pair.v6.unwrap().network.to_string(), "fd00::/64");
    }

    #[test]
    fn what_has_no_prefix_length_is_refused() {
        for text in ["169.254.0.1", "169.254.0.1/33", "a/24", ""] {
            assert!(text.parse::<PortAddress>().is_err(), "{text}");
        }
    }
}
