//! TCP from pods to a host outside: new flows at a steady rate, and flows that stay.
//!
//! ```text
//! pods --connect, 100 a second in all--> outside: by whose address did it come?
//!      --words, there and back---------> outside: does the flow go on?
//! ```
//!
//! Sockets are born in the pods' namespaces and driven by the test's own runtime: none of it is a
//! program or a thread of its own.

mod lasting;
mod newcomers;
mod source;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use model::IpFamily;
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, timeout},
};

use self::{lasting::Lasting, source::Source};
use crate::{Netns, traffic::listen, wait_until};

/// A connection to the host outside takes no longer where nothing is broken.
const OPEN: Duration = Duration::from_secs(2);
/// Flows are opened until every gateway has its share, at most so many for each that is wanted.
const TRIES: usize = 20;

/// Flows of all pods. When it is dropped, they end.
#[derive(Debug)]
pub struct Traffic {
    sources: Vec<Source>,
    lasting: TcpListener,
    /// Where flows that stay are taken.
    peer: SocketAddr,
    flows: Vec<Lasting>,
    log: Arc<Log>,
    /// None of them ends by itself, but with an error.
    tasks: JoinSet<Result<()>>,
}

/// What became of a new flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When its SYN was sent.
    pub begun: Instant,
    /// Nothing answered the SYN before it would have been sent again.
    pub is_lost: bool,
}

#[derive(Debug, Default)]
struct Log {
    attempts: Mutex<Vec<Attempt>>,
    /// By whose address new flows came to the host outside, and when.
    arrivals: Mutex<Vec<(Instant, IpAddr)>>,
}

// === impl Traffic ===

impl Traffic {
    /// New flows from all these pods to a host outside, which has that address.
    ///
    /// # Errors
    /// The host cannot listen.
    pub fn start(pods: &[&Netns], outside: &Netns, address: IpAddr) -> Result<Self> {
        let family = IpFamily::of(address);
        let (newcomers, new_peer) = taker(outside, address)?;
        let (lasting, peer) = taker(outside, address)?;
        let log = Arc::new(Log::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(newcomers::take(newcomers, Arc::clone(&log)));
        let count = u32::try_from(pods.len())?;
        for pod in pods {
            let source = Source::new(pod, family);
            let log = Arc::clone(&log);
            tasks.spawn(newcomers::connect(source, new_peer, count, log));
        }
        Ok(Self {
            sources: pods.iter().map(|pod| Source::new(pod, family)).collect(),
            lasting,
            peer,
            flows: Vec::new(),
            log,
            tasks,
        })
    }

    /// Forgets what became of new flows.
    pub fn forget(&self) {
        self.log.attempts.lock().clear();
        self.log.arrivals.lock().clear();
    }

    /// The new flows of which is known what became of them, oldest first.
    ///
    /// # Errors
    /// No flow is opened any more.
    pub fn attempts(&mut self) -> Result<Vec<Attempt>> {
        if let Some(ended) = self.tasks.try_join_next() {
            ended??;
            bail!("nobody opens flows any more");
        }
        let mut attempts = self.log.attempts.lock().clone();
        attempts.sort_by_key(|attempt| attempt.begun);
        Ok(attempts)
    }

    /// When the host outside first took a new flow by that address since then.
    pub fn first_arrival(&self, by: IpAddr, since: Instant) -> Option<Instant> {
        let arrivals = self.log.arrivals.lock();
        let mut times = arrivals.iter().filter(|(_, from)| *from == by);
        let found = times.find(|(time, _)| *time >= since);
        found.map(|(time, _)| *time)
    }

    /// Opens flows that stay until `each` go on by every one of the gateways, and closes all others.
    ///
    /// # Errors
    /// A gateway gets none.
    pub async fn fill(&mut self, gateways: &[IpAddr], each: usize) -> Result<()> {
        self.flows.retain(Lasting::goes_on);
        let mut sources = 0;
        for _ in 0..gateways.len() * each * TRIES {
            let missing = |by: &IpAddr| self.by(*by) < each;
            if !gateways.iter().any(missing) {
                return Ok(());
            }
            sources = (sources + 1) % self.sources.len();
            let flow = self.open(sources).await?;
            if gateways.contains(&flow.by()) && self.by(flow.by()) < each {
                self.flows.push(flow);
            }
        }
        bail!("not every one of {gateways:?} has {each} flows")
    }

    /// How many flows that stay there are by a gateway.
    fn by(&self, gateway: IpAddr) -> usize {
        self.flows.iter().filter(|it| it.by() == gateway).count()
    }

    async fn open(&mut self, source: usize) -> Result<Lasting> {
        let source = self.sources.get_mut(source).context("there are no pods")?;
        let near = timeout(OPEN, source.socket()?.connect(self.peer)).await??;
        let (far, from) = timeout(OPEN, self.lasting.accept()).await??;
        Lasting::begin(near, far, from.ip()).await
    }

    /// How many of the flows that stay go on, now and by these gateways, and how many there are.
    ///
    /// # Errors
    /// Of one it is not known.
    pub async fn kept(&self, gateways: &[IpAddr]) -> Result<(usize, usize)> {
        let asked = Instant::now();
        let flows = self.flows.iter().filter(|it| gateways.contains(&it.by()));
        let flows: Vec<&Lasting> = flows.collect();
        wait_until(
            "every flow goes on or is broken",
            lasting::KNOWN,
            async || {
                let unknown = flows.iter().filter(|it| !it.is_known_since(asked)).count();
                ensure!(unknown == 0, "of {unknown} it is not known");
                Ok(())
            },
        )
        .await?;
        let kept = flows.iter().filter(|it| it.goes_on()).count();
        Ok((kept, flows.len()))
    }
}

/// A listener in a namespace, and where it is reached.
fn taker(netns: &Netns, address: IpAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = listen(netns, IpFamily::of(address))?;
    listener.set_nonblocking(true)?;
    let peer = SocketAddr::new(address, listener.local_addr()?.port());
    Ok((TcpListener::from_std(listener)?, peer))
}
