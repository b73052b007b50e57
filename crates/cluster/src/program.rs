//! Processes by the program that they run.

use std::fs;

use anyhow::Result;

use crate::cgroup;

/// A program, by its name and by a word of its command line that tells it from others of the
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program<'a> {
    name: &'a str,
    word: &'a str,
}

// === impl Program ===

impl<'a> Program<'a> {
    /// Every process of this name.
    pub const fn named(name: &'a str) -> Self {
        Self { name, word: "" }
    }

    /// Of them those that have `word` in their command line.
    pub const fn with(self, word: &'a str) -> Self {
        Self { word, ..self }
    }

    /// Whether words separated by NUL are a command line of it.
    fn is_run_by(&self, command_line: &str) -> bool {
        let path = command_line.split('\0').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        name == self.name && command_line.contains(self.word)
    }
}

/// The ids of its processes on a node, or in the control plane; those of nobody else.
pub(crate) fn find(part: &str, program: &Program<'_>) -> Result<Vec<i32>> {
    let mut ids = cgroup::members(part)?;
    ids.retain(|id| {
        // one that has ended meanwhile has none
        let line = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        program.is_run_by(&line)
    });
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_name_and_not_by_the_start_of_it() {
        let containerd = Program::named("containerd");
        assert!(containerd.is_run_by("/usr/bin/containerd\0"));
        assert!(!containerd.is_run_by("/usr/bin/containerd-shim-runc-v2\0-id\0"));
        assert!(!containerd.is_run_by("nsenter\0--\0containerd\0"));
    }

    #[test]
    fn a_word_tells_programs_of_one_name_apart() {
        let northbound = Program::named("ovsdb-server").with("ovnnb_db.db");
        assert!(northbound.is_run_by("ovsdb-server\0/etc/ovn/ovnnb_db.db\0"));
        assert!(!northbound.is_run_by("ovsdb-server\0/etc/ovn/ovnsb_db.db\0"));
    }
}
