//! Times of many of one thing.

use std::time::Duration;

use serde_json::{Value, json};

/// Milliseconds, sorted.
pub(crate) struct Times(Vec<f64>);

// === impl Times ===

impl Times {
    /// The smallest time that so many percent do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Value {
        let rank = (self.0.len() * percent).div_ceil(100);
        let time = self.0.get(rank.saturating_sub(1));
        rounded(time.copied().unwrap_or(f64::NAN))
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let mut times: Vec<f64> = times.into_iter().map(milliseconds).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }
}

/// As much as means something; no number is `null`.
pub(crate) fn rounded(figure: f64) -> Value {
    json!((figure * 100.0).round() / 100.0)
}
