//! northd: started when the databases can be used, and told of all members.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::{Census, NORTHD, Site};
use crate::{
    children::Running, database::Database, probe::Rounds, program::Program, unixctl,
    watchdog::Control,
};

/// What a northd is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// It compiles.
    Active,
    /// It waits until the active one is gone.
    Standby,
    /// Why it does neither.
    Nothing(String),
}

// === impl Site ===

impl Site {
    /// northd with all members that are known; the leader may be any of them.
    pub(super) fn northd(&self, census: Option<&Census>) -> Program {
        let [northbound, southbound] = &self.databases;
        let peers = census.map(|census| census.peers.as_slice());
        let mut hosts: Vec<_> = peers
            .unwrap_or_default()
            .iter()
            .filter_map(|it| it.address)
            .collect();
        hosts.sort();
        let remotes = |database: &Database| {
            let others = hosts.iter().map(|host| database.remote_at(*host));
            let all: Vec<_> = [database.remote().to_string()]
                .into_iter()
                .chain(others)
                .collect();
            all.join(",")
        };
        Program::new("ovn-northd")
            .titled(NORTHD)
            .control(Control::In(self.args.run_directory.clone()))
            .directory("OVN_RUNDIR", &self.args.run_directory)
            .arg(format!("--ovnnb-db={}", remotes(northbound)))
            .arg(format!("--ovnsb-db={}", remotes(southbound)))
            .path_option("--pidfile", &self.args.run_directory.join("ovn-northd.pid"))
            .args(self.args.programs.tls_options())
    }
}

/// Keeps `work` as northd answers, until its supervisor is gone.
pub(super) async fn follow(directory: PathBuf, running: Running, work: watch::Sender<Work>) {
    let mut rounds = Rounds::new(running);
    while let Some(pid) = rounds.next().await {
        let now = match pid {
            Some(pid) => look(&unixctl::socket(&directory, "ovn-northd", pid)).await,
            None => Work::Nothing("it does not run".to_owned()),
        };
        work.send_if_modified(|work| std::mem::replace(work, now.clone()) != now);
    }
}

async fn look(socket: &Path) -> Work {
    match unixctl::ask(socket, "status").await {
        Ok(answer) if answer.starts_with("Status: active") => Work::Active,
        Ok(answer) if answer.starts_with("Status: standby") => Work::Standby,
        Ok(answer) => Work::Nothing(answer),
        Err(error) => Work::Nothing(kit::error::Chain(&error).to_string()),
    }
}
