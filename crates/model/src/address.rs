//! IP addresses, ranges and CIDRs, single or dual stack.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpFamily {
    V4,
    V6,
}

/// A network: the host bits are always zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(IpNet);

/// The addresses from `start` to `end`, both included, of one family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    start: IpAddr,
    end: IpAddr,
}

/// One value for each family that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DualStack<T> {
    pub v4: Option<T>,
    pub v6: Option<T>,
}

/// The networks of a subnet: one or one of each family.
pub type CidrPair = DualStack<Cidr>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("`{0}` is not a CIDR; write `<address>/<prefix length>`")]
    Cidr(String),
    #[error("`{0}` is not an IP address")]
    Address(String),
    #[error("`{0}` is not a range; write one address or `<first>..<last>`")]
    Range(String),
    #[error("`{0}` is not one value or a pair of both families joined by a comma")]
    Pair(String),
}

// === impl IpFamily ===

impl IpFamily {
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The prefix length of a single address: 32 or 128.
    pub const fn host_prefix(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The word for this family in OVN's match expressions (ovn-sb(5), `Logical_Flow.match`).
    pub const fn ovn_match(self) -> &'static str {
        match self {
            Self::V4 => "ip4",
            Self::V6 => "ip6",
        }
    }

    /// Every address of the family.
    pub fn any(self) -> Cidr {
        match self {
            Self::V4 => Cidr(Ipv4Net::default().into()),
            Self::V6 => Cidr(Ipv6Net::default().into()),
        }
    }

    /// The address whose number is `number`; `None` when the family has no such address.
    pub fn address(self, number: u128) -> Option<IpAddr> {
        match self {
            Self::V4 => u32::try_from(number).ok().map(|n| Ipv4Addr::from(n).into()),
            Self::V6 => Some(Ipv6Addr::from(number).into()),
        }
    }
}

/// An address as a number, for arithmetic inside its family.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

// === impl Cidr ===

impl Cidr {
    /// The network that `net` belongs to.
    pub fn new(net: IpNet) -> Self {
        Self(net.trunc())
    }

    pub fn family(self) -> IpFamily {
        IpFamily::of(self.0.addr())
    }

    pub fn prefix_len(self) -> u8 {
        self.0.prefix_len()
    }

    pub fn network(self) -> IpAddr {
        self.0.network()
    }

    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.0.contains(&other.network()) || other.0.contains(&self.network())
    }

    /// First and last host: network and broadcast address are left out in both families.
    /// `None` for `/31`, `/32`, `/127` and `/128`, which have no other address.
    pub fn hosts(self) -> Option<AddressRange> {
        let first = number(self.0.network()).checked_add(1)?;
        let last = number(self.0.broadcast()).checked_sub(1)?;
        let family = self.family();
        AddressRange::new(family.address(first)?, family.address(last)?)
    }

    /// Every address, network and broadcast address included.
    pub fn range(self) -> Option<AddressRange> {
        AddressRange::new(self.0.network(), self.0.broadcast())
    }

    /// `address/length`, with this network's prefix length.
    pub fn with_host(self, address: IpAddr) -> String {
        format!("{address}/{}", self.prefix_len())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cidr {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let net: Result<IpNet, _> = text.trim().parse();
        net.map(Self::new)
            .ok()
            .ok_or_else(|| InvalidAddress::Cidr(text.to_owned()))
    }
}

// === impl AddressRange ===

impl AddressRange {
    /// `None` when the families differ or `start` is after `end`.
    pub fn new(start: IpAddr, end: IpAddr) -> Option<Self> {
        let ordered = IpFamily::of(start) == IpFamily::of(end) && start <= end;
        ordered.then_some(Self { start, end })
    }

    pub const fn single(address: IpAddr) -> Self {
        Self {
            start: address,
            end: address,
        }
    }

    pub const fn start(self) -> IpAddr {
        self.start
    }

    pub const fn end(self) -> IpAddr {
        self.end
    }

    pub const fn family(self) -> IpFamily {
        IpFamily::of(self.start)
    }

    pub fn contains(self, address: IpAddr) -> bool {
        self.family() == IpFamily::of(address) && self.start <= address && address <= self.end
    }
}

/// `first..last`, or one address when they are the same.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.start == self.end {
            write!(f, "{}", self.start)
        } else {
            write!(f, "{}..{}", self.start, self.end)
        }
    }
}

impl fmt::Debug for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AddressRange {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAddress::Range(text.to_owned());
        let (start, end) = text.split_once("..").unwrap_or((text, text));
        let address = |text: &str| text.trim().parse::<IpAddr>().ok();
        address(start)
            .zip(address(end))
            .and_then(|(start, end)| Self::new(start, end))
            .ok_or_else(invalid)
    }
}

// === impl DualStack ===

impl<T> DualStack<T> {
    pub const NONE: Self = Self { v4: None, v6: None };

    pub const fn get(&self, family: IpFamily) -> Option<&T> {
        match family {
            IpFamily::V4 => self.v4.as_ref(),
            IpFamily::V6 => self.v6.as_ref(),
        }
    }

    pub const fn get_mut(&mut self, family: IpFamily) -> &mut Option<T> {
        match family {
            IpFamily::V4 => &mut self.v4,
            IpFamily::V6 => &mut self.v6,
        }
    }

    /// The values in use, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = (IpFamily, &T)> {
        IpFamily::ALL
            .into_iter()
            .filter_map(|family| Some((family, self.get(family)?)))
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    pub fn map<U>(&self, mut change: impl FnMut(IpFamily, &T) -> U) -> DualStack<U> {
        DualStack {
            v4: self.v4.as_ref().map(|value| change(IpFamily::V4, value)),
            v6: self.v6.as_ref().map(|value| change(IpFamily::V6, value)),
        }
    }

    pub const fn is_dual_stack(&self) -> bool {
        self.v4.is_some() && self.v6.is_some()
    }

    pub const fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }
}

impl<T> Default for DualStack<T> {
    fn default() -> Self {
        Self::NONE
    }
}

/// `v4`, `v6` or `v4,v6`.
impl<T: fmt::Display> fmt::Display for DualStack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.is_dual_stack() { "," } else { "" };
        if let Some(v4) = &self.v4 {
            write!(f, "{v4}{separator}")?;
        }
        self.v6.as_ref().map_or(Ok(()), |v6| write!(f, "{v6}"))
    }
}

/// A type whose values belong to one family.
pub trait HasFamily {
    fn family(&self) -> IpFamily;
}

impl HasFamily for IpAddr {
    fn family(&self) -> IpFamily {
        IpFamily::of(*self)
    }
}

impl HasFamily for Cidr {
    fn family(&self) -> IpFamily {
        Self::family(*self)
    }
}

impl<T: HasFamily> DualStack<T> {
    /// `None` when two values are of one family.
    pub fn from_values(values: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut pair = Self::NONE;
        for value in values {
            let place = pair.get_mut(value.family());
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(pair)
    }
}

impl<T: HasFamily + FromStr> FromStr for DualStack<T> {
    type Err = InvalidAddress;

    /// One value, or one of each family joined by a comma, in any order.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let values: Option<Vec<T>> = text
            .split(',')
            .map(|part| part.trim().parse().ok())
            .collect();
        values
            .and_then(Self::from_values)
            .ok_or_else(|| InvalidAddress::Pair(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn every_address_of_a_family_is_in_its_greatest_network() {
        assert_eq!(IpFamily::V4.any(), cidr("0.0.0.0/0"));
        assert_eq!(IpFamily::V6.any(), cidr("::/0"));
    }

    #[test]
    fn host_bits_are_dropped() {
        assert_eq!(cidr("11.14.0.1/16").to_string(), "11.14.0.0/16");
    }

    #[test]
    fn network_and_broadcast_are_no_hosts() {
        assert_eq!(
            cidr("10.0.0.0/30").hosts().unwrap().to_string(),
            "10.0.0.1..10.0.0.2"
        );
        assert_eq!(
            cidr("fd00::/126").hosts().unwrap().to_string(),
            "fd00::1..fd00::2"
        );
        for text in ["10.0.0.0/31", "10.0.0.0/32", "fd00::/127", "fd00::/128"] {
            assert_eq!(cidr(text).hosts(), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_cidr_is_refused() {
        for text in ["1.1.1.1/64", "fd00::/130", "fd00::g/120", "10.0.0.0", ""] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_pair_has_one_value_of_each_family() {
        let pair: CidrPair = "fd00::/64, 10.16.0.0/16".parse().unwrap();
        assert_eq!(pair.to_string(), "10.16.0.0/16,fd00::/64");
        for text in ["10.16.0.0/16,10.17.0.0/16", "10.16.0.0/16,", "", "x"] {
            assert!(text.parse::<CidrPair>().is_err(), "{text}");
        }
    }

    #[test]
    fn overlap_is_symmetric() {
        assert!(cidr("10.0.0.0/8").overlaps(cidr("10.1.0.0/16")));
        assert!(cidr("10.1.0.0/16").overlaps(cidr("10.0.0.0/8")));
        assert!(!cidr("10.1.0.0/16").overlaps(cidr("10.2.0.0/16")));
        assert!(!cidr("0.0.0.0/0").overlaps(cidr("::/0")));
    }

    proptest! {
        #[test]
        fn a_range_parses_back(a: u32, b: u32) {
            let (start, end) = (a.min(b), a.max(b));
            let range =
                AddressRange::new(Ipv4Addr::from(start).into(), Ipv4Addr::from(end).into()).unwrap();
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }

        #[test]
        fn a_cidr_parses_back(address: u128, len in 0_u8..=128) {
            let cidr = Cidr::new(IpNet::new(Ipv6Addr::from(address).into(), len).unwrap());
            prop_assert_eq!(cidr.to_string().parse(), Ok(cidr));
        }

        #[test]
        fn a_number_gives_its_address_back(address: u128) {
            let address = IpAddr::V6(Ipv6Addr::from(address));
            prop_assert_eq!(IpFamily::V6.address(number(address)), Some(address));
        }
    }
}
