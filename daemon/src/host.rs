//! The node's own kernel state and Open vSwitch: what every change goes through.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daemon_plan::redirect::{Found, Redirection};
use daemon_plan::tunnel::TunnelBridge;
use daemon_plan::{NodeState, Port, Undo};
use linux::link::{End, Veth};
use linux::nft::{self, guest};
use linux::offload::TxChecksum;
use linux::route::Routes;
use linux::sysctl::Settings;
use linux::{
    LinkName, Namespace, Netlink, address, link, netlink, offload, route, rule, sysctl, table,
};

use crate::metrics::{Domain, Metrics};
use crate::ovs::{self, Ovs};

/// One network namespace of this node, with a connection to its kernel.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) namespace: Namespace,
    pub(crate) netlink: Netlink,
    metrics: Metrics,
}

/// The node itself. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) kernel: Kernel,
    pub(crate) ovs: Ovs,
    pub(crate) metrics: Metrics,
}

/// What became of changes of rules and tables.
#[derive(Debug, Default)]
pub(crate) struct Redirected {
    pub(crate) made: usize,
    pub(crate) refused: Vec<linux::Error>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Kernel(#[from] linux::Error),
    #[error(transparent)]
    Ovs(#[from] ovs::Error),
}

// === impl Kernel ===

impl Kernel {
    pub(crate) fn new(namespace: Namespace, netlink: Netlink, metrics: Metrics) -> Self {
        Self {
            namespace,
            netlink,
            metrics,
        }
    }

    /// Each of the following brings one domain to what is desired, and returns the number of
    /// changes that it took.
    pub(crate) async fn link(&self, end: &End) -> Result<usize, linux::Error> {
        let result = link::reconcile(&self.netlink, &end.name, &end.link).await;
        self.metrics
            .apply(Domain::Link, result.map(|(_, made)| made))
    }

    /// Makes the pair from here to `pod`. One of that name which leads elsewhere is left over from
    /// an earlier attempt, and replaced.
    pub(crate) async fn pair(&self, veth: &Veth, pod: &Self) -> Result<usize, linux::Error> {
        let near = link::observe(&self.netlink, &veth.near.name).await?;
        let peer = link::observe(&pod.netlink, &veth.peer.name).await?;
        if let (Some(near), Some(peer)) = (&near, &peer)
            && Veth::are_peers(near, peer)
        {
            return Ok(0);
        }
        if near.is_some() {
            self.no_link(&veth.near.name).await?;
        }
        let made = link::create_veth(&self.netlink, veth, &pod.namespace).await;
        self.metrics.apply(Domain::Link, made.map(|()| 1))
    }

    pub(crate) async fn no_link(&self, name: &LinkName) -> Result<(), linux::Error> {
        let name = name.clone();
        let delete = move |netlink| async move { link::delete(&netlink, &name).await };
        netlink::apart(&self.namespace, delete).await?
    }

    pub(crate) async fn tx_checksum(
        &self,
        name: &LinkName,
        desired: TxChecksum,
    ) -> Result<usize, linux::Error> {
        let made = offload::reconcile(&self.namespace, name, desired).await;
        self.metrics.apply(Domain::Offload, made)
    }

    pub(crate) async fn addresses(
        &self,
        name: &LinkName,
        desired: &address::Addresses,
    ) -> Result<usize, linux::Error> {
        let link = link::observe(&self.netlink, name).await?;
        let link = link.ok_or_else(|| linux::Error::NoLink(name.clone()))?;
        let made = address::reconcile(&self.netlink, link.index, desired).await;
        self.metrics.apply(Domain::Address, made)
    }

    pub(crate) async fn routes(&self, desired: &Routes) -> Result<usize, linux::Error> {
        let made = route::reconcile(&self.netlink, desired).await;
        self.metrics.apply(Domain::Route, made)
    }

    /// What there is of rules and tables.
    pub(crate) async fn found(&self) -> Result<Found, linux::Error> {
        Ok(Found {
            rules: rule::observe(&self.netlink).await?,
            tables: table::observe(&self.netlink).await?,
        })
    }

    /// Makes our rules and tables the desired ones, where these were found: routes before rules lead
    /// to them. What the kernel refuses is left out.
    pub(crate) async fn redirection(&self, desired: &Redirection, found: &Found) -> Redirected {
        let rules = rule::diff(&desired.rules, &found.rules.ours);
        let routes = table::diff(&desired.routes, &found.tables.ours);
        let (put, removed): (Vec<_>, Vec<_>) = routes
            .into_iter()
            .partition(|change| matches!(change, table::Change::Put(_)));
        let mut redirected = Redirected::default();
        for change in put {
            let result = table::apply(&self.netlink, &change).await;
            redirected.count(self, result);
        }
        for change in rules {
            let result = rule::apply(&self.netlink, &change).await;
            redirected.count(self, result);
        }
        for change in removed {
            let result = table::apply(&self.netlink, &change).await;
            redirected.count(self, result);
        }
        redirected
    }

    /// Our table of a family of nftables; none at all without `desired`.
    pub(crate) async fn table(
        &self,
        family: nft::Family,
        desired: Option<&nft::Table>,
    ) -> Result<usize, linux::Error> {
        let made = nft::reconcile(&self.namespace, family, desired).await;
        self.metrics.apply(Domain::Nft, made)
    }

    /// Our rules in chains of others.
    pub(crate) async fn passage(&self, desired: &guest::Desired) -> Result<usize, linux::Error> {
        let made = guest::reconcile(&self.namespace, desired).await;
        self.metrics.apply(Domain::Nft, made)
    }

    pub(crate) async fn settings(&self, desired: &Settings) -> Result<usize, linux::Error> {
        let made = sysctl::reconcile(&self.namespace, desired).await;
        self.metrics.apply(Domain::Sysctl, made)
    }
}

// === impl Redirected ===

impl Redirected {
    fn count(&mut self, kernel: &Kernel, result: Result<(), linux::Error>) {
        match kernel.metrics.apply(Domain::Rule, result.map(|()| 1)) {
            Ok(made) => self.made += made,
            Err(error) => self.refused.push(error),
        }
    }
}

// === impl Host ===

impl Host {
    pub(crate) async fn port(&self, port: &Port) -> Result<usize, ovs::Error> {
        let made = self.ovs.plug(port).await;
        self.metrics.apply(Domain::Ovs, made)
    }

    pub(crate) async fn no_port(&self, name: &LinkName) -> Result<usize, ovs::Error> {
        let made = self.ovs.unplug(name).await;
        self.metrics.apply(Domain::Ovs, made)
    }

    pub(crate) async fn take_over(&self, bridge: &TunnelBridge) -> Result<usize, ovs::Error> {
        let made = self.ovs.take_over(bridge).await;
        self.metrics.apply(Domain::Ovs, made)
    }

    pub(crate) async fn dissolve(&self) -> Result<usize, ovs::Error> {
        let made = self.ovs.dissolve().await;
        self.metrics.apply(Domain::Ovs, made)
    }

    pub(crate) async fn tunnel_address(&self, address: IpAddr) -> Result<usize, ovs::Error> {
        let made = self.ovs.set_tunnel_address(address).await;
        self.metrics.apply(Domain::Ovs, made)
    }

    pub(crate) async fn undo(&self, undo: &Undo) -> Result<(), Error> {
        match undo {
            Undo::DeleteLink(name) => Ok(self.kernel.no_link(name).await?),
            Undo::RemovePort(name) => Ok(self.no_port(name).await.map(drop)?),
        }
    }

    /// Removes the ports of attachments whose link is gone, as all are after a reboot. Returns their
    /// number.
    pub(crate) async fn prune(&self) -> Result<usize, Error> {
        // ports before links: an ADD makes the link first
        let attachments = self.ovs.attachments()?;
        if attachments.is_empty() {
            return Ok(0);
        }
        let links = link::names(&self.kernel.netlink).await?;
        let links: BTreeSet<_> = links.into_values().collect();
        let mut pruned = 0;
        for attachment in attachments {
            if !links.contains(&attachment.name) {
                pruned += self.no_port(&attachment.name).await?;
            }
        }
        Ok(pruned)
    }

    /// Brings the node to `state`. Returns the number of changes. Fails with
    /// [`linux::Error::NoLink`] as long as Open vSwitch has not made the link.
    pub(crate) async fn reconcile(&self, state: &NodeState) -> Result<usize, Error> {
        let kernel = &self.kernel;
        let name = &state.port.name;
        let end = End {
            name: name.clone(),
            link: state.link.clone(),
        };
        let mut made = self.port(&state.port).await?;
        made += kernel.settings(&state.settings).await?;
        made += kernel.link(&end).await?;
        if let Some(setting) = state.tx_checksum {
            made += kernel.tx_checksum(name, setting).await?;
        }
        made += kernel.addresses(name, &state.addresses).await?;
        made += kernel.routes(&state.routes).await?;
        Ok(made)
    }
}
