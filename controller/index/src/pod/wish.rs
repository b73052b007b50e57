//! What a user asks for by annotations.

use std::net::IpAddr;

use api::annotation::key;
use model::{CidrPair, DualStack, IpPoolName, MacAddr, SubnetName};

use super::{Allocation, Nic, shared};
use crate::text::{Annotations, Rejected};

/// What a user asked for by annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    pub subnet: Option<SubnetName>,
    pub addresses: DualStack<IpAddr>,
    pub pool: Option<Pool>,
    pub mac: Option<MacAddr>,
}

/// The addresses that the pods of a workload share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pool {
    /// These, in this order.
    Listed(Vec<IpAddr>),
    /// Those of an `IPPool`.
    Named(IpPoolName),
}

/// What was recorded, and what was asked for. Annotations that cannot be read count as not there,
/// and are told.
pub(super) fn read(annotations: Annotations<'_>) -> (Option<Allocation>, Result<Wish, Rejected>) {
    if !annotations.is_true(key::ALLOCATED) {
        return (None, wish(annotations));
    }
    match allocation(annotations) {
        Ok(allocation) => {
            let told = told(annotations);
            (Some(allocation), told.map(|()| Wish::default()))
        }
        Err(rejected) => (None, Err(rejected)),
    }
}

fn allocation(annotations: Annotations<'_>) -> Result<Allocation, Rejected> {
    Ok(Allocation {
        subnet: annotations.require(key::LOGICAL_SWITCH)?,
        addresses: annotations.require(key::IP_ADDRESS)?,
        mac: annotations.require(key::MAC_ADDRESS)?,
    })
}

fn wish(annotations: Annotations<'_>) -> Result<Wish, Rejected> {
    told(annotations)?;
    let addresses = annotations.parse(key::IP_ADDRESS)?.unwrap_or_default();
    inside(annotations, &addresses)?;
    Ok(Wish {
        subnet: annotations.parse(key::LOGICAL_SWITCH)?,
        addresses,
        pool: pool(annotations)?,
        mac: annotations.parse(key::MAC_ADDRESS)?,
    })
}

/// What is read elsewhere only must make sense.
fn told(annotations: Annotations<'_>) -> Result<(), Rejected> {
    rates(annotations)?;
    shared::read(annotations)?;
    north(annotations)?;
    Nic::of(annotations).map(|_| ())
}

/// The gateway that the pod names.
pub(super) fn north(annotations: Annotations<'_>) -> Result<DualStack<IpAddr>, Rejected> {
    let gateway = annotations.parse(key::NORTH_GATEWAY);
    gateway
        .map(Option::unwrap_or_default)
        .map_err(|rejected| Rejected {
            cause: "write the address of a pod, or `<v4>,<v6>`".to_owned(),
            ..rejected
        })
}

/// Limits are read where they are applied; here they only must be numbers.
fn rates(annotations: Annotations<'_>) -> Result<(), Rejected> {
    for key in [key::INGRESS_RATE, key::EGRESS_RATE] {
        annotations.limit(key)?;
    }
    Ok(())
}

/// A `cidr` that somebody wrote beside the addresses must hold them.
fn inside(annotations: Annotations<'_>, addresses: &DualStack<IpAddr>) -> Result<(), Rejected> {
    let Some(cidrs) = annotations.parse::<CidrPair>(key::CIDR)? else {
        return Ok(());
    };
    let is_inside = |(family, address): (_, &IpAddr)| {
        cidrs
            .get(family)
            .is_some_and(|cidr| cidr.contains(*address))
    };
    if addresses.iter().all(is_inside) {
        return Ok(());
    }
    let cause = format!(
        "it is outside of {cidrs}, the annotation {}; choose an address inside, or remove one of \
         the two",
        key::CIDR
    );
    Err(annotations.rejected(key::IP_ADDRESS, cause))
}

fn pool(annotations: Annotations<'_>) -> Result<Option<Pool>, Rejected> {
    let text = annotations.text(key::IP_POOL);
    if text.trim().is_empty() {
        return Ok(None);
    }
    if let (Err(_), Ok(name)) = (text.trim().parse::<IpAddr>(), text.trim().parse()) {
        return Ok(Some(Pool::Named(name)));
    }
    let entries = text.split(',').map(|entry| {
        let entry = entry.trim();
        entry.parse().map_err(|_unspecific: std::net::AddrParseError| {
            let cause = format!(
                "`{entry}` is not an IP address; write addresses of one family each, separated by \
                 commas, or the name of one IPPool"
            );
            annotations.rejected(key::IP_POOL, cause)
        })
    });
    entries
        .collect::<Result<_, _>>()
        .map(|it| Some(Pool::Listed(it)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::core::v1 as core;

    use super::*;
    use crate::kind::Watched;
    use crate::pod::Pod;

    /// A pod with this gateway, allocated already.
    fn naming(gateway: &str) -> Pod {
        let annotations = [
            (key::NORTH_GATEWAY, gateway),
            (key::ALLOCATED, "true"),
            (key::LOGICAL_SWITCH, "s"),
            (key::IP_ADDRESS, "10.1.0.2"),
            (key::MAC_ADDRESS, "00:00:00:00:00:02"),
        ];
        let annotations = annotations
            .map(|(key, value)| (model::Provider::Ovn.annotation(key), value.to_owned()));
        let mut pod = core::Pod::default();
        pod.metadata.annotations = Some(BTreeMap::from(annotations));
        pod.parse().unwrap()
    }

    #[test]
    fn a_gateway_is_one_address_or_one_of_each_family() {
        for text in ["10.1.0.9", "fd00::9", "10.1.0.9,fd00::9"] {
            let pod = naming(text);
            assert_eq!(pod.north.to_string(), text);
            assert_eq!(core::Pod::complaint(&pod), None);
        }
        assert_eq!(naming("").north, DualStack::NONE);
    }

    #[test]
    fn a_gateway_that_cannot_be_read_is_told_and_the_pod_keeps_its_addresses() {
        for text in ["gateway", "10.1.0.0/16", "10.1.0.8,10.1.0.9"] {
            let pod = naming(text);
            assert_eq!(pod.north, DualStack::NONE);
            assert!(pod.allocation.is_some());
            let why = core::Pod::complaint(&pod).unwrap();
            assert_eq!(why.field, "annotation ovn.kubernetes.io/north_gateway");
            assert_eq!(
                (why.value.as_str(), why.cause.contains("write the address")),
                (text, true)
            );
        }
    }
}
