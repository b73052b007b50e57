//! Who a set of rows exists for.

use std::fmt;
use std::str::FromStr;

use crate::{GatewaySet, NodeName, PortKey, SubnetName, VpcName};

/// The object a set of rows exists for: the unit of planning, diffing and pruning.
///
/// Each row has one owner; the key sets of two owners are disjoint. Printed as `<kind>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A VPC's logical router and what belongs to the router as a whole.
    Vpc(VpcName),
    /// A subnet's logical switch and its link to the router.
    Subnet(SubnetName),
    /// The load balancers of a VPC, shared by its subnets.
    LoadBalancers(VpcName),
    /// A node's port on the join switch, its policies and its port group.
    Node(NodeName),
    /// A set of gateway nodes: how its subnets' traffic gets there.
    Gateway(GatewaySet),
    /// One port of a pod.
    Port(PortKey),
}

/// The text names no owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no owner; write `<kind>/<name>`")]
pub struct InvalidOwner(String);

// === impl Owner ===

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc(name) => write!(f, "vpc/{name}"),
            Self::Subnet(name) => write!(f, "subnet/{name}"),
            Self::LoadBalancers(name) => write!(f, "load-balancers/{name}"),
            Self::Node(name) => write!(f, "node/{name}"),
            Self::Gateway(set) => write!(f, "gateway/{set}"),
            Self::Port(key) => write!(f, "port/{key}"),
        }
    }
}

impl FromStr for Owner {
    type Err = InvalidOwner;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidOwner(text.to_owned());
        let (kind, name) = text.split_once('/').ok_or_else(invalid)?;
        match kind {
            "vpc" => VpcName::new(name).map(Self::Vpc).ok(),
            "subnet" => SubnetName::new(name).map(Self::Subnet).ok(),
            "load-balancers" => VpcName::new(name).map(Self::LoadBalancers).ok(),
            "node" => NodeName::new(name).map(Self::Node).ok(),
            "gateway" => name.parse().map(Self::Gateway).ok(),
            "port" => name.parse().map(Self::Port).ok(),
            _ => None,
        }
        .ok_or_else(invalid)
    }
}
