//! The vocabulary of kube-ovn-rs: names, addresses and owners.
//!
//! Values are parsed once, where they enter the program, and printed once, where they leave it;
//! in between an address is never a `String`. Everything here is pure: no clock, no I/O.

pub mod address;
pub mod gateway;
pub mod load_balancer;
pub mod mac;
pub mod name;
pub mod owner;
pub mod port_address;
pub mod priority;
pub mod rate;

pub use address::{AddressRange, Cidr, CidrPair, DualStack, IpFamily};
pub use gateway::{GatewaySet, Sharing};
pub use mac::MacAddr;
pub use name::{
    IpPoolName, NodeName, PodKey, PortKey, Provider, ServiceKey, SubnetName, VipName, VpcName,
};
pub use owner::Owner;
pub use port_address::PortAddress;
pub use rate::Rate;
