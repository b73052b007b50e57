//! Connectivity probes and their metrics.

fn main() {}
