//! Priorities (0 to 32767, the highest wins) of router policies (`Logical_Router_Policy.priority`)
//! and of access control lists (`ACL.priority`).

/// Traffic between subnets of one VPC stays inside.
pub const POLICY_SUBNET: u16 = 31000;
/// Traffic to a node's own address goes to that node.
pub const POLICY_NODE: u16 = 30000;
/// Traffic of a subnet's pods leaves by its gateway.
pub const POLICY_GATEWAY: u16 = 29000;

/// Nodes reach the pods of every subnet, whatever else is denied.
pub const ACL_NODE: u16 = 3000;
/// What a private subnet lets through.
pub const ACL_SUBNET: u16 = 1001;
/// What a private subnet does not.
pub const ACL_SUBNET_DROP: u16 = 1000;
