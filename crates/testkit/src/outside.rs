//! A host outside of the overlay, and as whom it sees those who connect to it.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use model::{DualStack, IpFamily};
use nix::sys::{
    socket::{setsockopt, sockopt::ReceiveTimeout},
    time::{TimeVal, TimeValLike},
};

use tokio::time::Instant;

use crate::{Lab, Netns, traffic, wait_until};

const CONNECT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a flow finds its pace, and how long what it carries is counted then.
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(3);
/// How long an end waits for the other before it looks at the time.
const STEP: Duration = Duration::from_millis(100);
/// So many bytes are written and read at once.
const PIECE: usize = 16 * 1024;
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

/// The ends of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// That of the pod.
    Near,
    /// That of the host outside.
    Far,
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

/// What all of the flows carry together, in Mbit/s, when this end of each sends as much as it can: in
/// three seconds, after one in which they find their pace.
///
/// # Errors
/// One breaks.
pub fn throughput(flows: &[Flow], sender: End) -> Result<f64> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + MEASURED;
    let bytes: u64 = thread::scope(|scope| {
        let counting = flows.iter().map(|flow| {
            let (from, to) = match sender {
                End::Near => (&flow.near, &flow.far),
                End::Far => (&flow.far, &flow.near),
            };
            scope.spawn(move || send_until(from, end));
            scope.spawn(move || count(to, begin, end))
        });
        let counting: Vec<_> = counting.collect();
        let counts = counting.into_iter().map(|it| {
            let count = it.join();
            count.map_err(|_panic| anyhow!("a receiver panicked"))?
        });
        counts.sum::<Result<u64>>()
    })?;
    let kilobits = u32::try_from(bytes * 8 / 1000)?;
    Ok(f64::from(kilobits) / 1000.0 / MEASURED.as_secs_f64())
}

/// Fills the connection until then.
fn send_until(mut stream: &TcpStream, end: Instant) -> Result<()> {
    stream.set_write_timeout(Some(STEP))?;
    let piece = [0; PIECE];
    while Instant::now() < end {
        match stream.write(&piece) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// The bytes that arrive between the two.
fn count(mut stream: &TcpStream, begin: Instant, end: Instant) -> Result<u64> {
    stream.set_read_timeout(Some(STEP))?;
    let mut piece = [0; PIECE];
    let mut bytes = 0;
    while Instant::now() < end {
        match stream.read(&mut piece) {
            Ok(0) => bail!("the sender ended"),
            Ok(length) if Instant::now() >= begin => bytes += u64::try_from(length)?,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(bytes)
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
