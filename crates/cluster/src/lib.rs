//! A real Kubernetes cluster on one host: nodes as namespaces, each with its own root, as in kind.
//!
//! ```text
//!                        switch namespace
//!          bridge mgmt                    bridge tunnel
//!      |        |       |      |             |      |
//!   control  outside    n1     n2            n1     n2
//!     eth0     eth0    eth0   eth0          eth1   eth1
//!
//! control: etcd, kube-apiserver (Node, RBAC), kube-controller-manager, kube-scheduler
//! n1, n2:  containerd, kubelet, kube-proxy on a Debian root of their own
//! outside: the default route of every node, and a host behind it
//! ```
//!
//! A cluster outlives the program that made it. All it consists of is found again by name: the
//! [directory](Directory) with its record, network namespaces whose names start with
//! `kubeovn-`, and a control group that holds every process. So [`down`] works from any process,
//! and after any crash.

pub mod builder;
mod cgroup;
mod check;
mod cluster;
mod config;
mod control_plane;
mod detached;
pub mod directory;
mod dns;
mod down;
mod footprint;
mod identity;
pub mod image;
mod network;
pub mod node;
pub mod outside;
mod program;
mod sysctl;
pub mod trial;
mod up;

pub use builder::Builder;
pub use cluster::Cluster;
pub use config::{PODS_V4, PODS_V6};
pub use directory::Directory;
pub use down::down;
pub use footprint::Footprint;
pub use image::Import;
pub use node::Node;
pub use program::Program;
pub use testkit::{
    Families,
    api_server::{SERVICES_V4, SERVICES_V6},
};
pub use up::{Options, up};

/// The directory of a cluster when the user names none.
pub const DIRECTORY: &str = "/var/lib/kube-ovn-rs/cluster";

/// What to run when a cluster is in the way, or broken.
const REMEDY: &str = "run `cargo xtask cluster down`";
