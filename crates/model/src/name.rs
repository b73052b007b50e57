//! Names of objects, and the names of OVN ports derived from them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mac::fnv1a;

/// The text cannot be the name of such an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a valid {kind} name; use lower-case letters, digits, `-` and `.`, at most 253"
)]
pub struct InvalidName {
    kind: &'static str,
    text: String,
}

/// What the names of nodes' ports begin with.
const NODE_LSP: &str = "node-";
/// The longest name of an object.
const LONGEST: usize = 253;

/// A name that is longer than `longest`, which is at least 17, ends in a hash of all of it, so that
/// names that begin alike stay apart.
pub fn shortened(name: String, longest: usize) -> String {
    if name.len() <= longest {
        return name;
    }
    let hash = format!("-{:016x}", fnv1a(name.as_bytes()));
    let kept = name
        .get(..longest.saturating_sub(hash.len()))
        .unwrap_or_default();
    format!("{}{hash}", kept.trim_end_matches(['.', '-']))
}

/// Kubernetes' rule for object names (RFC 1123 subdomain), which keeps quotes, spaces and `/` out
/// of everything built from a name.
fn check(kind: &'static str, text: &str) -> Result<(), InvalidName> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let valid = text.len() <= LONGEST
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(inner);
    valid.then_some(()).ok_or_else(|| InvalidName {
        kind,
        text: text.to_owned(),
    })
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// # Errors
            /// When `text` is not a valid Kubernetes object name.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                check($kind, &text)?;
                Ok(Self(text))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// A VPC: one logical router.
    VpcName,
    "VPC"
);
name!(
    /// A subnet: one logical switch.
    SubnetName,
    "subnet"
);
name!(
    /// A Kubernetes node.
    NodeName,
    "node"
);
name!(
    /// A set of addresses of a subnet for chosen pods.
    IpPoolName,
    "IP pool"
);
name!(
    /// An address that is reserved for no pod in particular.
    VipName,
    "VIP"
);

/// A pod by namespace and name, printed as `<namespace>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodKey {
    pub namespace: String,
    pub name: String,
}

/// A service by namespace and name, printed as `<namespace>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    pub namespace: String,
    pub name: String,
}

/// The network that a port of a pod belongs to: the middle part of its annotations,
/// `<provider>.kubernetes.io/<key>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// The pod's primary network, `ovn`.
    Ovn,
    /// A further OVN network of an attachment, `<attachment>.<namespace>.ovn`.
    Attachment { name: String, namespace: String },
}

/// One port of a pod. [`PortKey::lsp`] is the name of its logical switch port and of its `IP`
/// object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey {
    pub pod: PodKey,
    pub provider: Provider,
}

// === impl NodeName ===

impl NodeName {
    /// The name of the node's logical switch port on the join switch, and of its `IP` object.
    pub fn lsp(&self) -> String {
        shortened(format!("{NODE_LSP}{self}"), LONGEST)
    }

    /// The node whose port would have that name, unless the name was shortened.
    pub fn of_lsp(name: &str) -> Option<Self> {
        Self::new(name.strip_prefix(NODE_LSP)?).ok()
    }
}

// === impl VipName ===

impl VipName {
    /// The name of the `IP` object that records its addresses.
    pub fn record(&self) -> String {
        format!("vip-{self}")
    }
}

// === impl PodKey ===

impl PodKey {
    /// # Errors
    /// When one of the two is not a valid Kubernetes object name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Result<Self, InvalidName> {
        let (namespace, name) = (namespace.into(), name.into());
        check("namespace", &namespace)?;
        check("pod", &name)?;
        Ok(Self { namespace, name })
    }
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for PodKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) => Self::new(namespace, name),
            None => Err(InvalidName {
                kind: "pod",
                text: text.to_owned(),
            }),
        }
    }
}

// === impl ServiceKey ===

impl ServiceKey {
    /// # Errors
    /// When one of the two is not a valid Kubernetes object name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Result<Self, InvalidName> {
        let (namespace, name) = (namespace.into(), name.into());
        check("namespace", &namespace)?;
        check("service", &name)?;
        Ok(Self { namespace, name })
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ServiceKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) => Self::new(namespace, name),
            None => Err(InvalidName {
                kind: "service",
                text: text.to_owned(),
            }),
        }
    }
}

// === impl Provider ===

impl Provider {
    /// The annotation `key` of this network.
    pub fn annotation(&self, key: &str) -> String {
        format!("{self}.kubernetes.io/{key}")
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ovn => f.write_str("ovn"),
            Self::Attachment { name, namespace } => write!(f, "{name}.{namespace}.ovn"),
        }
    }
}

impl FromStr for Provider {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "ovn" {
            return Ok(Self::Ovn);
        }
        let invalid = || InvalidName {
            kind: "provider",
            text: text.to_owned(),
        };
        let attachment = text.strip_suffix(".ovn").ok_or_else(invalid)?;
        let (name, namespace) = attachment.rsplit_once('.').ok_or_else(invalid)?;
        check("attachment", name)?;
        check("namespace", namespace)?;
        Ok(Self::Attachment {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        })
    }
}

// === impl PortKey ===

impl PortKey {
    /// The port of `pod` on its primary network.
    pub const fn primary(pod: PodKey) -> Self {
        Self {
            pod,
            provider: Provider::Ovn,
        }
    }

    /// `<pod>.<namespace>`, followed by `.<provider>` for every network but the primary one.
    pub fn lsp(&self) -> String {
        let PodKey { namespace, name } = &self.pod;
        let name = match &self.provider {
            Provider::Ovn => format!("{name}.{namespace}"),
            provider @ Provider::Attachment { .. } => format!("{name}.{namespace}.{provider}"),
        };
        shortened(name, LONGEST)
    }
}

/// `<namespace>/<pod>/<provider>`.
impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pod, self.provider)
    }
}

impl FromStr for PortKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pod, provider) = text.rsplit_once('/').ok_or_else(|| InvalidName {
            kind: "port",
            text: text.to_owned(),
        })?;
        Ok(Self {
            pod: pod.parse()?,
            provider: provider.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Owner;
    use proptest::prelude::*;

    const NAME: &str = "[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?";
    const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?";

    #[test]
    fn a_name_that_could_break_out_of_a_match_is_refused() {
        for text in ["", "a b", "a\"", "a/b", "-a", "a-", "A", "a$b", "ä"] {
            assert!(SubnetName::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_primary_port_has_the_short_name() {
        let pod = PodKey::new("default", "web-0").unwrap();
        assert_eq!(PortKey::primary(pod.clone()).lsp(), "web-0.default");
        let provider = "blue.infra.ovn".parse().unwrap();
        assert_eq!(
            PortKey { pod, provider }.lsp(),
            "web-0.default.blue.infra.ovn"
        );
    }

    #[test]
    fn r25_a_name_that_is_too_long_ends_in_a_hash_of_all_of_it() {
        let lsp = |first: &str| {
            let name = format!("{first}{}", ".a".repeat(121));
            PortKey::primary(PodKey::new("x".repeat(63), name).unwrap()).lsp()
        };
        assert_ne!(lsp("a"), lsp("b"));
        for name in [lsp("a"), NodeName::new("n".repeat(253)).unwrap().lsp()] {
            assert!(
                name.len() <= 253 && SubnetName::new(name.clone()).is_ok(),
                "{name}"
            );
        }
        assert_eq!(NodeName::new("n".repeat(248)).unwrap().lsp().len(), 253);
    }

    #[test]
    fn r25_the_port_of_a_node_tells_its_name_with_dots_and_all() {
        let node = NodeName::new("n1.example.com").unwrap();
        assert_eq!(NodeName::of_lsp(&node.lsp()), Some(node));
        assert_eq!(NodeName::of_lsp("web-0.default"), None);
    }

    proptest! {
        #[test]
        fn an_owner_parses_back_from_its_text(name in NAME, ns in LABEL, nad in NAME) {
            let pod = PodKey::new(ns.clone(), name.clone()).unwrap();
            let provider = Provider::Attachment { name: nad, namespace: ns };
            let owners = [
                Owner::Vpc(VpcName::new(name.clone()).unwrap()),
                Owner::Subnet(SubnetName::new(name.clone()).unwrap()),
                Owner::LoadBalancers(VpcName::new(name.clone()).unwrap()),
                Owner::Node(NodeName::new(name.clone()).unwrap()),
                Owner::Gateway(name.parse().unwrap()),
                Owner::Port(PortKey::primary(pod.clone())),
                Owner::Port(PortKey { pod, provider }),
            ];
            for owner in owners {
                prop_assert_eq!(owner.to_string().parse(), Ok(owner));
            }
        }
    }
}
