//! CNI ADD as a list of steps.

use std::path::PathBuf;

use linux::link::{Admin, Desired, End, InvalidLinkName, MARK, Veth};
use linux::offload::TxChecksum;
use linux::route::{Route, Routes};
use linux::sysctl::{Key, Settings};
use linux::{LinkName, address::Addresses};
use model::{IpFamily, PortKey, Provider};

use crate::allocation::Allocation;
use crate::datapath::Datapath;
use crate::name::{ContainerId, host_link};
use crate::port::{Port, PortKind, external_ids, key};

/// All that the attachment of one interface of a sandbox depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub container_id: ContainerId,
    pub ifname: LinkName,
    /// Name of the network configuration, for which the runtime asks to collect garbage.
    pub network: String,
    /// Path of the pod's network namespace.
    pub netns: PathBuf,
    pub port: PortKey,
    /// Tells this pod from an earlier one of the same name.
    pub pod_uid: String,
    pub allocation: Allocation,
    pub datapath: Datapath,
    pub mtu: u32,
}

/// A state to bring about; done when it is so already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A veth pair, its peer in the pod.
    Pair(Veth),
    /// Attributes of the node's end.
    NodeLink(End),
    /// A port of the integration bridge.
    Port(Port),
    /// Kernel settings inside the pod.
    Settings(Settings),
    /// Attributes of the pod's end.
    PodLink(End),
    /// An offload of the pod's end.
    TxChecksum(LinkName, TxChecksum),
    /// All addresses of the pod's end.
    Addresses(LinkName, Addresses),
    /// All our routes inside the pod.
    Routes(Routes),
    /// OVN has installed the flows of the port.
    Installed(LinkName),
}

/// What takes a step back. State inside the pod goes with the veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    DeleteLink(LinkName),
    RemovePort(LinkName),
}

/// What ADD does, in order. The port is plugged early, so that OVN installs its flows while the
/// pod's end is being configured; what is left to wait for comes last.
///
/// # Errors
/// When no name for the node's end can be made.
pub fn attach(attachment: &Attachment) -> Result<Vec<Step>, InvalidLinkName> {
    let veth = veth(attachment)?;
    let (near, peer) = (veth.near.clone(), veth.peer.clone());
    let name = near.name.clone();
    let ifname = &attachment.ifname;
    let offload = attachment.datapath.tx_checksum();
    let steps = [
        Some(Step::Pair(veth)),
        Some(Step::NodeLink(near)),
        Some(Step::Port(port(attachment, name.clone()))),
        settings(attachment).map(Step::Settings),
        Some(Step::PodLink(peer)),
        offload.map(|setting| Step::TxChecksum(ifname.clone(), setting)),
        Some(Step::Addresses(
            ifname.clone(),
            attachment.allocation.interface_addresses(),
        )),
        Some(Step::Routes(default_routes(attachment))),
        Some(Step::Installed(name)),
    ];
    Ok(steps.into_iter().flatten().collect())
}

fn veth(attachment: &Attachment) -> Result<Veth, InvalidLinkName> {
    let near = Desired {
        mac: None,
        mtu: Some(attachment.mtu),
        alias: Some(MARK.to_owned()),
        admin: Some(Admin::Up),
    };
    let peer = Desired {
        mac: Some(attachment.allocation.mac),
        mtu: Some(attachment.mtu),
        alias: None,
        admin: Some(Admin::Up),
    };
    Ok(Veth {
        near: End {
            name: host_link(&attachment.container_id, &attachment.ifname)?,
            link: near,
        },
        peer: End {
            name: attachment.ifname.clone(),
            link: peer,
        },
    })
}

/// IPv6 is on where the pod has an IPv6 address; some runtimes switch it off in new namespaces.
fn settings(attachment: &Attachment) -> Option<Settings> {
    attachment.allocation.addresses.v6?;
    let key = Key::disable_ipv6(&attachment.ifname);
    Some(Settings::from([(key, "0".to_owned())]))
}

fn port(attachment: &Attachment, name: LinkName) -> Port {
    let pod = &attachment.port.pod;
    Port {
        name,
        kind: PortKind::Link,
        mtu_request: None,
        external_ids: external_ids([
            (key::IFACE_ID, attachment.port.lsp()),
            (key::IFACE_ID_VER, attachment.pod_uid.clone()),
            (key::ATTACHED_MAC, attachment.allocation.mac.to_string()),
            (key::IP, attachment.allocation.addresses.to_string()),
            (key::CONTAINER_ID, attachment.container_id.to_string()),
            (key::IFNAME, attachment.ifname.to_string()),
            (key::NETWORK, attachment.network.clone()),
            (key::POD_NAME, pod.name.clone()),
            (key::POD_NAMESPACE, pod.namespace.clone()),
            (key::POD_NETNS, attachment.netns.display().to_string()),
        ]),
    }
}

/// On the primary network, one default route for each family that has an address and a gateway.
pub fn default_routes(attachment: &Attachment) -> Routes {
    if attachment.port.provider != Provider::Ovn {
        return Routes::new();
    }
    let allocation = &attachment.allocation;
    let families = allocation.addresses.iter().map(|(family, _)| family);
    let route = |family: IpFamily| {
        Some(Route {
            destination: family.any(),
            gateway: Some(*allocation.gateways.get(family)?),
            link: attachment.ifname.clone(),
        })
    };
    families.filter_map(route).collect()
}

// === impl Step ===

impl Step {
    /// What undoes the step, if it made something that would stay.
    pub fn undo(&self) -> Option<Undo> {
        match self {
            Self::Pair(veth) => Some(Undo::DeleteLink(veth.near.name.clone())),
            Self::Port(port) => Some(Undo::RemovePort(port.name.clone())),
            Self::NodeLink(_)
            | Self::Settings(_)
            | Self::PodLink(_)
            | Self::TxChecksum(..)
            | Self::Addresses(..)
            | Self::Routes(_)
            | Self::Installed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{DualStack, MacAddr, PodKey};
    use proptest::prelude::*;

    fn attachment(datapath: Datapath) -> Attachment {
        let pod = PodKey::new("default", "web-0").unwrap();
        Attachment {
            container_id: "0123456789abcdef".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
            network: "kube-ovn".to_owned(),
            netns: "/run/netns/a".into(),
            port: PortKey::primary(pod),
            pod_uid: "uid-1".to_owned(),
            allocation: Allocation {
                mac: MacAddr::new([0, 0, 0, 1, 2, 3]),
                addresses: "10.16.0.5,fd00::5".parse().unwrap(),
                networks: "10.16.0.0/16,fd00::/112".parse().unwrap(),
                gateways: "10.16.0.1,fd00::1".parse().unwrap(),
            },
            datapath,
            mtu: 1400,
        }
    }

    fn offloads(steps: &[Step]) -> usize {
        let is_offload = |step: &&Step| matches!(step, Step::TxChecksum(..));
        steps.iter().filter(is_offload).count()
    }

    #[test]
    fn checksums_are_computed_in_software_on_the_userspace_datapath_only() {
        let steps = |datapath| attach(&attachment(datapath)).unwrap();
        let (netdev, system) = (steps(Datapath::Netdev), steps(Datapath::System));
        assert_eq!((offloads(&netdev), offloads(&system)), (1, 0));
        let rest: Vec<_> = netdev
            .into_iter()
            .filter(|step| !matches!(step, Step::TxChecksum(..)))
            .collect();
        assert_eq!(rest, system, "nothing else differs");
    }

    #[test]
    fn the_port_is_bound_to_the_pod_by_name_and_uid() {
        let steps = attach(&attachment(Datapath::System)).unwrap();
        let Some(Step::Port(port)) = steps.iter().find(|step| matches!(step, Step::Port(_))) else {
            panic!("{steps:?}");
        };
        assert_eq!(port.name.as_str(), "0123456789ab_h");
        assert_eq!(port.iface_id(), "web-0.default");
        let ids: Vec<_> = port
            .external_ids
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(
            ids,
            [
                "attached-mac=00:00:00:01:02:03",
                "container_id=0123456789abcdef",
                "iface-id=web-0.default",
                "iface-id-ver=uid-1",
                "ifname=eth0",
                "ip=10.16.0.5,fd00::5",
                "network=kube-ovn",
                "pod_name=web-0",
                "pod_namespace=default",
                "pod_netns=/run/netns/a",
                "vendor=kube-ovn",
            ]
        );
    }

    #[test]
    fn a_pod_without_ipv6_gets_neither_the_setting_nor_the_route() {
        let mut attachment = attachment(Datapath::System);
        attachment.allocation.addresses.v6 = None;
        let steps = attach(&attachment).unwrap();
        assert!(!steps.iter().any(|step| matches!(step, Step::Settings(_))));
        let one_route = |step: &Step| matches!(step, Step::Routes(routes) if routes.len() == 1);
        assert!(steps.iter().any(one_route));
    }

    #[test]
    fn only_the_primary_network_brings_default_routes() {
        let mut attachment = attachment(Datapath::System);
        attachment.port.provider = "blue.infra.ovn".parse().unwrap();
        attachment.ifname = "net1".parse().unwrap();
        let steps = attach(&attachment).unwrap();
        assert!(steps.contains(&Step::Routes(Routes::new())));
    }

    #[test]
    fn what_would_stay_is_undone_in_reverse() {
        let steps = attach(&attachment(Datapath::System)).unwrap();
        let undo: Vec<_> = steps.iter().rev().filter_map(Step::undo).collect();
        let name: LinkName = "0123456789ab_h".parse().unwrap();
        assert_eq!(
            undo,
            [Undo::RemovePort(name.clone()), Undo::DeleteLink(name)]
        );
    }

    proptest! {
        #[test]
        fn a_pair_is_made_first_and_installation_awaited_last(
            gateway in any::<bool>(),
            v6 in any::<bool>(),
            netdev in any::<bool>(),
        ) {
            let datapath = if netdev { Datapath::Netdev } else { Datapath::System };
            let mut attachment = attachment(datapath);
            if !v6 {
                attachment.allocation.addresses.v6 = None;
            }
            if !gateway {
                attachment.allocation.gateways = DualStack::NONE;
            }
            let steps = attach(&attachment).unwrap();
            prop_assert!(matches!(steps.first(), Some(Step::Pair(_))));
            prop_assert!(matches!(steps.last(), Some(Step::Installed(_))));
        }
    }
}
