//! The kube-ovn controller: plans and commits the OVN northbound database.

fn main() {}
