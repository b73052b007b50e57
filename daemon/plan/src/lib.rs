//! What a node should look like: links, addresses, routes, OVS ports. Pure.
//!
//! ```text
//! annotations --Allocation--> attach -> Vec<Step>    what one CNI ADD does, each with its undo
//!                       \---> node   -> NodeState    what ovn0 and the node should be like
//!                              nat                    its part of nftables
//!                              redirect               its rules, and tables that they lead to
//! links --------------> tunnel      -> TunnelState    which link carries tunnels, and how
//! ```
//!
//! What is absent: nothing here awaits, reads a clock or a file, or knows how a step is performed.

pub mod allocation;
pub mod attach;
pub mod datapath;
pub mod mtu;
pub mod name;
pub mod nat;
pub mod node;
pub mod port;
pub mod redirect;
pub mod tunnel;

pub use allocation::{Allocation, InvalidAllocation};
pub use attach::{Attachment, Step, Undo, attach};
pub use datapath::Datapath;
pub use mtu::Encapsulation;
pub use name::{ContainerId, host_link};
pub use nat::Overlay;
pub use node::{NodeInputs, NodeState, node_state};
pub use port::{Port, PortKind};
pub use redirect::{Redirect, RedirectInputs, Redirection};
pub use tunnel::{TunnelInputs, TunnelRule, TunnelState, tunnel_state};
