//! Metrics for Prometheus.
//!
//! The metric types of the library that is used are re-exported, so that programs do not name it.

pub use prometheus::core::Collector;
pub use prometheus::{
    Error as MetricError, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, exponential_buckets,
};

use prometheus::{TextEncoder, process_collector::ProcessCollector};

/// The metrics of this process. A clone is another handle of the same registry.
#[derive(Debug, Clone)]
pub struct Registry(prometheus::Registry);

impl Registry {
    /// A registry with the metrics of the process itself: CPU, memory, file descriptors, threads.
    ///
    /// # Errors
    /// When the process cannot read its own metrics.
    pub fn new() -> Result<Self, MetricError> {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self(registry))
    }

    /// Adds a metric and gives it back, to be kept where it is counted.
    ///
    /// Takes the result of a metric's constructor, so that definition and registration are one
    /// expression:
    ///
    /// ```
    /// use kit::metrics::{IntCounterVec, Opts, Registry};
    ///
    /// let registry = Registry::new()?;
    /// let applied = registry.register(IntCounterVec::new(
    ///     Opts::new("daemon_apply_total", "Changes applied to the node"),
    ///     &["domain", "outcome"],
    /// ))?;
    /// applied.with_label_values(&["route", "ok"]).inc();
    /// # Ok::<(), kit::metrics::MetricError>(())
    /// ```
    ///
    /// # Errors
    /// When the metric is malformed, or one of its name is registered.
    pub fn register<M>(&self, metric: Result<M, MetricError>) -> Result<M, MetricError>
    where
        M: Collector + Clone + 'static,
    {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// All metrics in the Prometheus text format, sorted by name.
    ///
    /// # Errors
    /// When a collector produced a family that the format cannot carry.
    pub fn encode(&self) -> Result<String, MetricError> {
        TextEncoder::new().encode_to_string(&self.0.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(name: &str) -> Result<IntCounter, MetricError> {
        IntCounter::new(name, "Help")
    }

    #[test]
    fn a_registered_metric_is_encoded_with_its_value() {
        let registry = Registry::new().unwrap();
        let count = registry.register(counter("pings_total")).unwrap();
        count.inc_by(3);
        assert!(registry.encode().unwrap().contains("\npings_total 3\n"));
    }

    #[test]
    fn the_process_reports_itself() {
        let text = Registry::new().unwrap().encode().unwrap();
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }

    #[test]
    fn a_second_metric_of_the_same_name_is_refused() {
        let registry = Registry::new().unwrap();
        registry.register(counter("pings_total")).unwrap();
        assert!(registry.register(counter("pings_total")).is_err());
    }

    #[test]
    fn a_malformed_name_is_refused() {
        assert!(
            Registry::new()
                .unwrap()
                .register(counter("not a name"))
                .is_err()
        );
    }
}
