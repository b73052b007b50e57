//! Where flows begin.

use anyhow::{Context, Result};
use model::IpFamily;
use tokio::net::TcpSocket;

use crate::Netns;

/// So many sockets are made at once, since it takes a thread.
const BATCH: usize = 100;

/// A namespace, and sockets that were born in it.
#[derive(Debug)]
pub(super) struct Source {
    netns: Netns,
    family: IpFamily,
    sockets: Vec<TcpSocket>,
}

// === impl Source ===

impl Source {
    /// Somebody else deletes the namespace.
    pub(super) fn new(netns: &Netns, family: IpFamily) -> Self {
        Self {
            netns: Netns::lasting(netns.name()),
            family,
            sockets: Vec::new(),
        }
    }

    /// A socket whose closing is a RST, so that nothing of it stays.
    pub(super) fn socket(&mut self) -> Result<TcpSocket> {
        if self.sockets.is_empty() {
            let family = self.family;
            self.sockets = self
                .netns
                .run(|| (0..BATCH).map(|_| socket(family)).collect())?;
        }
        self.sockets.pop().context("no socket was made")
    }
}

fn socket(family: IpFamily) -> Result<TcpSocket> {
    let socket = match family {
        IpFamily::V4 => TcpSocket::new_v4()?,
        IpFamily::V6 => TcpSocket::new_v6()?,
    };
    socket.set_zero_linger()?;
    Ok(socket)
}
