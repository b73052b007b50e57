//! What the node's Open vSwitch and kernel say about how packets travel.

use std::net::IpAddr;

use daemon_plan::{Datapath, Encapsulation};
use linux::link;
use model::IpFamily;

use super::Carrier;
use crate::host::Host;
use crate::ovs;

/// What every port of this node depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) datapath: Datapath,
    pub(crate) encapsulation: Encapsulation,
    /// Of pods and `ovn0`, in bytes.
    pub(crate) mtu: u32,
}

/// Where the MTU comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MtuRule {
    /// The operator says it.
    Fixed(u32),
    /// What the tunnel leaves of its link's.
    Tunnel,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Ovs(#[from] ovs::Error),
    #[error(transparent)]
    Kernel(#[from] linux::Error),
    #[error(
        "no link has the tunnel's address {0}; correct external_ids:ovn-encap-ip, or set --mtu"
    )]
    NoTunnelLink(IpAddr),
}

// === impl MtuRule ===

impl MtuRule {
    /// The rule for the value of `--mtu`.
    pub(crate) fn new(bytes: Option<u32>) -> Self {
        match bytes {
            None | Some(0) => Self::Tunnel,
            Some(bytes) => Self::Fixed(bytes),
        }
    }
}

/// What is so now. Tunnels run over `carrier`, or over the link that has the address which Open
/// vSwitch was given.
pub(crate) async fn observe(
    host: &Host,
    rule: MtuRule,
    carrier: Option<Carrier>,
) -> Result<Facts, Error> {
    let encapsulation = host.ovs.encapsulation()?;
    let mtu = match (rule, carrier) {
        (MtuRule::Fixed(mtu), _) => mtu,
        (MtuRule::Tunnel, Some(carrier)) => {
            encapsulation.mtu(carrier.mtu, IpFamily::of(carrier.address))
        }
        (MtuRule::Tunnel, None) => given_mtu(host).await?,
    };
    Ok(Facts {
        datapath: host.ovs.datapath()?,
        encapsulation,
        mtu,
    })
}

async fn given_mtu(host: &Host) -> Result<u32, Error> {
    let (address, encapsulation) = host.ovs.tunnel()?;
    let link = link::with_address(&host.kernel.netlink, address).await?;
    let link = link.ok_or(Error::NoTunnelLink(address))?;
    Ok(encapsulation.mtu(link.mtu, IpFamily::of(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_that_the_tunnel_decides() {
        assert_eq!(MtuRule::new(None), MtuRule::Tunnel);
        assert_eq!(MtuRule::new(Some(0)), MtuRule::Tunnel);
        assert_eq!(MtuRule::new(Some(1400)), MtuRule::Fixed(1400));
    }
}
