//! CNI results and errors as the runtime reads them (CNI specification, section 5).

use daemon_plan::{Attachment, host_link};
use ipnet::IpNet;
use kit::error::Chain;
use model::IpFamily;
use proto::cni::v1::cni_reply::Outcome;
use proto::cni::v1::{CniError, CniReply};
use rscni_types::legacy;
use rscni_types::types::{CNIResult, CNIResultWithVersion, Interface, IpConfig, Route};
use rscni_types::version::SpecVersion;

use super::{Answer, Failure};

/// The position of the pod's end in the list of interfaces, after the node's end.
const POD_END: u32 = 1;
/// The first version whose interfaces have an MTU.
const WITH_MTU: SpecVersion = SpecVersion::new(1, 1, 0);

/// The reply for how a command ended.
pub(super) fn reply(answer: Answer) -> CniReply {
    let outcome = match answer {
        Ok(result) => Outcome::Result(result),
        Err(failure) => Outcome::Error(error(&failure)),
    };
    CniReply {
        outcome: Some(outcome),
    }
}

fn error(failure: &Failure) -> CniError {
    let details = std::error::Error::source(failure);
    CniError {
        code: failure.code().number(),
        msg: failure.to_string(),
        details: details
            .map(|cause| Chain(cause).to_string())
            .unwrap_or_default(),
        cni_version: String::new(),
    }
}

/// The result of an ADD in the layout of `version`.
///
/// # Errors
/// When JSON cannot be written.
pub(super) fn result(
    version: SpecVersion,
    attachment: &Attachment,
) -> Result<Vec<u8>, serde_json::Error> {
    let result = CNIResult {
        interfaces: interfaces(version, attachment),
        ips: addresses(attachment),
        routes: routes(attachment),
        dns: None,
    };
    if version.is_legacy() {
        serde_json::to_vec(&legacy::CNIResult::new(version, result))
    } else {
        serde_json::to_vec(&CNIResultWithVersion::new(version, result))
    }
}

fn interfaces(version: SpecVersion, attachment: &Attachment) -> Vec<Interface> {
    let mtu = (version >= WITH_MTU).then_some(attachment.mtu);
    let end = |name: String, mac: String, sandbox: Option<String>| Interface {
        name,
        mac,
        mtu,
        sandbox,
        socket_path: None,
        pci_id: None,
    };
    let near = host_link(&attachment.container_id, &attachment.ifname);
    let near = near.map(|name| name.to_string()).unwrap_or_default();
    let netns = attachment.netns.display().to_string();
    let mac = attachment.allocation.mac.to_string().to_ascii_lowercase();
    vec![
        end(near, String::new(), None),
        end(attachment.ifname.to_string(), mac, Some(netns)),
    ]
}

fn addresses(attachment: &Attachment) -> Vec<IpConfig> {
    let allocation = &attachment.allocation;
    let addresses = allocation.interface_addresses().into_iter();
    let config = |address: IpNet| IpConfig {
        interface: Some(POD_END),
        gateway: allocation
            .gateways
            .get(IpFamily::of(address.addr()))
            .copied(),
        address,
    };
    addresses.map(config).collect()
}

fn routes(attachment: &Attachment) -> Vec<Route> {
    let routes = daemon_plan::attach::default_routes(attachment).into_iter();
    let route = |route: linux::route::Route| {
        let (network, length) = (route.destination.network(), route.destination.prefix_len());
        Some(Route {
            dst: IpNet::new(network, length).ok()?,
            gw: route.gateway,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        })
    };
    routes.filter_map(route).collect()
}

#[cfg(test)]
mod tests;
