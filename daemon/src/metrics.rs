//! What the daemon counts.

use std::time::Duration;

use kit::metrics::{HistogramOpts, HistogramVec, IntCounterVec, MetricError, Opts, Registry};

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
}

/// Part of the node's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    Ovs,
    Link,
    Offload,
    Address,
    Route,
    Sysctl,
    Nft,
    Rule,
    Annotation,
}

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    cni: HistogramVec,
    apply: IntCounterVec,
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(_) => Self::Failure,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

// === impl Domain ===

impl Domain {
    const fn label(self) -> &'static str {
        match self {
            Self::Ovs => "ovs",
            Self::Link => "link",
            Self::Offload => "offload",
            Self::Address => "address",
            Self::Route => "route",
            Self::Sysctl => "sysctl",
            Self::Nft => "nft",
            Self::Rule => "rule",
            Self::Annotation => "annotation",
        }
    }
}

// === impl Metrics ===

impl Metrics {
    /// Upper bounds in seconds: an ADD takes from tens of milliseconds to its deadline.
    const BUCKETS: [f64; 10] = [0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 2.0, 5.0, 15.0, 60.0];

    /// # Errors
    /// When a name is taken.
    pub(crate) fn register(registry: &Registry) -> Result<Self, MetricError> {
        let help = "How long CNI commands took.";
        let opts = HistogramOpts::new("cni_request_duration_seconds", help);
        let opts = opts.buckets(Self::BUCKETS.to_vec());
        let cni = HistogramVec::new(opts, &["command", "outcome"]);
        let help = "Attempts to change the node, by part of its state.";
        let opts = Opts::new("daemon_apply_total", help);
        let apply = IntCounterVec::new(opts, &["domain", "outcome"]);
        Ok(Self {
            cni: registry.register(cni)?,
            apply: registry.register(apply)?,
        })
    }

    pub(crate) fn cni(&self, command: &str, outcome: Outcome, took: Duration) {
        let labels = [command, outcome.label()];
        self.cni
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// Counts an attempt that changed something or failed to.
    pub(crate) fn apply<E>(&self, domain: Domain, changes: Result<usize, E>) -> Result<usize, E> {
        if !matches!(changes, Ok(0)) {
            let labels = [domain.label(), Outcome::of(&changes).label()];
            self.apply.with_label_values(&labels).inc();
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_nothing_is_not_counted() {
        let registry = Registry::new().unwrap();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.apply::<()>(Domain::Route, Ok(0)).unwrap();
        assert!(!registry.encode().unwrap().contains("daemon_apply_total"));
        metrics.apply::<()>(Domain::Route, Ok(2)).unwrap();
        metrics.apply(Domain::Route, Err(())).unwrap_err();
        let text = registry.encode().unwrap();
        for outcome in ["success", "failure"] {
            let line = format!("daemon_apply_total{{domain=\"route\",outcome=\"{outcome}\"}} 1");
            assert!(text.contains(&line), "{text}");
        }
    }
}
