//! Settings of the kernel that kubelet changes, and that have no namespace: they are the host's.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What kubelet sets at its start (`setupKernelTunables` of its container manager).
const CHANGED: [&str; 6] = [
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// Settings and their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sysctls(BTreeMap<String, String>);

// === impl Sysctls ===

impl Sysctls {
    /// The values now; a kernel need not have each.
    pub(crate) fn observe() -> Self {
        let values = CHANGED.iter().filter_map(|name| {
            let value = fs::read_to_string(path(name)).ok()?;
            Some(((*name).to_owned(), value.trim().to_owned()))
        });
        Self(values.collect())
    }

    /// Sets what differs.
    pub(crate) fn restore(&self) -> Result<()> {
        let now = Self::observe();
        for (name, value) in &self.0 {
            if now.0.get(name) != Some(value) {
                fs::write(path(name), value)
                    .with_context(|| format!("cannot set {name} back to {value}"))?;
            }
        }
        Ok(())
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name)
}
