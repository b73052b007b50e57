//! The cluster's DNS.

use std::net::IpAddr;

use anyhow::Result;
use model::{DualStack, IpFamily};

use crate::{cluster::Cluster, image};

/// The domain of services.
pub(crate) const DOMAIN: &str = "cluster.local";

const MANIFEST: &str = include_str!("dns.yaml");

/// The addresses of its service, in the families of `like`.
pub(crate) fn addresses(like: &DualStack<IpAddr>) -> Vec<&'static str> {
    let address = |family| match family {
        IpFamily::V4 => "10.96.0.10",
        IpFamily::V6 => "fd00:96::a",
    };
    like.iter().map(|(family, _)| address(family)).collect()
}

/// Deploys CoreDNS, without waiting: its pods need a network first.
pub(crate) fn deploy(cluster: &Cluster) -> Result<()> {
    let addresses = addresses(&cluster.api_addresses());
    cluster.apply(&manifest(&addresses))
}

fn manifest(addresses: &[&str]) -> String {
    MANIFEST
        .replace("$IMAGE", &image::coredns_name())
        .replace("$DOMAIN", DOMAIN)
        .replace("$ADDRESSES", &addresses.join(", "))
        .replace("$ADDRESS", addresses.first().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_has_the_addresses_of_all_families() {
        let text = manifest(&["10.96.0.10", "fd00:96::a"]);
        assert!(text.contains("clusterIP: \"10.96.0.10\"\n"), "{text}");
        assert!(
            text.contains("clusterIPs: [10.96.0.10, fd00:96::a]\n"),
            "{text}"
        );
        assert!(!text.contains('$'), "{text}");
    }
}
