//! Priorities of router policies (`Logical_Router_Policy.priority`, 0 to 32767, the highest wins).

/// Traffic between subnets of one VPC stays inside.
pub const POLICY_SUBNET: u16 = 31000;
/// Traffic to a node's own address goes to that node.
pub const POLICY_NODE: u16 = 30000;
/// Traffic of a subnet's pods leaves by its gateway.
pub const POLICY_GATEWAY: u16 = 29000;
