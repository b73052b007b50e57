//! A host outside of the overlay, and as whom it sees those who connect to it.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use model::{DualStack, IpFamily};
use nix::sys::{
    socket::{setsockopt, sockopt::ReceiveTimeout},
    time::{TimeVal, TimeValLike},
};

use crate::{Lab, Netns, traffic, wait_until};

const CONNECT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
/// So many connections show every way that they can take, where each takes its own.
const ENOUGH: usize = 40;

/// A host outside that listens.
#[derive(Debug)]
pub struct Outside {
    netns: Netns,
    listeners: DualStack<(TcpListener, SocketAddr)>,
}

/// A connection that is open at both ends.
#[derive(Debug)]
pub struct Flow {
    near: TcpStream,
    far: TcpStream,
    /// Whom the host outside sees.
    pub seen: IpAddr,
}

// === impl Outside ===

impl Outside {
    /// Makes the host.
    ///
    /// # Errors
    /// The lab has one already.
    pub fn new(lab: &Lab) -> Result<Self> {
        let (netns, addresses) = lab.outside()?;
        let mut listeners = DualStack::NONE;
        for (family, address) in addresses.iter() {
            let listener = traffic::listen(&netns, family)?;
            // while a way changes, a connection may seem open to the client alone
            setsockopt(&listener, ReceiveTimeout, &TimeVal::milliseconds(500))?;
            let peer = SocketAddr::new(*address, listener.local_addr()?.port());
            *listeners.get_mut(family) = Some((listener, peer));
        }
        Ok(Self { netns, listeners })
    }

    /// Its namespace.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its address of a family.
    ///
    /// # Errors
    /// It has none.
    pub fn address(&self, family: IpFamily) -> Result<IpAddr> {
        Ok(self.listener(family)?.1.ip())
    }

    fn listener(&self, family: IpFamily) -> Result<&(TcpListener, SocketAddr)> {
        self.listeners.get(family).context("no such family")
    }

    /// Opens a connection from a namespace to it.
    ///
    /// # Errors
    /// It does not open within two seconds, or carries nothing.
    pub fn connect(&self, from: &Netns, family: IpFamily) -> Result<Flow> {
        let (listener, peer) = self.listener(family)?;
        listener.set_nonblocking(true)?;
        // one whose client gave up
        while listener.accept().is_ok() {}
        listener.set_nonblocking(false)?;
        let near = from.run(|| Ok(TcpStream::connect_timeout(peer, CONNECT)?))?;
        let (far, seen) = listener.accept()?;
        for end in [&near, &far] {
            end.set_read_timeout(Some(CONNECT))?;
        }
        let seen = seen.ip();
        let mut flow = Flow { near, far, seen };
        flow.carries()?;
        Ok(flow)
    }

    /// As whom it sees new connections, and how many of them each.
    ///
    /// # Errors
    /// One does not open.
    pub fn sees(
        &self,
        from: &Netns,
        family: IpFamily,
        connections: usize,
    ) -> Result<BTreeMap<IpAddr, usize>> {
        let mut seen = BTreeMap::new();
        for _ in 0..connections {
            *seen.entry(self.connect(from, family)?.seen).or_default() += 1;
        }
        Ok(seen)
    }

    /// Waits until it sees new connections as these, each of them, and as nobody else.
    ///
    /// # Errors
    /// It does not within 20 seconds.
    pub async fn wait_for(&self, from: &Netns, family: IpFamily, wanted: &[IpAddr]) -> Result<()> {
        wait_until(&format!("outside sees {wanted:?}"), PATIENCE, async || {
            let seen = self.sees(from, family, ENOUGH)?;
            let all = wanted.iter().all(|it| seen.contains_key(it));
            ensure!(all && seen.len() == wanted.len(), "outside sees {seen:?}");
            Ok(())
        })
        .await
    }
}

// === impl Flow ===

impl Flow {
    /// A word goes there and back.
    ///
    /// # Errors
    /// It does not within two seconds.
    pub fn carries(&mut self) -> Result<()> {
        let mut word = [0; 4];
        self.near.write_all(b"ping")?;
        self.far.read_exact(&mut word)?;
        self.far.write_all(&word)?;
        self.near.read_exact(&mut word)?;
        ensure!(&word == b"ping", "another word came back");
        Ok(())
    }
}
