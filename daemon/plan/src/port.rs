//! Ports of the integration bridge.

use std::collections::BTreeMap;

use linux::LinkName;

/// The bridge that ovn-controller programs (ovn-controller(8), `ovn-bridge`).
pub const INTEGRATION_BRIDGE: &str = "br-int";

/// Keys of `Interface.external_ids`. The first four are OVN's and Open vSwitch's
/// (ovn-controller(8), ovs-vswitchd.conf.db(5)); the rest are what DEL needs to know.
pub mod key {
    pub const IFACE_ID: &str = "iface-id";
    pub const IFACE_ID_VER: &str = "iface-id-ver";
    pub const ATTACHED_MAC: &str = "attached-mac";
    pub const OVN_INSTALLED: &str = "ovn-installed";
    pub const VENDOR: &str = "vendor";
    pub const CONTAINER_ID: &str = "container_id";
    pub const IFNAME: &str = "ifname";
    pub const NETWORK: &str = "network";
    pub const POD_NAME: &str = "pod_name";
    pub const POD_NAMESPACE: &str = "pod_namespace";
    pub const POD_NETNS: &str = "pod_netns";
    pub const IP: &str = "ip";
}

/// [`key::VENDOR`] of all that is ours.
pub const VENDOR: &str = "kube-ovn";

/// Who makes the link of a port (ovs-vswitchd.conf.db(5), `Interface.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    /// It exists already.
    Link,
    /// Open vSwitch.
    Internal,
}

/// A port of the integration bridge with its one interface of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: LinkName,
    pub kind: PortKind,
    /// In bytes. Open vSwitch sets the MTU of the links that it makes to the least one on the
    /// bridge, unless told; other links it leaves alone.
    pub mtu_request: Option<u32>,
    /// Those of the interface that are ours; others in the same column stay.
    pub external_ids: BTreeMap<String, String>,
}

// === impl PortKind ===

impl PortKind {
    /// The column `type` of the interface.
    pub const fn interface_type(self) -> &'static str {
        match self {
            Self::Link => "",
            Self::Internal => "internal",
        }
    }
}

// === impl Port ===

impl Port {
    /// The logical switch port that the interface binds to.
    pub fn iface_id(&self) -> &str {
        self.external_ids
            .get(key::IFACE_ID)
            .map_or("", String::as_str)
    }
}

/// `external_ids` from pairs, with the vendor.
pub(crate) fn external_ids<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    let vendor = (key::VENDOR, VENDOR.to_owned());
    let pairs = pairs.into_iter().chain([vendor]);
    pairs.map(|(key, value)| (key.to_owned(), value)).collect()
}
