//! The node's Open vSwitch, through its database.
//!
//! Reads come from a replica; what to write is planned by [`rows`] from one state of it.

mod rows;

use std::collections::BTreeMap;
use std::net::IpAddr;

use daemon_plan::tunnel::TunnelBridge;
use daemon_plan::{Datapath, Encapsulation, Port};
use linux::LinkName;
use ovn::vswitch;
use ovsdb::Operation;
use ovsdb::client::{Client, Columns, Driver, Options, Outcome, Rejection, Remote, Version};
use tokio::sync::watch;

pub(crate) use rows::Interface;
use rows::Tables;

/// The database of one Open vSwitch. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ovs {
    client: Client,
    remote: String,
}

/// `external_ids` or another map of texts.
type Pairs = BTreeMap<String, String>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("Open vSwitch at {remote} does not answer; see that ovsdb-server runs on this node")]
    Disconnected { remote: String },
    #[error("Open vSwitch has no bridge {0}; see that ovn-controller runs on this node")]
    NoBridge(&'static str),
    #[error("bridge {0} is not kube-ovn's; remove it, so that the tunnel's link can be put on one")]
    ForeignBridge(&'static str),
    #[error("port {0} is on another bridge; remove it there")]
    OtherBridge(LinkName),
    #[error("Open vSwitch refused the change")]
    Rejected(#[from] Rejection),
    #[error("Open vSwitch changed under every attempt to write")]
    Stale,
    #[error("Open_vSwitch external_ids:{key} is not set; start Open vSwitch with it")]
    Unset { key: &'static str },
    #[error("Open_vSwitch external_ids:{key} is `{value}`")]
    Malformed { key: &'static str, value: String },
    #[error(transparent)]
    Datapath(#[from] daemon_plan::datapath::UnknownDatapath),
    #[error(transparent)]
    Encapsulation(#[from] daemon_plan::mtu::UnknownEncapsulation),
}

/// Keys of `Open_vSwitch.external_ids` (ovn-controller(8)).
mod key {
    pub(super) const SYSTEM_ID: &str = "system-id";
    pub(super) const ENCAP_IP: &str = "ovn-encap-ip";
    pub(super) const ENCAP_TYPE: &str = "ovn-encap-type";
}

/// How often a change is planned anew before it is given up.
const ATTEMPTS: u32 = 5;

// === impl Ovs ===

impl Ovs {
    /// The database behind `remote`, and the future that works for it.
    pub(crate) fn new(remote: Remote) -> (Self, Driver) {
        let name = remote.to_string();
        let only = |columns: &[&str]| Columns::only(columns.iter().copied());
        let options = Options::new(vec![remote], vswitch::DATABASE)
            .table(vswitch::OPEN_VSWITCH.name, only(rows::OPEN_VSWITCH))
            .table(vswitch::BRIDGE.name, only(rows::BRIDGE))
            .table(vswitch::PORT.name, only(rows::PORT))
            .table(vswitch::INTERFACE.name, only(rows::INTERFACE));
        let (client, driver) = Client::new(options);
        let ovs = Self {
            client,
            remote: name,
        };
        (ovs, driver)
    }

    /// Wakes on every change of the database and of the connection.
    pub(crate) fn watch(&self) -> watch::Receiver<Version> {
        self.client.replica().watch()
    }

    /// Waits for a connection, for ever.
    pub(crate) async fn connected(&self) -> Result<(), Error> {
        let connected = self.client.replica().connected().await;
        connected.map(drop).ok_or_else(|| self.disconnected())
    }

    pub(crate) fn disconnected(&self) -> Error {
        Error::Disconnected {
            remote: self.remote.clone(),
        }
    }

    /// What `look` sees in one state of the database.
    fn read<T>(&self, look: impl FnOnce(Tables<'_>) -> T) -> Result<T, Error> {
        let snapshot = self.client.replica().read();
        if !snapshot.version().connected {
            return Err(self.disconnected());
        }
        Ok(look(Tables::of(&snapshot)))
    }

    /// The name of this chassis in OVN.
    pub(crate) fn system_id(&self) -> Result<String, Error> {
        self.setting(key::SYSTEM_ID)
    }

    /// The datapath of the integration bridge.
    pub(crate) fn datapath(&self) -> Result<Datapath, Error> {
        let kind = self.read(|tables| tables.datapath_type())??;
        Ok(Datapath::of_type(&kind)?)
    }

    /// The tunnel's address on this node, and how packets are wrapped. Of several ways the first
    /// counts.
    pub(crate) fn tunnel(&self) -> Result<(IpAddr, Encapsulation), Error> {
        let malformed = |key, value: &str| Error::Malformed {
            key,
            value: value.to_owned(),
        };
        let address = self.setting(key::ENCAP_IP)?;
        let address = first(&address)
            .parse()
            .map_err(|_invalid| malformed(key::ENCAP_IP, &address))?;
        Ok((address, self.encapsulation()?))
    }

    /// How packets between nodes are wrapped.
    pub(crate) fn encapsulation(&self) -> Result<Encapsulation, Error> {
        let kind = self.setting(key::ENCAP_TYPE)?;
        Ok(first(&kind).parse()?)
    }

    fn setting(&self, key: &'static str) -> Result<String, Error> {
        let value = self.read(|tables| tables.setting(key))?;
        value.ok_or(Error::Unset { key })
    }

    /// The interface `name`.
    pub(crate) fn interface(&self, name: &LinkName) -> Result<Option<Interface>, Error> {
        self.read(|tables| tables.interface(name))
    }

    /// The interfaces whose `external_ids` have these values.
    pub(crate) fn interfaces(&self, ids: &[(&str, &str)]) -> Result<Vec<Interface>, Error> {
        self.read(|tables| tables.interfaces(ids))
    }

    /// The attachments of pods.
    pub(crate) fn attachments(&self) -> Result<Vec<Interface>, Error> {
        self.read(|tables| tables.attachments())
    }

    /// Puts the port on the integration bridge, or corrects it. Returns the number of changes.
    pub(crate) async fn plug(&self, port: &Port) -> Result<usize, Error> {
        self.commit(|tables| rows::plug(&tables, port)).await
    }

    /// Takes the port off the integration bridge. Succeeds when it is not there.
    pub(crate) async fn unplug(&self, name: &LinkName) -> Result<usize, Error> {
        self.commit(|tables| Ok(rows::unplug(&tables, name))).await
    }

    /// Makes the bridge that has the tunnel's link, or corrects it. Returns the number of changes.
    pub(crate) async fn take_over(&self, bridge: &TunnelBridge) -> Result<usize, Error> {
        self.commit(|tables| rows::take_over(&tables, bridge)).await
    }

    /// Removes that bridge. Succeeds when there is none.
    pub(crate) async fn dissolve(&self) -> Result<usize, Error> {
        self.commit(|tables| Ok(rows::dissolve(&tables))).await
    }

    /// Tells OVN the tunnel's address on this node.
    pub(crate) async fn set_tunnel_address(&self, address: IpAddr) -> Result<usize, Error> {
        let address = address.to_string();
        let set = |tables: Tables<'_>| Ok(rows::set(&tables, key::ENCAP_IP, &address));
        self.commit(set).await
    }

    /// Waits for a connection, plans from the newest state and commits; again when the state has
    /// moved on meanwhile.
    async fn commit(
        &self,
        plan: impl Fn(Tables<'_>) -> Result<Vec<Operation>, Error>,
    ) -> Result<usize, Error> {
        for _ in 0..ATTEMPTS {
            self.connected().await?;
            let operations = self.read(&plan)??;
            let changes = operations.len();
            match self.client.transact(operations.into()).await {
                Outcome::Unchanged => return Ok(0),
                Outcome::Committed => return Ok(changes),
                Outcome::Stale | Outcome::Lost => {}
                Outcome::Rejected(rejection) if rejection.error == Rejection::COUNT => {}
                Outcome::Rejected(rejection) => return Err(rejection.into()),
            }
        }
        Err(Error::Stale)
    }

    /// Waits until OVN has installed the flows of the interface `name`, for ever.
    pub(crate) async fn installed(&self, name: &LinkName) -> Result<(), Error> {
        let mut versions = self.watch();
        loop {
            versions.mark_unchanged();
            let interface = self.interface(name);
            if matches!(interface, Ok(Some(interface)) if interface.is_installed()) {
                return Ok(());
            }
            let ended = |_closed| self.disconnected();
            versions.changed().await.map_err(ended)?;
        }
    }
}

/// The first of several values joined by commas.
fn first(text: &str) -> &str {
    text.split(',').next().unwrap_or_default().trim()
}
