//! What a process uses, by `/proc`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

/// Ticks of `/proc/<id>/stat` in a second, on every architecture of today.
const TICKS: f64 = 100.0;
const KIB_IN_MIB: f64 = 1024.0;

/// A process that runs.
pub(crate) struct Process(PathBuf);

// === impl Process ===

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self(PathBuf::from("/proc").join(id.to_string()))
    }

    /// User and system time of all its threads so far, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> Result<f64> {
        let text = fs::read_to_string(self.0.join("stat"))?;
        // after the name, which may hold spaces and parentheses
        let (_, fields) = text.rsplit_once(") ").context("a stat has a name")?;
        let times = fields.split(' ').skip(11).take(2);
        let ticks: Vec<f64> = times.map(str::parse).collect::<Result<_, _>>()?;
        Ok(ticks.iter().sum::<f64>() / TICKS * 1000.0)
    }

    /// Its memory now.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most that it ever had.
    pub(crate) fn peak_mib(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> Result<f64> {
        let text = fs::read_to_string(self.0.join("status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let size = line.and_then(|line| line.split_whitespace().next());
        let kib: f64 = size.with_context(|| format!("no {key}"))?.parse()?;
        Ok(kib / KIB_IN_MIB)
    }
}
