//! Test support: namespaces as nodes, a real OVN, a real Kubernetes API server.
//!
//! ```text
//!                 switch namespace
//!        bridge mgmt         bridge tunnel
//!        |    |    |            |       |
//!      eth0  eth0 eth0        eth1    eth1      no L3 on eth1: it is a port of br-phy
//!       |     |    |            |       |
//!   central   n1   n2          n1      n2
//!   NB SB northd   ovsdb-server, ovs-vswitchd (netdev), ovn-controller
//!   etcd, kube-apiserver, our controller; our daemon on the nodes
//! ```
//!
//! A test body runs on a thread that lives in the central namespace ([`lab::run`]). Names are
//! unique, so labs may run at the same time. Every namespace, process and file goes when its
//! guard is dropped; a test binary that was killed takes its processes with it, and the next lab
//! removes the namespaces it left.
//!
//! Nothing here skips: a missing program is an error that says what to run.

pub mod api_server;
pub mod audit;
pub mod beside;
pub mod bin;
pub mod churn;
pub mod cluster;
pub mod command;
pub mod dump;
pub mod event;
pub mod failover;
pub mod fault;
pub mod flows;
pub mod inspection;
pub mod lab;
pub mod loss;
pub mod member;
pub mod netns;
pub mod network;
pub mod node;
pub mod objects;
pub mod outside;
pub mod ovn;
pub mod process;
pub mod sandbox;
pub mod subnets;
pub mod supervisor;
pub mod tell;
pub mod traffic;
pub mod versions;
pub mod wait;
pub mod wired;

pub use api_server::ApiServer;
pub use beside::beside;
pub use cluster::{Cluster, RunningPod};
pub use event::wait_for_event;
pub use fault::Fault;
pub use lab::{Lab, LabOptions};
pub use member::{Database, Member};
pub use netns::Netns;
pub use network::Families;
pub use node::Node;
pub use outside::{Flow, Outside};
pub use ovn::OvnVersion;
pub use sandbox::Sandbox;
pub use supervisor::Supervisor;
pub use tell::tell;
pub use wait::wait_until;
pub use wired::Wired;
