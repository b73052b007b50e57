//! Priorities (0 to 32767, the highest wins) of router policies (`Logical_Router_Policy.priority`)
//! and of access control lists (`ACL.priority`).

/// Traffic between subnets of one VPC stays inside.
pub const POLICY_SUBNET: u16 = 31000;
/// Traffic to a node's own address goes to that node.
pub const POLICY_NODE: u16 = 30000;
/// Traffic of a subnet's pods leaves by its gateway.
pub const POLICY_GATEWAY: u16 = 29000;
/// Traffic of a pod leaves by the gateway that the pod names.
pub const POLICY_NORTH: u16 = 29250;
/// Static routes of users in the default VPC: from here, those by source.
pub const POLICY_ROUTES: u16 = 29300;
/// The greatest priority that static routes of users in the default VPC can get: there are 129
/// lengths of a prefix.
pub const POLICY_ROUTES_END: u16 = 29499;

/// Whether policies of ours in the default VPC's router have the priority.
pub const fn is_ours(priority: u16) -> bool {
    matches!(
        priority,
        POLICY_SUBNET | POLICY_NODE | POLICY_GATEWAY | POLICY_NORTH | POLICY_ROUTES
            ..=POLICY_ROUTES_END
    )
}

/// The bandwidth of a gateway node.
pub const QOS_NODE: u16 = 2000;

/// Nodes reach the pods of every subnet, whatever else is denied.
pub const ACL_NODE: u16 = 3000;
/// What a private subnet lets through.
pub const ACL_SUBNET: u16 = 1001;
/// What a private subnet does not.
pub const ACL_SUBNET_DROP: u16 = 1000;
