//! 5. Addresses that must be recorded before they are used: allocation as set arithmetic; pure.
//!
//! ```text
//! Subnet objects --set_subnet--> [ hosts - gateway - excludeIps - node addresses ]
//! IP objects, annotations --restore--> [ claims ] --free = that set minus the claimed--> allocate
//! ```
//!
//! The claims are the only state that matters: free space is derived from them and the subnets'
//! definitions, so that editing a subnet can never hand out an address that is in use. Nothing
//! here reads a clock, draws random numbers or writes; whoever calls [`Ipam::allocate`] records
//! the [`Claim`] in Kubernetes before anything is built on it, or releases it.

mod choose;
mod claim;
mod error;
mod interval;
mod ipam;
mod pool;
mod registry;
mod request;
mod slots;
mod subnet;

#[cfg(test)]
mod laws;

pub use claim::{Claim, ClaimKey, Uid};
pub use error::{AllocateError, Claimant, Conflict, Role};
pub use interval::IntervalSet;
pub use ipam::{Ipam, Usage};
pub use pool::Content;
pub use request::{Request, Succession, Wish};
pub use slots::slot_range;
pub use subnet::SubnetPool;
