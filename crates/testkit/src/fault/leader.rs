//! The leader of a raft cluster of databases.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::command::Invocation;

/// A member of a cluster, by the control socket of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    socket: PathBuf,
    database: &'static str,
}

// === impl Member ===

impl Member {
    /// The member whose server listens at `socket`.
    pub const fn new(socket: PathBuf, database: &'static str) -> Self {
        Self { socket, database }
    }

    /// Whether it says that it leads.
    ///
    /// # Errors
    /// It does not answer.
    pub fn is_leader(&self) -> Result<bool> {
        Ok(self.status()?.contains("Role: leader"))
    }

    /// What it says of its cluster.
    ///
    /// # Errors
    /// It does not answer.
    pub fn status(&self) -> Result<String> {
        self.control(&["cluster/status", self.database])
    }

    fn hand_over(&self) -> Result<()> {
        let answer = self.control(&["cluster/failure-test", "transfer-leadership"])?;
        ensure!(answer.contains("engaged"), "it says {answer}");
        Ok(())
    }

    fn control(&self, words: &[&str]) -> Result<String> {
        Invocation::new("ovs-appctl")
            .args(["--timeout=2", "-t"])
            .arg(&self.socket)
            .args(words)
            .read()
    }
}

/// The position of the member that leads.
///
/// # Errors
/// None does.
pub fn leader_of(members: &[Member]) -> Result<usize> {
    let mut positions = members.iter();
    positions
        .position(|member| member.is_leader().unwrap_or(false))
        .context("no member leads")
}

/// Has the leader hand over to another.
pub(super) fn transfer(members: &[Member]) -> Result<()> {
    let leader = leader_of(members)?;
    members.get(leader).context("no member leads")?.hand_over()
}
