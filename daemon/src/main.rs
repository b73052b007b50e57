//! The kube-ovn node daemon: CNI server, OVS ports, ovn0, routes.

fn main() {}
