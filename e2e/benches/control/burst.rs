//! Many pods, created by many at a time.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::Instant;

use crate::{
    line::tell,
    pods::{Pods, Seen},
    times::Times,
    world::{self, AT_ONCE, World},
};

/// How long the last pod may take after the last call.
const PATIENCE: Duration = Duration::from_mins(3);

/// Calls that created pods.
pub(crate) struct Created {
    begun: Instant,
    /// From the first call to the last answer.
    pub(crate) span: Duration,
    /// When the call began of each pod that was made, by the name of its port.
    calls: BTreeMap<String, Instant>,
    pub(crate) refused: usize,
}

/// What became of these pods.
pub(crate) struct Allocated {
    /// From the first call until the last of those that got addresses was seen to have them.
    pub(crate) span: Duration,
    /// From the call until they were seen.
    pub(crate) times: Times,
    pub(crate) missing: usize,
}

/// Creates so many pods, the same each time.
pub(crate) async fn create(world: World<'_>, count: usize) -> Created {
    let begun = Instant::now();
    let calls = stream::iter(0..count).map(async |number| {
        let name = format!("pod-{number}");
        let called = Instant::now();
        match world.create_pod(&name, number).await {
            Ok(()) => Some((world::port(&name, number), called)),
            Err(error) => {
                tell(&format!("{error:#}"));
                None
            }
        }
    });
    let calls = calls.buffer_unordered(AT_ONCE);
    let calls: BTreeMap<_, _> = calls.filter_map(async |call| call).collect().await;
    Created {
        begun,
        span: begun.elapsed(),
        refused: count - calls.len(),
        calls,
    }
}

// === impl Created ===

impl Created {
    /// Pods a second.
    pub(crate) fn rate(&self) -> f64 {
        per_second(self.calls.len(), self.span)
    }

    /// Waits until all have addresses.
    pub(crate) async fn allocated(&self, pods: &Pods) -> Allocated {
        let all = |seen: &Seen| (seen.allocated.len() >= self.calls.len()).then_some(());
        if let Err(error) = pods.until("all are allocated", PATIENCE, all).await {
            tell(&format!("{error:#}"));
        }
        let seen = pods.seen();
        let when = |(port, called)| Some((called, *seen.allocated.get(port)?));
        let pairs: Vec<(&Instant, Instant)> = self.calls.iter().filter_map(when).collect();
        let last = pairs.iter().map(|(_, seen)| *seen).max();
        let last = last.unwrap_or(self.begun);
        let times = pairs.into_iter();
        let times: Times = times
            .map(|(called, seen)| seen.duration_since(*called))
            .collect();
        Allocated {
            span: last.duration_since(self.begun),
            missing: self.calls.len() - times.count(),
            times,
        }
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a count of pods is small"
)]
pub(crate) fn per_second(count: usize, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64()
}
