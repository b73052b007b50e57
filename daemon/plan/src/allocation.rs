//! What the controller allocated, read from the annotations of a pod or a node.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use linux::address::Addresses;
use model::{CidrPair, DualStack, MacAddr, Provider};

/// The addresses of one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    pub mac: MacAddr,
    pub addresses: DualStack<IpAddr>,
    pub networks: CidrPair,
    pub gateways: DualStack<IpAddr>,
}

/// The annotations say `allocated`, and another of them is missing or malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAllocation {
    #[error("annotation `{key}` is missing")]
    Missing { key: String },
    #[error("annotation `{key}`: {why}")]
    Malformed { key: String, why: String },
    #[error("annotation `{key}` has no network for {address}")]
    NoNetwork { key: String, address: IpAddr },
}

type Annotations = BTreeMap<String, String>;

const ALLOCATED: &str = "allocated";
const MAC_ADDRESS: &str = "mac_address";
const IP_ADDRESS: &str = "ip_address";
const CIDR: &str = "cidr";
const GATEWAY: &str = "gateway";

// === impl Allocation ===

impl Allocation {
    /// The port of the network `provider`; `None` until the controller has recorded it.
    ///
    /// # Errors
    /// When it says that it has, and the addresses cannot be read.
    pub fn read(
        provider: &Provider,
        annotations: &Annotations,
    ) -> Result<Option<Self>, InvalidAllocation> {
        let allocated = annotations.get(&provider.annotation(ALLOCATED));
        if allocated.is_none_or(|value| value != "true") {
            return Ok(None);
        }
        let allocation = Self {
            mac: parse(annotations, provider, MAC_ADDRESS)?,
            addresses: parse(annotations, provider, IP_ADDRESS)?,
            networks: parse(annotations, provider, CIDR)?,
            gateways: optional(annotations, provider, GATEWAY)?.unwrap_or_default(),
        };
        let orphan = allocation
            .addresses
            .iter()
            .find(|(family, _)| allocation.networks.get(*family).is_none());
        match orphan {
            None => Ok(Some(allocation)),
            Some((_, address)) => Err(InvalidAllocation::NoNetwork {
                key: provider.annotation(CIDR),
                address: *address,
            }),
        }
    }

    /// The addresses with the prefix lengths of their networks.
    pub fn interface_addresses(&self) -> Addresses {
        let with_prefix = |(family, address): (_, &IpAddr)| {
            let network = self.networks.get(family)?;
            IpNet::new(*address, network.prefix_len()).ok()
        };
        self.addresses.iter().filter_map(with_prefix).collect()
    }
}

fn parse<T>(
    annotations: &Annotations,
    provider: &Provider,
    key: &str,
) -> Result<T, InvalidAllocation>
where
    T: FromStr<Err: fmt::Display>,
{
    let missing = || InvalidAllocation::Missing {
        key: provider.annotation(key),
    };
    optional(annotations, provider, key)?.ok_or_else(missing)
}

/// An empty annotation is as good as none.
fn optional<T>(
    annotations: &Annotations,
    provider: &Provider,
    key: &str,
) -> Result<Option<T>, InvalidAllocation>
where
    T: FromStr<Err: fmt::Display>,
{
    let key = provider.annotation(key);
    let text = annotations.get(&key).filter(|text| !text.is_empty());
    let value = text.map(|text| text.parse()).transpose();
    value.map_err(|error: T::Err| InvalidAllocation::Malformed {
        key,
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        let key = |key: &str| Provider::Ovn.annotation(key);
        pairs
            .iter()
            .map(|(k, v)| (key(k), (*v).to_owned()))
            .collect()
    }

    const DUAL: [(&str, &str); 5] = [
        ("allocated", "true"),
        ("ip_address", "10.16.0.5,fd00::5"),
        ("mac_address", "00:00:00:AA:BB:CC"),
        ("cidr", "10.16.0.0/16,fd00::/112"),
        ("gateway", "10.16.0.1,fd00::1"),
    ];

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Allocation>, InvalidAllocation> {
        Allocation::read(&Provider::Ovn, &annotations(pairs))
    }

    #[test]
    fn a_dual_stack_allocation_has_a_prefix_length_for_each_family() {
        let allocation = read(&DUAL).unwrap().unwrap();
        let expected: Addresses = ["10.16.0.5/16", "fd00::5/112"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(allocation.interface_addresses(), expected);
    }

    #[test]
    fn nothing_is_read_before_the_controller_says_allocated() {
        assert_eq!(read(&DUAL[1..]), Ok(None));
        let mut refused = DUAL;
        refused[0].1 = "false";
        assert_eq!(read(&refused), Ok(None));
    }

    #[test]
    fn an_error_names_the_annotation() {
        for (position, (key, _)) in DUAL.iter().enumerate().skip(1) {
            let mut broken = DUAL;
            broken[position].1 = "nonsense";
            let error = read(&broken).unwrap_err().to_string();
            assert!(error.contains(&Provider::Ovn.annotation(key)), "{error}");
        }
    }

    #[test]
    fn an_address_without_a_network_is_refused() {
        let mut broken = DUAL;
        broken[3].1 = "10.16.0.0/16";
        let error = read(&broken).unwrap_err();
        assert!(
            matches!(error, InvalidAllocation::NoNetwork { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_port_without_a_gateway_is_allowed() {
        let mut without = DUAL;
        without[4].1 = "";
        assert!(read(&without).unwrap().unwrap().gateways.is_empty());
    }
}
