//! The clock: what happens in the index because time passes.

use std::convert::Infallible;
use std::time::Duration;

use controller_index::Shared;
use k8s_openapi::jiff::Timestamp;
use kit::shutdown::Shutdown;
use tokio::time::{MissedTickBehavior, interval};

const PERIOD: Duration = Duration::from_secs(1);

/// Ticks until shutdown.
pub(crate) async fn run(index: Shared, shutdown: Shutdown) -> Result<(), Infallible> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if index.read().is_due(Timestamp::now()) {
            tick(&index);
        }
    }
    Ok(())
}

/// Tells the index how late it is.
pub(crate) fn tick(index: &Shared) {
    index.write(|index| index.tick(Timestamp::now()));
}
