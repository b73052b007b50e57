//! One database while it is served: what its server says, and what has to be done about it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use kit::{error::Chain, readiness::Condition};
use tokio::time::Instant;

use super::{Census, Turn, gate::Gate};
use crate::{
    children::Running,
    claims::Claim,
    database::{Database, Found},
    raft::Status,
    verdict::{Course, Leaving},
};

/// How long a member without a leader hopes for one.
const HOPE: Duration = Duration::from_secs(10);
/// How long those who are asked may take to let us in, before others are asked.
const ADMISSION: Duration = Duration::from_secs(20);
/// How long a server that the others do not know may believe that it is a member: longer than it takes
/// them to say that they let it in.
const DOUBT: Duration = Duration::from_secs(6);
/// How long an address may be without a pod before its server is kicked.
const ABSENCE: Duration = Duration::from_secs(10);
/// How long a pod may claim to be another server than the one at its address before that is kicked:
/// longer than it takes to say that it was let in.
const REPLACEMENT: Duration = Duration::from_secs(5);
/// How long a server may take to write a file that somebody removed.
const REWRITING: Duration = Duration::from_secs(10);

/// A database that is served.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    database: &'a Database,
    condition: &'a Condition,
    running: Running,
    gate: Gate,
    /// What we are of the cluster, as far as is known.
    claim: Claim,
    status: Option<Status>,
    begun: Instant,
    /// When it was connected last; at first when it began.
    connected: Instant,
    /// Since when the file is not there.
    missing: Option<Instant>,
    /// Whether its schema is known to be that of our programs.
    is_converted: bool,
    /// Since when a server has no pod, or its pod is another server.
    absent: BTreeMap<String, Instant>,
}

// === impl Seat ===

impl<'a> Seat<'a> {
    pub(super) async fn new(
        database: &'a Database,
        condition: &'a Condition,
        (running, gate): (Running, Gate),
    ) -> Self {
        let now = Instant::now();
        Self {
            database,
            condition,
            running,
            gate,
            claim: Claim::of_file(&database.look().await, 0),
            status: None,
            begun: now,
            connected: now,
            missing: None,
            is_converted: false,
            absent: BTreeMap::new(),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.database.name()
    }

    pub(super) fn leads(&self) -> bool {
        let status = self.status.as_ref();
        status.is_some_and(|status| status.leads && status.is_connected())
    }

    /// Whether clients shall come to us.
    pub(super) fn invites(&self) -> bool {
        self.leads() && self.gate.is_open()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.status.as_ref().is_some_and(Status::is_connected)
    }

    /// What we are of the cluster.
    pub(super) const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Asks the server, and keeps file, schema and readiness as they should be.
    ///
    /// # Errors
    /// The database cannot be converted.
    pub(super) async fn attend(&mut self) -> Result<()> {
        match self.database.status().await {
            Ok(status) => {
                self.claim = Claim::of_server(&status);
                self.status = Some(status);
            }
            Err(error) => {
                self.status = None;
                self.condition.unmet(Chain(&error).to_string());
            }
        }
        self.keep_file().await;
        if self.is_connected() {
            self.connected = Instant::now();
            self.condition.met();
            self.gate.keep(self.database, &self.running).await;
        } else if self.status.is_some() {
            self.condition.unmet("it hears no leader");
        }
        if !self.leads() {
            self.is_converted = false;
        } else if !self.is_converted {
            let name = self.name();
            let converted = self.database.convert().await;
            converted.with_context(|| format!("cannot convert the database {name}"))?;
            self.is_converted = true;
        }
        Ok(())
    }

    /// Has a file that somebody removed written anew: the server still knows what was in it.
    async fn keep_file(&mut self) {
        if self.database.exists() {
            if self.missing.take().is_some() {
                tracing::info!(database = self.name(), "The file is there again");
            }
            return;
        }
        if self.missing.is_none() {
            tracing::error!(database = self.name(), "Somebody has removed the file");
        }
        self.missing.get_or_insert_with(Instant::now);
        if self.status.is_none() {
            return;
        }
        if let Err(error) = self.database.touch().await {
            tracing::warn!(database = self.name(), %error, "Nothing is written");
        }
        if let Err(error) = self.database.rewrite().await {
            tracing::warn!(database = self.name(), %error, "The file is not written");
        }
    }

    /// Whether the databases have to be settled anew.
    pub(super) async fn judge(&self, census: Option<&Census>) -> Option<Turn> {
        let is_running = self.running.borrow().is_some() && self.status.is_some();
        let forgotten = self
            .missing
            .is_some_and(|since| since.elapsed() >= REWRITING);
        if forgotten || (!is_running && !self.has_file().await) {
            return Some(Turn::Unsettled);
        }
        let (name, unconnected) = (self.name(), self.connected.elapsed());
        // who has removed the Lease wants the record to be made anew
        let Some(case) = census?.case(self.database) else {
            return Some(Turn::Unsettled);
        };
        let claim = &self.claim;
        let Some(server) = claim.server_of(case.cluster) else {
            return Some(Turn::Unsettled);
        };
        if claim.servers_of(case.cluster).is_none() {
            let is_tired = match case.course(self.begun.elapsed()) {
                Course::Make => true,
                Course::Join(_) => unconnected >= ADMISSION,
                Course::Wait => false,
            };
            return is_tired.then_some(Turn::Outside(name));
        }
        if unconnected >= DOUBT && case.is_expelled(server) {
            return Some(Turn::Outside(name));
        }
        let is_lost = unconnected >= HOPE && case.is_lost(Some(claim));
        is_lost.then(|| Turn::Lost(name, claim.clone()))
    }

    /// Whether a server that does not run can be started again.
    async fn has_file(&self) -> bool {
        matches!(self.database.look().await, Found::Member { .. })
    }

    /// Kicks a server that does not come back.
    pub(super) async fn tidy(&mut self, census: &Census) {
        let leads = self.leads();
        let Some(status) = self.status.as_ref().filter(|_| leads) else {
            self.absent.clear();
            return;
        };
        let case = census.case(self.database);
        let host = |address| self.database.member_at(address);
        let Some((server, why)) = case.and_then(|case| case.leaver(status, host)) else {
            self.absent.clear();
            return;
        };
        self.absent.retain(|id, _| *id == server.id);
        let since = self
            .absent
            .entry(server.id.clone())
            .or_insert_with(Instant::now);
        let patience = match why {
            Leaving::Gone => ABSENCE,
            Leaving::Replaced => REPLACEMENT,
        };
        if since.elapsed() < patience {
            return;
        }
        let name = self.database.name();
        tracing::warn!(
            database = name,
            server = server.id,
            address = server.address,
            ?why,
            "Kicking"
        );
        if let Err(error) = self.database.kick(&server.id).await {
            tracing::warn!(database = name, %error, "Not kicked");
        }
    }
}
