//! The agent of a VPC NAT gateway.

fn main() {}
