//! How long something takes.

#[expect(
    clippy::disallowed_types,
    reason = "a run is measured by the wall clock; there is no runtime whose clock could be paused"
)]
type Clock = std::time::Instant;

#[derive(Debug)]
pub(crate) struct Stopwatch(Clock);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Clock::now())
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
