//! Step 2, the planner: what the OVN northbound database should be, as a pure function of intent.
//!
//! ```text
//! Inputs (snapshot) --plan(owner)--> Planned { rows, problems }
//! ```
//!
//! [`plan`] never awaits, never chooses and never fails: what cannot be planned becomes a
//! [`Problem`] of its owner, and everybody else's rows are planned all the same. There is one
//! module for each kind of owner.

mod bandwidth;
mod check;
mod gateway;
mod inputs;
mod load_balancers;
mod node;
mod north;
mod planned;
mod port;
mod private;
mod shared;
mod subnet;
mod vpc;

pub use check::{Finding, Rule, check, check_rows};
pub use inputs::{
    Access, Action, Affinity, Bandwidth, GatewayMode, Inputs, JoinPort, Liveness, Node, Policy,
    Port, PortSecurity, Protocol, Reserved, Route, RouterLink, Service, Settings, Shared, Slot,
    SourceLevels, Subnet, Vip, Vpc, peering_port, router_port,
};
pub use ovn::RoutePolicy;
pub use ovn::expr::{Reading, read as read_match};
pub use planned::{Planned, Problem};

use model::Owner;

/// The rows that should exist for `owner`: none when it has vanished.
pub fn plan(inputs: &Inputs, owner: &Owner) -> Planned {
    match owner {
        Owner::Vpc(name) => vpc::plan(inputs, name),
        Owner::Subnet(name) => subnet::plan(inputs, name),
        Owner::LoadBalancers(name) => load_balancers::plan(inputs, name),
        Owner::Node(name) => node::plan(inputs, name),
        Owner::Gateway(set) => gateway::plan(inputs, set),
        Owner::Port(key) => port::plan(inputs, key),
    }
}

/// The union of all owners' plans.
pub fn plan_all(inputs: &Inputs) -> Planned {
    inputs.owners().map(|owner| plan(inputs, &owner)).collect()
}
