//! Names of the load balancers that the switches of the default VPC share (Kube-OVN's).

/// For TCP.
pub const TCP: &str = "cluster-tcp-loadbalancer";
/// For UDP.
pub const UDP: &str = "cluster-udp-loadbalancer";
/// For TCP where all connections of a client go to one backend.
pub const TCP_SESSION: &str = "cluster-tcp-session-loadbalancer";
/// For UDP where all connections of a client go to one backend.
pub const UDP_SESSION: &str = "cluster-udp-session-loadbalancer";
