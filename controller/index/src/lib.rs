//! Step 1, the index: Kubernetes watch events become typed tables, the planner's inputs, and the owners
//! that must be planned again.
//!
//! ```text
//! watch --apply/delete/reset--> parse --> Table --derive--> Inputs, dirty owners, claims
//!                                 \--> Problem (the object is passed over, its neighbours are not)
//! ```
//!
//! There is one module for each Kubernetes kind. Past this point no address is a `String`. The
//! index never reads the northbound database.

mod acceptance;
mod binding;
mod claimant;
mod deps;
mod endpoint_slice;
mod former_gateways;
mod gateway;
mod groups;
mod index;
mod ip_pool;
mod kept;
mod kind;
mod life;
mod listing;
mod namespace;
mod new_gateway;
mod node;
mod outside;
mod pod;
mod record;
mod redirect;
mod selector;
mod service;
mod shared;
mod stateful_set;
mod subnet;
mod table;
mod text;
mod told;
mod verdict;
mod vip;
mod vlan;
mod vpc;

pub use acceptance::{Acceptance, Accepted, Effect, Fault, InvalidAccepted};
pub use claimant::Claimant;
pub use controller_plan::{
    Access, GatewayMode, Inputs, JoinPort, Liveness, Problem, RouterLink, Settings,
};
pub use endpoint_slice::{EndpointPort, EndpointSlice, SliceKey};
pub use gateway::{GatewayNode, InvalidSlots, Slots};
pub use index::{Defaults, Index, Rejection};
pub use ip_pool::IpPool;
pub use kept::Kept;
pub use kind::{Kind, ObjectName, Watched};
pub use life::{Life, LifePhase};
pub use listing::Listing;
pub use namespace::{Binding, Namespace};
pub use node::Node;
pub use pod::{Allocation, NetworkMode, Nic, Origin, Phase, Pod, Pool, Wish};
pub use record::Record;
pub use selector::Selector;
pub use service::{Service, ServicePort};
pub use shared::Shared;
pub use stateful_set::{Place, STATEFUL_SET, SetKey, StatefulSet};
pub use subnet::{Provision, Subnet, protocol};
pub use text::Rejected;
pub use told::Told;
pub use verdict::{Verdict, Verdicts};
pub use vip::{VIP, Vip};
pub use vlan::Vlan;
pub use vpc::Vpc;
