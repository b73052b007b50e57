//! The node's kernel state by domain: desired, observe, diff, apply.
//!
//! One module per domain: [`link`], [`address`], [`route`], [`rule`], [`table`], [`offload`],
//! [`sysctl`], [`nft`]. Each has plain
//! values for what should be and what is, and a pure `diff` between the two. With the feature
//! `kernel` each also has `observe` and `apply`, and `reconcile`, which repeats
//! observe-diff-apply until nothing differs.
//!
//! What is absent: nothing here decides what should be, forks a process (but for `nft`), or changes
//! the namespace of a runtime thread. What kube-ovn made is marked: links by their alias ([`link::MARK`]), routes
//! and rules by their protocol number ([`route::PROTOCOL`]), tables by their name ([`nft::TABLE`]), rules in
//! chains of others by their comment ([`nft::guest::MARK`]).

pub mod address;
pub mod link;
pub mod nft;
pub mod offload;
pub mod route;
pub mod rule;
pub mod sysctl;
pub mod table;

#[cfg(feature = "kernel")]
mod error;
#[cfg(feature = "kernel")]
mod ffi;
#[cfg(feature = "kernel")]
pub mod netlink;
#[cfg(feature = "kernel")]
pub mod netns;

pub use link::LinkName;

#[cfg(feature = "kernel")]
pub use error::Error;
#[cfg(feature = "kernel")]
pub use netlink::{Driver, Netlink};
#[cfg(feature = "kernel")]
pub use netns::Namespace;
