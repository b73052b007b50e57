//! A flow that stays: numbers go there and back.

use std::{net::IpAddr, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// Between two numbers.
const BEAT: Duration = Duration::from_millis(200);
/// TCP sends again what was lost; a number that is not back after so long is lost for good.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long it is known of every flow whether it goes on.
pub(super) const KNOWN: Duration = Duration::from_secs(15);

/// A connection that is open at both ends, until this is dropped.
#[derive(Debug)]
pub(super) struct Lasting {
    by: IpAddr,
    /// When a number came back last; `None` when the flow is broken.
    beat: Arc<Mutex<Option<Instant>>>,
    _task: JoinSet<()>,
}

/// Both ends of it.
struct Ends {
    near: TcpStream,
    far: TcpStream,
}

// === impl Lasting ===

impl Lasting {
    /// Both ends of a flow that came by the gateway of that address.
    ///
    /// # Errors
    /// They are of two flows.
    pub(super) async fn begin(near: TcpStream, far: TcpStream, by: IpAddr) -> Result<Self> {
        let mut ends = Ends { near, far };
        timeout(PATIENCE, ends.carry(0)).await??;
        let beat = Arc::new(Mutex::new(Some(Instant::now())));
        let mut task = JoinSet::new();
        task.spawn(go_on(ends, Arc::clone(&beat)));
        Ok(Self {
            by,
            beat,
            _task: task,
        })
    }

    /// As whom the host outside sees it.
    pub(super) const fn by(&self) -> IpAddr {
        self.by
    }

    pub(super) fn goes_on(&self) -> bool {
        self.beat.lock().is_some()
    }

    /// Whether it is broken, or has carried a number since then.
    pub(super) fn is_known_since(&self, then: Instant) -> bool {
        self.beat.lock().is_none_or(|beat| beat > then)
    }
}

async fn go_on(mut ends: Ends, beat: Arc<Mutex<Option<Instant>>>) {
    let mut ticks = interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 1_u64.. {
        ticks.tick().await;
        let carried = timeout(PATIENCE, ends.carry(number)).await;
        let goes_on = matches!(carried, Ok(Ok(())));
        *beat.lock() = goes_on.then(Instant::now);
        if !goes_on {
            return;
        }
    }
}

// === impl Ends ===

impl Ends {
    async fn carry(&mut self, number: u64) -> Result<()> {
        let mut bytes = number.to_be_bytes();
        self.near.write_all(&bytes).await?;
        self.far.read_exact(&mut bytes).await?;
        self.far.write_all(&bytes).await?;
        self.near.read_exact(&mut bytes).await?;
        let back = u64::from_be_bytes(bytes);
        ensure!(back == number, "{back} came back for {number}");
        Ok(())
    }
}
