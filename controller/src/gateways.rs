//! Liveness of gateway nodes: who does not answer carries nothing.
//!
//! ```text
//! daemons of gateway nodes --reports (gRPC)--> Hub --\
//! the leader's own Prober ----------------------------+--> Judge (pure) --> index --> plan
//!            ^                                        |
//!            \--- whom to probe: all gateway nodes <--/
//! ```
//!
//! A node is probed once for all subnets. Only the leader listens and judges; it begins with what the
//! northbound database shows, so that its predecessor's decisions stand until it knows better.

mod before;
mod hub;
mod judge;
mod metrics;
mod orders;
mod watcher;

pub(crate) use before::silent_before;
pub(crate) use hub::{Hub, Reports, Views};
pub(crate) use metrics::Metrics;
pub(crate) use watcher::{Rules, Watcher};
