//! What sync counts.

use kit::metrics::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, MetricError, Opts, Registry,
};
use model::Owner;
use ovsdb::Outcome;

#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) dirty: IntGauge,
    plan_seconds: HistogramVec,
    transactions: IntCounterVec,
}

// === impl Metrics ===

impl Metrics {
    /// # Errors
    /// When metrics of these names are registered already.
    pub fn register(registry: &Registry) -> Result<Self, MetricError> {
        Ok(Self {
            dirty: registry.register(IntGauge::new(
                "controller_dirty_owners",
                "Owners whose rows are to be planned again",
            ))?,
            plan_seconds: registry.register(HistogramVec::new(
                HistogramOpts::new(
                    "controller_plan_duration_seconds",
                    "Time to plan one owner and to compare it with the replica",
                )
                .buckets(vec![1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
                &["owner"],
            ))?,
            transactions: registry.register(IntCounterVec::new(
                Opts::new("ovsdb_transactions_total", "Transactions by how they ended"),
                &["db", "outcome"],
            ))?,
        })
    }

    pub(crate) fn planned(&self, owner: &Owner, seconds: f64) {
        let kind = match owner {
            Owner::Vpc(_) => "vpc",
            Owner::Subnet(_) => "subnet",
            Owner::LoadBalancers(_) => "load-balancers",
            Owner::Node(_) => "node",
            Owner::Gateway(_) => "gateway",
            Owner::Port(_) => "port",
        };
        self.plan_seconds
            .with_label_values(&[kind])
            .observe(seconds);
    }

    pub(crate) fn committed(&self, outcome: &Outcome) {
        let word = match outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Committed => "committed",
            Outcome::Stale => "stale",
            Outcome::Lost => "lost",
            Outcome::Rejected(_) => "rejected",
        };
        self.transactions
            .with_label_values(&[crate::DATABASE, word])
            .inc();
    }
}
