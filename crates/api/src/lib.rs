//! The custom resources of group `kubeovn.io`, version `v1`: structs, columns, defaults and
//! validation; no behaviour.
//!
//! ```text
//! struct --kube, schemars--> schema --crd::crds()--> deploy/crds/*.yaml --> API server
//!    ^                                                                          |
//!    +--------------------------- objects of a watch ---------------------------+
//! ```
//!
//! Names of fields, columns and short names are those of Kube-OVN 1.7; `tests/facts.rs` holds every
//! difference with its reason. Any object that a cluster can hold deserialises: fields are plain
//! text and numbers here, all may be absent, and unknown ones are ignored. They become `model`
//! types where they enter a program. An empty text means the same as an absent one.

#![expect(
    unreachable_pub,
    reason = "`KubeSchema` copies each struct into a function and leaves its `pub`"
)]

pub mod annotation;
pub mod condition;
pub mod crd;
pub mod ip;
pub mod ip_pool;
pub mod provider_network;
mod rule;
pub mod selector;
pub mod subnet;
pub mod vip;
pub mod vlan;
pub mod vpc;
pub mod vpc_nat_gateway;

pub use condition::{Condition, NodeCondition};
pub use crd::{crd_files, crds};
pub use ip::{Ip, IpSpec};
pub use ip_pool::{IpPool, IpPoolSpec, IpPoolStatus};
pub use provider_network::{
    CustomInterface, ProviderNetwork, ProviderNetworkSpec, ProviderNetworkStatus,
};
pub use selector::{LabelExpression, LabelSelector};
pub use subnet::{Subnet, SubnetSpec, SubnetStatus};
pub use vip::{Vip, VipSpec, VipStatus};
pub use vlan::{Vlan, VlanSpec, VlanStatus};
pub use vpc::{PolicyRoute, StaticRoute, Vpc, VpcPeering, VpcSpec, VpcStatus};
pub use vpc_nat_gateway::{
    DnatRule, Eip, FloatingIpRule, SnatRule, VpcNatGateway, VpcNatGatewaySpec, VpcNatGatewayStatus,
};
