//! New flows, and whether their first packet is answered.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{Attempt, Log, source::Source};

/// Between two new flows of all pods together.
const EVERY: Duration = Duration::from_millis(10);
/// The kernel sends a SYN again after a second, which would hide that the first was lost.
pub(super) const ONE_SYN: Duration = Duration::from_millis(900);

/// Opens flows for ever, as one of so many pods.
pub(super) async fn connect(
    mut source: Source,
    peer: SocketAddr,
    pods: u32,
    log: Arc<Log>,
) -> Result<()> {
    let mut ticks = interval(EVERY * pods);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut underway = JoinSet::new();
    loop {
        ticks.tick().await;
        while underway.try_join_next().is_some() {}
        underway.spawn(attempt(source.socket()?, peer, Arc::clone(&log)));
    }
}

async fn attempt(socket: TcpSocket, peer: SocketAddr, log: Arc<Log>) {
    let begun = Instant::now();
    let connected = timeout(ONE_SYN, socket.connect(peer)).await;
    let is_lost = !matches!(connected, Ok(Ok(_)));
    log.attempts.lock().push(Attempt { begun, is_lost });
}

/// Takes them for ever.
pub(super) async fn take(listener: TcpListener, log: Arc<Log>) -> Result<()> {
    loop {
        match listener.accept().await {
            Ok((_, from)) => log.arrivals.lock().push((Instant::now(), from.ip())),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
