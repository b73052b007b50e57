//! Kubernetes objects with the defaults of a lab.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::api::core::v1::{
    Container, Node, NodeAddress, NodeCondition, NodeStatus, Pod, PodSpec,
};
use kube::api::ObjectMeta;
use model::DualStack;

/// A ready node with these InternalIPs.
pub fn node(name: &str, addresses: &DualStack<IpAddr>) -> Node {
    let addresses = addresses
        .values()
        .map(|address| NodeAddress {
            address: address.to_string(),
            type_: "InternalIP".to_owned(),
        })
        .collect();
    let ready = NodeCondition {
        type_: "Ready".to_owned(),
        status: "True".to_owned(),
        ..NodeCondition::default()
    };
    Node {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        status: Some(NodeStatus {
            addresses: Some(addresses),
            conditions: Some(vec![ready]),
            ..NodeStatus::default()
        }),
        ..Node::default()
    }
}

/// A pod in the namespace `default`, on no node yet.
pub fn pod(name: &str) -> PodBuilder {
    PodBuilder {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        node: None,
        annotations: BTreeMap::new(),
    }
}

/// Builds a pod with one container.
#[derive(Debug, Clone)]
pub struct PodBuilder {
    name: String,
    namespace: String,
    node: Option<String>,
    annotations: BTreeMap<String, String>,
}

// === impl PodBuilder ===

impl PodBuilder {
    /// Binds it to a node.
    pub fn on(mut self, node: &str) -> Self {
        self.node = Some(node.to_owned());
        self
    }

    /// Puts it into a namespace.
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Annotates it.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The object.
    pub fn build(self) -> Pod {
        let container = Container {
            name: "main".to_owned(),
            image: Some("lab".to_owned()),
            ..Container::default()
        };
        Pod {
            metadata: ObjectMeta {
                name: Some(self.name),
                namespace: Some(self.namespace),
                annotations: Some(self.annotations).filter(|annotations| !annotations.is_empty()),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec {
                node_name: self.node,
                containers: vec![container],
                ..PodSpec::default()
            }),
            ..Pod::default()
        }
    }
}
