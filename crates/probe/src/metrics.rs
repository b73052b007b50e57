//! What a prober counts.

use std::time::Duration;

use kit::metrics::{Histogram, HistogramOpts, IntCounter, MetricError, Registry};

/// The metrics of one prober.
#[derive(Debug, Clone)]
pub struct Metrics {
    sent: IntCounter,
    lost: IntCounter,
    round_trip: Histogram,
}

// === impl Metrics ===

impl Metrics {
    /// Upper bounds in seconds: answers take from tens of microseconds to a few intervals.
    const BUCKETS: [f64; 10] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, MetricError> {
        let counter = IntCounter::new;
        let help = "How long answers of gateway nodes took.";
        let opts = HistogramOpts::new("gateway_probe_round_trip_seconds", help);
        Ok(Self {
            sent: registry.register(counter(
                "gateway_probes_total",
                "Echo requests to gateway nodes.",
            ))?,
            lost: registry.register(counter(
                "gateway_probe_losses_total",
                "Echo requests to gateway nodes that were not answered in time.",
            ))?,
            round_trip: registry
                .register(Histogram::with_opts(opts.buckets(Self::BUCKETS.to_vec())))?,
        })
    }

    pub(crate) fn sent(&self) {
        self.sent.inc();
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    pub(crate) fn answered(&self, took: Duration) {
        self.round_trip.observe(took.as_secs_f64());
    }
}
