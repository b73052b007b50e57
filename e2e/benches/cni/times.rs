//! Times of many of one thing.

use std::time::Duration;

/// Milliseconds, sorted.
pub(crate) struct Times(Vec<f64>);

// === impl Times ===

impl Times {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest time that so many percent do not exceed; no number for none.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        let time = self.0.get(rank.saturating_sub(1));
        time.copied().unwrap_or(f64::NAN)
    }
}

impl FromIterator<f64> for Times {
    fn from_iter<I: IntoIterator<Item = f64>>(times: I) -> Self {
        let mut times: Vec<f64> = times.into_iter().collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let times = times.into_iter();
        times.map(|time| time.as_secs_f64() * 1000.0).collect()
    }
}
