//! What the index needs to know of a Kubernetes kind.

use std::fmt;

use crate::index::Index;
use crate::table::{Edit, Table};
use crate::text::Rejected;

/// The kinds that the index watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Vpc,
    Subnet,
    Ip,
    Node,
    Pod,
    Service,
    EndpointSlice,
    StatefulSet,
    IpPool,
    Vip,
    Vlan,
    Namespace,
}

/// A Kubernetes kind that has a table.
pub trait Watched: kube::Resource + Sized {
    const KIND: Kind;
    type Key: Ord + Clone;
    type Row: PartialEq + Clone;

    /// The key of an object; `None` when its name cannot be one.
    fn key(&self) -> Option<Self::Key>;

    /// # Errors
    /// When the object cannot be used; the index then behaves as if it were not there.
    fn parse(&self) -> Result<Self::Row, Rejected>;

    /// What is wrong with an object that is used nonetheless.
    fn complaint(_row: &Self::Row) -> Option<Rejected> {
        None
    }

    #[doc(hidden)]
    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row>;

    /// Carries an edit of the table into the inputs, the dirty owners and the claims.
    #[doc(hidden)]
    fn derive(index: &mut Index, edit: TableEdit<Self>);
}

/// An edit of the table of `K`.
#[derive(Debug)]
pub struct TableEdit<K: Watched>(pub(crate) Edit<K::Key, K::Row>);

/// An object by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    pub kind: Kind,
    pub namespace: Option<String>,
    pub name: String,
}

// === impl ObjectName ===

impl ObjectName {
    pub(crate) fn of<K: Watched>(object: &K) -> Self {
        let meta = object.meta();
        let name = meta.name.clone().unwrap_or_default();
        Self {
            kind: K::KIND,
            namespace: meta.namespace.clone(),
            name,
        }
    }
}

/// `<kind> <namespace>/<name>`, or `<kind> <name>`.
impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.name())?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Self; 12] = [
        Self::Vpc,
        Self::Subnet,
        Self::Ip,
        Self::Node,
        Self::Pod,
        Self::Service,
        Self::EndpointSlice,
        Self::StatefulSet,
        Self::IpPool,
        Self::Vip,
        Self::Vlan,
        Self::Namespace,
    ];

    /// The kind's name in Kubernetes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vpc => "Vpc",
            Self::Subnet => "Subnet",
            Self::Ip => "IP",
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::StatefulSet => "StatefulSet",
            Self::IpPool => "IPPool",
            Self::Vip => "Vip",
            Self::Vlan => "Vlan",
            Self::Namespace => "Namespace",
        }
    }

    /// The group and version that the kind is in.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Vpc | Self::Subnet | Self::Ip | Self::IpPool | Self::Vip | Self::Vlan => {
                "kubeovn.io/v1"
            }
            Self::Node | Self::Pod | Self::Service | Self::Namespace => "v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::StatefulSet => "apps/v1",
        }
    }
}
