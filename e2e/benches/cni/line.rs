//! What a benchmark says: its progress, and a line of figures.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// As much as means something; no number is `null`.
pub(crate) fn rounded(figure: f64) -> Value {
    json!((figure * 100.0).round() / 100.0)
}

/// The first figure of `/proc/loadavg`.
pub(crate) fn host_load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split(' ').next().context("a load has figures")?;
    Ok(first.parse()?)
}

#[expect(clippy::print_stdout, reason = "the result of a benchmark")]
pub(crate) fn report(line: &Value) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the progress of a benchmark")]
pub(crate) fn tell(line: &str) {
    eprintln!("{line}");
}
