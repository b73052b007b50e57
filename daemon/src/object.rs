//! What is kept of the objects that the daemon follows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use api::LabelSelector;
use daemon_plan::Overlay;
use daemon_plan::redirect::{Redirect, Scope};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use model::{DualStack, Provider};

pub(crate) type Annotations = BTreeMap<String, String>;

/// A pod of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) annotations: Annotations,
    pub(crate) phase: Phase,
}

/// Whether a pod still has its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Current,
    /// All of its containers have ended for good.
    Over,
}

/// This node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) annotations: Annotations,
    pub(crate) labels: BTreeMap<String, String>,
    /// By which others reach it.
    pub(crate) addresses: BTreeSet<IpAddr>,
}

/// A subnet, as far as it counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    /// Where the default VPC's router routes to; `None` where it does not.
    overlay: Option<Overlay>,
    /// Of its pods, in bytes; `None` for what fits through the tunnels.
    pub(crate) mtu: Option<u32>,
    gateways: Gateways,
    redirected: Option<Redirected>,
}

/// Where the traffic of a subnet is redirected to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Redirected {
    created: Option<Time>,
    to: api::subnet::Redirect,
}

/// By which nodes the traffic of a subnet leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gateways {
    /// By the node of each pod.
    Distributed,
    /// By those that are named or selected.
    Centralized {
        names: BTreeSet<String>,
        selectors: Vec<LabelSelector>,
    },
}

/// Who leads the controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leader {
    /// Of its gRPC server; `None` while nobody leads, or where it does not say.
    pub(crate) address: Option<SocketAddr>,
}

/// Annotation of the Lease: `<address>:<port>` of the leader's gRPC server.
const LEADER_ADDRESS: &str = "ovn.kubernetes.io/leader-address";

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
            phase: phase(pod.status.as_ref()),
            annotations: relevant(pod.metadata.annotations),
        }
    }

    /// Whether the runtime means this pod by `uid`.
    pub(crate) fn is(&self, uid: &str) -> bool {
        let of_file = self.annotations.get(STATIC_POD_UID);
        self.uid == uid || of_file.is_some_and(|of_file| of_file == uid)
    }
}

fn phase(status: Option<&v1::PodStatus>) -> Phase {
    match status.and_then(|status| status.phase.as_deref()) {
        Some("Succeeded" | "Failed") => Phase::Over,
        Some(_) | None => Phase::Current,
    }
}

// === impl Node ===

impl Node {
    pub(crate) fn keep(node: v1::Node) -> Self {
        let addresses = node.status.and_then(|status| status.addresses);
        let addresses = addresses.unwrap_or_default();
        Self {
            name: node.metadata.name.unwrap_or_default(),
            annotations: relevant(node.metadata.annotations),
            labels: node.metadata.labels.unwrap_or_default(),
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

// === impl Leader ===

impl Leader {
    pub(crate) fn keep(lease: Lease) -> Self {
        let holder = lease.spec.and_then(|spec| spec.holder_identity);
        let is_held = holder.is_some_and(|holder| !holder.is_empty());
        let annotations = lease.metadata.annotations.unwrap_or_default();
        let address = annotations.get(LEADER_ADDRESS);
        let address = address.and_then(|text| text.parse().ok());
        Self {
            address: address.filter(|_| is_held),
        }
    }
}

// === impl Subnet ===

impl Subnet {
    pub(crate) fn keep(subnet: api::Subnet) -> Self {
        let spec = subnet.spec;
        let overlay = overlay(&spec);
        let to = spec.redirect().ok().flatten();
        Self {
            overlay,
            mtu: spec.mtu,
            redirected: to.map(|to| Redirected {
                created: subnet.metadata.creation_timestamp,
                to,
            }),
            gateways: Gateways::of(spec),
        }
    }

    /// Where its traffic is redirected to, if it is, as it is for a node. `name` is the subnet's.
    pub(crate) fn redirect_at(&self, name: &str, node: &Node) -> Option<Redirect> {
        let (to, overlay) = (self.redirected.as_ref()?.to, self.overlay?);
        Some(Redirect {
            subnet: name.to_owned(),
            networks: overlay.networks,
            gateways: to.gateways,
            priority: to.priority,
            table: to.table,
            scope: match &self.gateways {
                Gateways::Distributed => Scope::Pods,
                Gateways::Centralized { .. } if self.gateways.include(node) => Scope::Subnet,
                Gateways::Centralized { .. } => Scope::None,
            },
        })
    }

    /// Since when it exists.
    pub(crate) fn created(&self) -> Option<&Time> {
        self.redirected.as_ref()?.created.as_ref()
    }

    /// Of a pod's addresses those whose packets a rule of its own redirects.
    pub(crate) fn redirected_of(&self, addresses: &DualStack<IpAddr>) -> Vec<IpAddr> {
        let is_distributed = self.gateways == Gateways::Distributed && self.overlay.is_some();
        let redirected = self.redirected.iter().filter(|_| is_distributed);
        let families = redirected.flat_map(|redirected| redirected.to.gateways.iter());
        let addresses = families.filter_map(|(family, _)| addresses.get(family));
        addresses.copied().collect()
    }

    /// Its overlay networks as they are for a node: one by which its traffic does not leave
    /// translates none of it.
    pub(crate) fn overlay_at(&self, node: &Node) -> Option<Overlay> {
        let overlay = self.overlay?;
        Some(Overlay {
            nat_outgoing: overlay.nat_outgoing && self.gateways.include(node),
            ..overlay
        })
    }
}

// === impl Gateways ===

impl Gateways {
    fn of(spec: api::SubnetSpec) -> Self {
        if spec.gateway_type == api::subnet::CENTRALIZED {
            Self::Centralized {
                names: spec.gateway_nodes().map(str::to_owned).collect(),
                selectors: spec.gateway_node_selectors,
            }
        } else {
            Self::Distributed
        }
    }

    /// Whether the node may be one, alive or not.
    pub(crate) fn include(&self, node: &Node) -> bool {
        match self {
            Self::Distributed => true,
            Self::Centralized { names, selectors } => {
                let mut selectors = selectors.iter();
                names.contains(&node.name) || selectors.any(|it| it.selects(&node.labels))
            }
        }
    }
}

/// The overlay networks of a subnet. One with a physical gateway, and one of another provider or
/// VPC, is not reached through the default router.
fn overlay(spec: &api::SubnetSpec) -> Option<Overlay> {
    let is_default_vpc = spec.vpc.is_empty() || spec.vpc == DEFAULT_VPC;
    let is_ovn = spec.provider.is_empty() || spec.provider == Provider::Ovn.to_string();
    if !is_default_vpc || !is_ovn || spec.has_physical_gateway() {
        return None;
    }
    Some(Overlay {
        networks: spec.cidr_block.parse().ok()?,
        nat_outgoing: spec.nat_outgoing,
    })
}

#[cfg(test)]
mod tests {
    use api::SubnetSpec;

    use super::*;

    fn networks(change: impl FnOnce(&mut SubnetSpec)) -> Option<Overlay> {
        let mut spec = SubnetSpec {
            cidr_block: "10.16.0.0/16".to_owned(),
            ..SubnetSpec::default()
        };
        change(&mut spec);
        Subnet::keep(api::Subnet::new("s", spec)).overlay
    }

    #[test]
    fn only_overlay_subnets_of_the_default_vpc_are_routed_to() {
        assert!(networks(|_| {}).is_some());
        assert!(networks(|spec| spec.vpc = "ovn-cluster".to_owned()).is_some());
        assert!(networks(|spec| spec.provider = "ovn".to_owned()).is_some());
        assert_eq!(networks(|spec| spec.vpc = "tenant".to_owned()), None);
        assert_eq!(networks(|spec| spec.underlay_gateway = true), None);
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
    fn an_underlay_subnet_is_routed_to_when_the_router_is_its_gateway() {
        let vlan = |logical_gateway| {
            networks(|spec| {
                spec.vlan = "v1".to_owned();
                spec.logical_gateway = logical_gateway;
            })
        };
        assert!(vlan(None).is_some() && vlan(Some(true)).is_some());
        assert_eq!(vlan(Some(false)), None);
    }

    fn translates(spec: &SubnetSpec, node: &v1::Node) -> bool {
        let spec = SubnetSpec {
            cidr_block: "10.16.0.0/16".to_owned(),
            nat_outgoing: true,
            ..spec.clone()
        };
        let overlay =
            Subnet::keep(api::Subnet::new("s", spec)).overlay_at(&Node::keep(node.clone()));
        overlay.unwrap().nat_outgoing
    }

    #[test]
    fn b3f_only_gateway_nodes_translate_for_a_centralized_subnet() {
        let mut node = v1::Node::default();
        node.metadata.name = Some("n1".to_owned());
        let mut spec = SubnetSpec {
            gateway_node: "n2, n1".to_owned(),
            ..SubnetSpec::default()
        };
        assert!(translates(&spec, &node), "each node does for its pods");
        spec.gateway_type = api::subnet::CENTRALIZED.to_owned();
        assert!(translates(&spec, &node));
        spec.gateway_node = "n2,n11".to_owned();
        assert!(!translates(&spec, &node));
        let zone = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
        spec.gateway_node_selectors = vec![LabelSelector {
            match_labels: zone.clone(),
            ..LabelSelector::default()
        }];
        assert!(!translates(&spec, &node));
        node.metadata.labels = Some(zone);
        assert!(translates(&spec, &node));
    }

    #[test]
    fn nobody_leads_by_a_lease_that_was_given_back() {
        let mut lease = Lease::default();
        let address = (LEADER_ADDRESS.to_owned(), "192.0.2.1:10670".to_owned());
        lease.metadata.annotations = Some([address].into());
        assert_eq!(Leader::keep(lease.clone()).address, None);
        lease.spec.get_or_insert_default().holder_identity = Some("c1".to_owned());
        let address = Leader::keep(lease).address;
        assert_eq!(address, "192.0.2.1:10670".parse().ok());
    }

    #[test]
    fn a_subnet_is_redirected_by_the_node_of_each_pod_or_by_its_gateway_nodes() {
        let scope = |change: fn(&mut SubnetSpec)| {
            let mut spec = SubnetSpec {
                cidr_block: "10.71.0.0/16".to_owned(),
                external_egress_gateway: "192.0.2.254".to_owned(),
                policy_routing_priority: Some(1001),
                policy_routing_table_id: Some(1001),
                ..SubnetSpec::default()
            };
            change(&mut spec);
            let subnet = Subnet::keep(api::Subnet::new("s", spec));
            let mut node = v1::Node::default();
            node.metadata.name = Some("n1".to_owned());
            let redirect = subnet.redirect_at("s", &Node::keep(node))?;
            Some(redirect.scope)
        };
        let centralized = |spec: &mut SubnetSpec| spec.gateway_type = "centralized".to_owned();
        assert_eq!(scope(|_| {}), Some(Scope::Pods));
        assert_eq!(scope(centralized), Some(Scope::None));
        let here = |spec: &mut SubnetSpec| {
            spec.gateway_type = "centralized".to_owned();
            spec.gateway_node = "n2, n1".to_owned();
        };
        assert_eq!(scope(here), Some(Scope::Subnet));
        assert_eq!(scope(|spec| spec.vpc = "tenant".to_owned()), None);
        assert_eq!(scope(|spec| spec.nat_outgoing = true), None);
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
