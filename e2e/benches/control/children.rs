//! What each program of the laboratory uses.

use std::{collections::BTreeMap, fs, path::Path, process};

use anyhow::Result;

use crate::usage::Process;

/// This program and those that it started, with the time that each had used until then.
pub(crate) struct Children(Vec<Child>);

struct Child {
    name: String,
    process: Process,
    milliseconds: f64,
}

// === impl Children ===

impl Children {
    pub(crate) fn new() -> Result<Self> {
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let file = entry?.file_name();
            let id = file.to_str().and_then(|id| id.parse().ok());
            if let Some((id, name)) = id.and_then(|id| Some((id, name_of(id)?))) {
                let process = Process::new(id);
                children.push(Child {
                    name,
                    milliseconds: process.cpu_ms()?,
                    process,
                });
            }
        }
        Ok(Self(children))
    }

    /// User and system time since then, by the name of the program.
    pub(crate) fn used(&self) -> Result<BTreeMap<String, f64>> {
        let mut used = BTreeMap::new();
        for child in &self.0 {
            let since = child.process.cpu_ms()? - child.milliseconds;
            *used.entry(child.name.clone()).or_default() += since;
        }
        Ok(used)
    }
}

/// `None` for a process of somebody else.
fn name_of(id: u32) -> Option<String> {
    let ours = process::id();
    if id == ours {
        return Some("bench".to_owned());
    }
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:"))?;
    let is_ours = parent.trim().parse() == Ok(ours);
    let line = is_ours.then(|| fs::read_to_string(format!("/proc/{id}/cmdline")));
    let line = line?.ok()?;
    let words: Vec<&str> = line.split('\0').collect();
    // those of another Debian are started by its own loader
    let ([_, "--library-path", _, program, ..] | [program, ..]) = words.as_slice() else {
        return None;
    };
    let name = Path::new(program).file_name()?;
    Some(name.to_string_lossy().into_owned())
}
