//! What is kept of the objects that the daemon follows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::Subnet;
use k8s_openapi::api::core::v1;
use kube::ResourceExt;
use model::Provider;

pub(crate) type Annotations = BTreeMap<String, String>;

/// A pod of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) annotations: Annotations,
}

/// This node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) annotations: Annotations,
    /// By which others reach it.
    pub(crate) addresses: BTreeSet<IpAddr>,
}

/// What counts of a subnet that the default VPC's router routes to; `None` for another subnet.
pub(crate) type Overlay = Option<daemon_plan::Overlay>;

/// The annotation of a pod that kubelet read from a file: the identity by which kubelet calls it,
/// which is not the UID of its object.
const STATIC_POD_UID: &str = "kubernetes.io/config.hash";

/// The default VPC.
const DEFAULT_VPC: &str = api::vpc::DEFAULT;

// === impl Pod ===

impl Pod {
    pub(crate) fn keep(pod: v1::Pod) -> Self {
        Self {
            uid: pod.uid().unwrap_or_default(),
            annotations: relevant(pod.metadata.annotations),
        }
    }

    /// Whether the runtime means this pod by `uid`.
    pub(crate) fn is(&self, uid: &str) -> bool {
        let of_file = self.annotations.get(STATIC_POD_UID);
        self.uid == uid || of_file.is_some_and(|of_file| of_file == uid)
    }
}

// === impl Node ===

impl Node {
    pub(crate) fn keep(node: v1::Node) -> Self {
        let addresses = node.status.and_then(|status| status.addresses);
        let addresses = addresses.unwrap_or_default();
        Self {
            annotations: relevant(node.metadata.annotations),
            addresses: addresses
                .iter()
                .filter_map(|address| address.address.parse().ok())
                .collect(),
        }
    }
}

/// Annotations of others are not kept: they may be large and change often.
fn relevant(annotations: Option<Annotations>) -> Annotations {
    let mut annotations = annotations.unwrap_or_default();
    annotations.retain(|key, _| key.contains(".kubernetes.io/") || key == STATIC_POD_UID);
    annotations
}

/// The overlay networks of a subnet. An underlay subnet's gateway is in the physical network, and
/// a subnet of another provider or VPC is not reached through the default router.
pub(crate) fn overlay(subnet: Subnet) -> Overlay {
    let spec = subnet.spec;
    let is_default_vpc = spec.vpc.is_empty() || spec.vpc == DEFAULT_VPC;
    let is_ovn = spec.provider.is_empty() || spec.provider == Provider::Ovn.to_string();
    let is_overlay = spec.vlan.is_empty() && !spec.underlay_gateway;
    if is_default_vpc && is_ovn && is_overlay {
        let networks = spec.cidr_block.parse().ok()?;
        Some(daemon_plan::Overlay {
            networks,
            nat_outgoing: spec.nat_outgoing,
        })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use api::SubnetSpec;

    use super::*;

    fn networks(change: impl FnOnce(&mut SubnetSpec)) -> Overlay {
        let mut spec = SubnetSpec {
            cidr_block: "10.16.0.0/16".to_owned(),
            ..SubnetSpec::default()
        };
        change(&mut spec);
        overlay(Subnet::new("s", spec))
    }

    #[test]
    fn only_overlay_subnets_of_the_default_vpc_are_routed_to() {
        assert!(networks(|_| {}).is_some());
        assert!(networks(|spec| spec.vpc = "ovn-cluster".to_owned()).is_some());
        assert!(networks(|spec| spec.provider = "ovn".to_owned()).is_some());
        assert_eq!(networks(|spec| spec.vpc = "tenant".to_owned()), None);
        assert_eq!(networks(|spec| spec.vlan = "v1".to_owned()), None);
        assert_eq!(
            networks(|spec| spec.provider = "macvlan.x".to_owned()),
            None
        );
        assert_eq!(
            networks(|spec| spec.cidr_block = "nonsense".to_owned()),
            None
        );
    }

    #[test]
    fn a_static_pod_is_known_by_the_identity_of_its_file() {
        let annotations = [(STATIC_POD_UID, "hash"), ("example.com/large", "x")];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut pod = v1::Pod::default();
        pod.metadata.uid = Some("uid".to_owned());
        pod.metadata.annotations = Some(annotations.into());
        let pod = Pod::keep(pod);
        assert!(pod.is("uid") && pod.is("hash") && !pod.is("other"));
        assert_eq!(pod.annotations.len(), 1);
    }
}
