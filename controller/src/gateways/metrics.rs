//! What is counted of gateway nodes.

use kit::metrics::{IntCounterVec, IntGaugeVec, MetricError, Opts, Registry};
use model::NodeName;

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    alive: IntGaugeVec,
    failovers: IntCounterVec,
    pub(super) probes: probe::Metrics,
}

// === impl Metrics ===

impl Metrics {
    /// # Errors
    /// When a name is taken.
    pub(crate) fn register(registry: &Registry) -> Result<Self, MetricError> {
        let alive = Opts::new(
            "controller_gateway_node_alive",
            "Whether a gateway node carries traffic (1), or is not ready or does not answer (0).",
        );
        let failovers = Opts::new(
            "controller_gateway_failovers_total",
            "Gateway nodes that were taken out since they did not answer, and that returned.",
        );
        Ok(Self {
            alive: registry.register(IntGaugeVec::new(alive, &["node"]))?,
            failovers: registry.register(IntCounterVec::new(failovers, &["direction"]))?,
            probes: probe::Metrics::register(registry)?,
        })
    }

    /// Of all gateway nodes that there are.
    pub(super) fn alive<'a>(&self, nodes: impl Iterator<Item = (&'a NodeName, bool)>) {
        self.alive.reset();
        for (node, is_alive) in nodes {
            let alive = self.alive.with_label_values(&[node.as_str()]);
            alive.set(i64::from(is_alive));
        }
    }

    pub(super) fn out(&self) {
        self.failovers.with_label_values(&["out"]).inc();
    }

    pub(super) fn back(&self) {
        self.failovers.with_label_values(&["back"]).inc();
    }
}
