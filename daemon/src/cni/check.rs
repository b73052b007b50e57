//! CHECK: whether an attachment is still as ADD recorded it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daemon_plan::port::key;
use linux::{LinkName, Namespace, address, link, netlink};
use model::MacAddr;
use proto::cni::v1::CniRequest;

use super::request::{self, Sandbox};
use super::{Agent, Answer, Failure};
use crate::ovs::Interface;

/// What the pod's end is like.
struct PodEnd {
    mac: Option<MacAddr>,
    addresses: BTreeSet<IpAddr>,
}

impl Agent {
    /// Succeeds when port, link, MAC and addresses are as recorded; else names a difference.
    pub(super) async fn check(&self, sandbox: &Sandbox, request: &CniRequest) -> Answer {
        let different = |difference: String| Failure::Different {
            sandbox: sandbox.to_string(),
            difference,
        };
        let ids = [
            (key::CONTAINER_ID, sandbox.id.as_str()),
            (key::IFNAME, sandbox.ifname.as_str()),
        ];
        let recorded = self.host.ovs.interfaces(&ids)?;
        let recorded = recorded.first();
        let recorded = recorded.ok_or_else(|| different("it has no port on br-int".to_owned()))?;
        let near = link::observe(&self.host.kernel.netlink, &recorded.name).await;
        if near?.is_none() {
            return Err(different(format!("there is no link {}", recorded.name)));
        }
        let netns = request::netns(&request.netns)?;
        let namespace = Namespace::open(netns)?;
        let end = pod_end(&namespace, &sandbox.ifname).await;
        let end = end?.ok_or_else(|| different(format!("the pod has no {}", sandbox.ifname)))?;
        match difference(recorded, &end) {
            None => Ok(Vec::new()),
            Some(difference) => Err(different(difference)),
        }
    }
}

async fn pod_end(namespace: &Namespace, name: &LinkName) -> Result<Option<PodEnd>, linux::Error> {
    let (netlink, driver) = netlink::connect(namespace).await?;
    let observe = async {
        let Some(link) = link::observe(&netlink, name).await? else {
            return Ok(None);
        };
        let addresses = address::observe(&netlink, link.index).await?;
        Ok(Some(PodEnd {
            mac: link.mac,
            addresses: addresses.iter().map(ipnet::IpNet::addr).collect(),
        }))
    };
    driver.until(observe).await?
}

fn difference(recorded: &Interface, end: &PodEnd) -> Option<String> {
    let mac = recorded.id(key::ATTACHED_MAC);
    if mac.parse().ok() != end.mac {
        return Some(format!("its MAC is not {mac}"));
    }
    let addresses = recorded.id(key::IP);
    let wanted: BTreeSet<IpAddr> = addresses.split(',').flat_map(str::parse).collect();
    (wanted != end.addresses).then(|| format!("its addresses are not {addresses}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Interface {
        let ids = [
            (key::ATTACHED_MAC, "00:00:00:AA:BB:CC"),
            (key::IP, "10.16.0.5,fd00::5"),
        ];
        Interface {
            name: "a_h".parse().unwrap(),
            external_ids: ids
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            error: None,
        }
    }

    fn end() -> PodEnd {
        PodEnd {
            mac: "00:00:00:aa:bb:cc".parse().ok(),
            addresses: ["10.16.0.5", "fd00::5"]
                .map(|text| text.parse().unwrap())
                .into(),
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(difference(&recorded(), &end()), None);
        let mut other = end();
        other.addresses.pop_first();
        let text = difference(&recorded(), &other).unwrap();
        assert!(text.contains("10.16.0.5,fd00::5"), "{text}");
        other.mac = None;
        let text = difference(&recorded(), &other).unwrap();
        assert!(text.contains("00:00:00:AA:BB:CC"), "{text}");
    }
}
