//! Flows outlive the program that made them, and come back soon where they cannot.
//!
//! ```text
//! ovn-controller starts   the switch keeps the old flows until the new ones are complete
//! ovs-vswitchd starts     kernel: its datapath goes on switching until the flows are back
//!                         both:   ovn-controller is told to connect again at once
//! ```
//!
//! A new ovn-controller learns what concerns its node in several steps, and would replace the flows
//! after the first: `ovn-ofctrl-wait-before-clear` holds it back (ovn-controller(8)). A new
//! ovs-vswitchd would empty the kernel's datapath: `flow-restore-wait` holds it back
//! (ovs-vswitchd.conf.db(5)). Each is set before a start and taken away when the flows are
//! complete, which is when their number has stopped growing. An ovn-controller that lost its switch
//! tries again after a second; it does so at once when the switch is at another address.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use kit::{backoff::sleep, error::Chain};
use ovsdb::Client;
use tokio::{net::UnixStream, sync::watch, time::timeout};

use super::settings::{self, EXTERNAL_IDS, OTHER_CONFIG};
use crate::{
    args::{Datapath, VswitchArgs},
    children::{Preparation, Running},
    unixctl,
};

/// How long a start waits for the database.
const DATABASE_LIMIT: Duration = Duration::from_secs(3);
/// How long the bridge may take to be there, and flows to be complete.
const LIMIT: Duration = Duration::from_secs(20);
/// How long ovn-controller may be without the southbound database before flows are given up.
const SOUTHBOUND_LIMIT: Duration = Duration::from_mins(10);
const SOON: Duration = Duration::from_millis(10);
const POLL: Duration = Duration::from_millis(100);
/// A number that was seen once.
const SEEN: u32 = 1;
/// The same number so often means complete.
const STEADY: u32 = 6;
/// Every ovn-controller installs more; what other bridges have by themselves is less.
const FEW: u64 = 50;

const WAIT_BEFORE_CLEAR: &str = "ovn-ofctrl-wait-before-clear";
const FLOW_RESTORE_WAIT: &str = "flow-restore-wait";
const BRIDGE_REMOTE: &str = "ovn-bridge-remote";

/// Follows the switch and ovn-controller of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Flows {
    client: Client,
    datapath: Datapath,
    run_directory: PathBuf,
    ovn_run_directory: PathBuf,
    /// Whether the switch has the flows of an ovn-controller.
    served: watch::Sender<bool>,
}

// === impl Flows ===

impl Flows {
    pub(super) fn new(args: &VswitchArgs, client: Client) -> Self {
        Self {
            client,
            datapath: args.datapath_type,
            run_directory: args.run_directory.clone(),
            ovn_run_directory: args.ovn_run_directory.clone(),
            served: watch::channel(false).0,
        }
    }

    /// Before each start of the switch: it reads what it shall do when it starts.
    pub(super) fn before_switch(&self) -> Preparation {
        let flows = self.clone();
        Box::new(move || Box::pin(flows.clone().keep_datapath()))
    }

    async fn keep_datapath(self) -> Result<()> {
        self.served.send_replace(false);
        self.database().await?;
        match self.datapath {
            Datapath::System => self.set(OTHER_CONFIG, FLOW_RESTORE_WAIT, "true").await,
            Datapath::Netdev => self.remove(OTHER_CONFIG, FLOW_RESTORE_WAIT).await,
        }
    }

    /// Before each start of ovn-controller: flows that are there shall stay for the time being.
    pub(super) fn before_controller(&self) -> Preparation {
        let flows = self.clone();
        Box::new(move || Box::pin(flows.clone().keep_flows()))
    }

    async fn keep_flows(self) -> Result<()> {
        self.database().await?;
        let has_flows = *self.served.borrow();
        if !has_flows {
            return self.remove(EXTERNAL_IDS, WAIT_BEFORE_CLEAR).await;
        }
        let limit = SOUTHBOUND_LIMIT.as_millis().to_string();
        self.set(EXTERNAL_IDS, WAIT_BEFORE_CLEAR, &limit).await
    }

    /// Whoever starts without the database tries again only after a second.
    async fn database(&self) -> Result<()> {
        let connected = timeout(DATABASE_LIMIT, self.client.replica().connected());
        connected
            .await
            .map(drop)
            .context("the database does not answer")
    }

    /// Works for each switch that is started.
    pub(super) async fn follow_switch(self, mut running: Running) {
        while let Some(pid) = next(&mut running).await {
            let mut watched = running.clone();
            tokio::select! {
                restored = self.restore(pid) => tell(restored),
                () = ended(&mut watched, pid) => {}
            }
            ended(&mut running, pid).await;
        }
    }

    async fn restore(&self, pid: u32) -> Result<()> {
        // whatever happens, traffic does not wait for ever
        let restored = timeout(LIMIT, self.bring_back(pid)).await;
        self.remove(OTHER_CONFIG, FLOW_RESTORE_WAIT).await?;
        restored.context("ovn-controller did not give the switch its flows in time")?
    }

    async fn bring_back(&self, pid: u32) -> Result<()> {
        let bridge = self.run_directory.join("br-int.mgmt");
        while UnixStream::connect(&bridge).await.is_err() {
            sleep(SOON).await;
        }
        self.call_controller().await?;
        let socket = unixctl::socket(&self.run_directory, "ovs-vswitchd", pid);
        grown(&socket, "rules", FEW, SEEN).await;
        self.served.send_replace(true);
        if self.datapath == Datapath::System {
            grown(&socket, "rules", FEW, STEADY).await;
        }
        tracing::info!("The switch has its flows");
        Ok(())
    }

    /// Names the bridge by another path to the same socket. An address that somebody else chose
    /// stays. An ovn-controller of before 24.03 does not look at this.
    async fn call_controller(&self) -> Result<()> {
        let ours = self.run_directory.join("./br-int.mgmt");
        let ours = format!("unix:{}", ours.display());
        match settings::get(&self.client, EXTERNAL_IDS, BRIDGE_REMOTE) {
            None => self.set(EXTERNAL_IDS, BRIDGE_REMOTE, &ours).await,
            Some(remote) if remote == ours => self.remove(EXTERNAL_IDS, BRIDGE_REMOTE).await,
            Some(_) => Ok(()),
        }
    }

    /// Works for each ovn-controller that is started.
    pub(super) async fn follow_controller(self, mut running: Running) {
        while let Some(pid) = next(&mut running).await {
            let mut watched = running.clone();
            tokio::select! {
                released = self.release(pid) => tell(released),
                () = ended(&mut watched, pid) => {}
            }
            ended(&mut running, pid).await;
        }
    }

    /// Lets it replace the flows when it has all of them.
    async fn release(&self, pid: u32) -> Result<()> {
        if settings::get(&self.client, EXTERNAL_IDS, WAIT_BEFORE_CLEAR).is_none() {
            return Ok(());
        }
        let socket = unixctl::socket(&self.ovn_run_directory, "ovn-controller", pid);
        let connected = async {
            while unixctl::ask(&socket, "connection-status")
                .await
                .ok()
                .as_deref()
                != Some("connected")
            {
                sleep(POLL).await;
            }
        };
        if timeout(SOUTHBOUND_LIMIT, connected).await.is_ok() {
            let desired = grown(&socket, "ofctrl_desired_flow_usage-KB", 1, STEADY);
            if timeout(LIMIT, desired).await.is_err() {
                tracing::warn!("ovn-controller still computes flows");
            }
        }
        self.remove(EXTERNAL_IDS, WAIT_BEFORE_CLEAR).await
    }

    async fn set(&self, column: &'static str, key: &str, value: &str) -> Result<()> {
        settings::set(&self.client, column, key, Some(value)).await
    }

    async fn remove(&self, column: &'static str, key: &str) -> Result<()> {
        settings::set(&self.client, column, key, None).await
    }
}

/// Returns when a number that the program counts is at least `least`, and was so `times` times.
async fn grown(socket: &Path, name: &str, least: u64, times: u32) {
    let (mut last, mut seen) = (None, 0);
    loop {
        let report = unixctl::ask(socket, "memory/show").await;
        let count = report.ok().and_then(|report| counted(&report, name));
        let count = count.filter(|count| *count >= least);
        seen = match count {
            None => 0,
            Some(_) if count == last => seen + 1,
            Some(_) => SEEN,
        };
        if seen >= times {
            return;
        }
        last = count;
        sleep(POLL).await;
    }
}

/// Waits for a process that runs; `None` when there will be none.
async fn next(running: &mut Running) -> Option<u32> {
    let found = running.wait_for(Option::is_some).await;
    found.ok().and_then(|pid| *pid)
}

/// Waits until another process runs, or none. Says nothing about what was done for the old one.
async fn ended(running: &mut Running, pid: u32) {
    drop(running.wait_for(|now| *now != Some(pid)).await);
}

fn tell(done: Result<()>) {
    if let Err(error) = done {
        tracing::error!(error = %Chain(&*error), "Cannot follow the switch's flows");
    }
}

/// A number in `handlers:1 ports:5 rules:412`.
fn counted(report: &str, name: &str) -> Option<u64> {
    let mut pairs = report
        .split_whitespace()
        .filter_map(|pair| pair.split_once(':'));
    let (_, number) = pairs.find(|(key, _)| *key == name)?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_name() {
        let report = "handlers:1 ofconns:3 ports:5 revalidators:1 rules:412 udpif keys:9";
        assert_eq!(counted(report, "rules"), Some(412));
        assert_eq!(counted(report, "rule"), None);
    }
}
