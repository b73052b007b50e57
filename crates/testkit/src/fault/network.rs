//! Links that are down, and stations that do not hear each other.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Result, bail};

use crate::{
    Lab,
    network::{MANAGEMENT, Network, TUNNEL},
};

static WALLS: AtomicU32 = AtomicU32::new(0);

/// One of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// `mgmt`: to the API server and the databases.
    Management,
    /// `tunnel`: between nodes.
    Tunnel,
}

/// The table that keeps two stations apart.
#[derive(Debug)]
pub(super) struct Walls(String);

// === impl Wire ===

impl Wire {
    const fn network(self) -> Network {
        match self {
            Self::Management => MANAGEMENT,
            Self::Tunnel => TUNNEL,
        }
    }

    /// The bridge's port to a station.
    fn port(self, station: u8) -> String {
        format!("{}{station}", self.network().bridge)
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.network().bridge)
    }
}

impl FromStr for Wire {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let both = [Self::Management, Self::Tunnel];
        let found = both.into_iter().find(|wire| wire.to_string() == text);
        let Some(found) = found else {
            bail!("no network is called `{text}`");
        };
        Ok(found)
    }
}

/// Takes the far end of a station's link down; the station sees that it has no carrier.
pub(super) fn cut(lab: &Lab, station: &str, wire: Wire) -> Result<()> {
    let port = wire.port(lab.station(station)?);
    lab.switch().ip([format!("link set {port} down")])
}

/// Takes it up again.
pub(super) fn plug(lab: &Lab, station: &str, wire: Wire) -> Result<()> {
    let port = wire.port(lab.station(station)?);
    lab.switch().ip([format!("link set {port} up")])
}

/// Drops what either sends to the other, at the bridge's ports.
pub(super) fn part(lab: &Lab, stations: [&str; 2], wire: Wire) -> Result<Walls> {
    let table = format!("fault{}", WALLS.fetch_add(1, Ordering::Relaxed));
    let [one, other] = stations.map(|station| lab.station(station));
    let (one, other) = (one?, other?);
    let chain = |from: u8, to: u8| {
        let (port, mac) = (wire.port(from), wire.network().mac(to));
        format!(
            "add chain netdev {table} from{from} {{ \
             type filter hook ingress device {port} priority 0; }}
             add rule netdev {table} from{from} ether daddr {mac} drop"
        )
    };
    lab.switch().nft(&format!(
        "add table netdev {table}\n{}\n{}",
        chain(one, other),
        chain(other, one)
    ))?;
    Ok(Walls(table))
}

// === impl Walls ===

impl Walls {
    pub(super) fn remove(self, lab: &Lab) -> Result<()> {
        lab.switch().nft(&format!("delete table netdev {}", self.0))
    }
}
