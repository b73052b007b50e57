//! The loop: wait, plan, diff, commit, settle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use controller_index::{Index, Problem, Shared, Verdict, Verdicts};
use controller_plan::{Inputs, Planned, plan};
use kit::lease::Permit;
use kit::readiness::Condition as Ready;
use kit::shutdown::Shutdown;
use model::Owner;
use ovn::{Change, View, diff, operations};
use ovsdb::{ChangeSet, Changes, Client, Outcome, Rejection, Transaction, Uuid};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::adoption;
use crate::metrics::Metrics;

/// About so many changes go into one transaction (the knee of the cost curve of `ovsdb-server`).
const BATCH: usize = 100;
/// So many owners without a change are compared before others get the index, and a thread.
const GLANCE: usize = 200;
/// For each change of a transaction, how long the next one waits for company unless it is full: a
/// transaction costs northd more than the changes in it (all its logical flows, where it brings the
/// first pod of a subnet to a node). A few changes now and then wait for nobody; of more than 200 a
/// second, those of [`LONGEST_REST`] go together.
const REST: Duration = Duration::from_millis(5);
const LONGEST_REST: Duration = Duration::from_millis(50);
/// How soon owners are tried again whose transaction failed for a reason that may pass.
const RETRY: Duration = Duration::from_secs(1);
/// How often everything is compared, in case a change went unnoticed.
const RESYNC: Duration = Duration::from_mins(10);

/// Keeps the northbound database equal to the plan.
#[derive(Debug)]
pub struct Sync {
    index: Shared,
    client: Client,
    changes: Changes,
    view: View,
    dirty: BTreeSet<Owner>,
    /// Owners whose last transaction failed; they become dirty again with the next tick.
    failed: BTreeSet<Owner>,
    rejected: BTreeMap<Owner, String>,
    problems: BTreeMap<Owner, Vec<Problem>>,
    /// Owners that nothing is planned for any more.
    vanished: BTreeSet<Owner>,
    verdicts: Verdicts,
    metrics: Metrics,
    settled: Ready,
    permit: Permit,
    stage: Stage,
    /// When a transaction that is not full may be committed.
    rested: Instant,
}

/// How far the comparison of everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Intent or replica is not complete: nothing may be pruned.
    Waiting,
    /// There are routes of Kube-OVN: they go when all is there that takes their place.
    Adopting,
    Running,
}

/// Changes of several owners for one transaction.
#[derive(Debug, Default)]
struct Batch {
    owners: BTreeSet<Owner>,
    changes: Vec<Change>,
}

// === impl Stage ===

impl Stage {
    /// About so many changes go into one transaction.
    const fn batch(self) -> usize {
        match self {
            Self::Waiting | Self::Running => BATCH,
            Self::Adopting => usize::MAX,
        }
    }
}

// === impl Batch ===

impl Batch {
    fn is_glance(&self) -> bool {
        self.changes.is_empty() && self.owners.len() >= GLANCE
    }
}

// === impl Sync ===

impl Sync {
    pub fn new(
        index: Shared,
        client: Client,
        verdicts: Verdicts,
        metrics: Metrics,
        settled: Ready,
    ) -> Self {
        Self {
            changes: client.replica().changes(),
            index,
            client,
            view: View::default(),
            dirty: BTreeSet::new(),
            failed: BTreeSet::new(),
            rejected: BTreeMap::new(),
            problems: BTreeMap::new(),
            vanished: BTreeSet::new(),
            verdicts,
            metrics,
            settled,
            permit: Permit::always(),
            stage: Stage::Waiting,
            rested: Instant::now(),
        }
    }

    /// Nothing is written without the permit.
    pub fn while_permitted(self, permit: Permit) -> Self {
        Self { permit, ..self }
    }

    /// Runs until shutdown.
    ///
    /// # Errors
    /// Never; what fails is tried again.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), std::convert::Infallible> {
        let mut intent = self.index.subscribe();
        let mut retry = interval(RETRY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut resync = interval(RESYNC);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(set) = self.changes.next() => self.absorb(&set),
                Ok(()) = intent.changed() => {}
                _ = retry.tick() => self.dirty.append(&mut self.failed),
                _ = resync.tick() => self.dirty_all(),
                () = sleep_until(self.rested), if self.is_resting() => {}
            }
            self.start_when_complete();
            if self.stage != Stage::Waiting {
                self.reconcile().await;
            }
        }
    }

    /// Whether there are changes that wait for others.
    fn is_resting(&self) -> bool {
        self.stage == Stage::Running && !self.dirty.is_empty()
    }

    /// Takes over what changed in the database; whoever is concerned is compared again.
    fn absorb(&mut self, set: &ChangeSet) {
        let rows = set
            .iter()
            .map(|(table, uuid, change)| (table, uuid, change.new.as_ref()));
        let owners = self.view.update(rows);
        self.dirty.extend(owners);
    }

    fn start_when_complete(&mut self) {
        let complete = self.client.replica().version().epoch > 0 && self.index.read().is_synced();
        if self.stage == Stage::Waiting && complete {
            self.drain();
            self.stage = self.first_stage();
            self.dirty_all();
        }
    }

    fn first_stage(&self) -> Stage {
        let routes = adoption::legacy_routes(&self.view, self.index.read().inputs());
        if routes.is_empty() {
            return Stage::Running;
        }
        tracing::info!(routes = routes.len(), "Adopting a database of Kube-OVN");
        Stage::Adopting
    }

    /// Everyone who has an input or a row.
    fn dirty_all(&mut self) {
        self.dirty.extend(self.index.read().inputs().owners());
        self.dirty.extend(self.view.owners().cloned());
    }

    fn drain(&mut self) {
        while let Some(set) = self.changes.try_next() {
            self.absorb(&set);
        }
    }

    async fn reconcile(&mut self) {
        loop {
            self.drain();
            let Some(batch) = self.next_batch() else {
                return;
            };
            if batch.owners.is_empty() {
                break;
            }
            self.commit(batch).await;
        }
        match self.failed.first() {
            None => {
                self.stage = Stage::Running;
                self.settled.met();
            }
            Some(owner) => self.settled.unmet(format!("{owner} is not committed")),
        }
    }

    /// Plans dirty owners, parents first, until their changes fill a transaction, or until many have
    /// none. All of it from one state of the index, so that no row needs a row of an owner that is
    /// not known to be dirty.
    /// `None` while what there is waits for more.
    fn next_batch(&mut self) -> Option<Batch> {
        let shared = self.index.clone();
        let (edited, index) = shared.take_and_read(Index::take_dirty);
        self.dirty.extend(edited);
        self.metrics
            .dirty
            .set(i64::try_from(self.dirty.len()).unwrap_or(i64::MAX));
        if (1..BATCH).contains(&self.dirty.len()) && Instant::now() < self.rested {
            return None;
        }
        let mut batch = Batch::default();
        while batch.changes.len() < self.stage.batch() && !batch.is_glance() {
            let Some(owner) = self.dirty.pop_first() else {
                break;
            };
            let changes = self.compare(index.inputs(), &owner);
            batch.changes.extend(changes);
            batch.owners.insert(owner);
        }
        Some(batch)
    }

    fn compare(&mut self, inputs: &Inputs, owner: &Owner) -> Vec<Change> {
        let started = Instant::now();
        let Planned { rows, problems } = plan(inputs, owner);
        let actual = adoption::actual(&self.view, inputs, owner, &rows);
        let changes = diff(&rows, &actual);
        if rows.is_empty() && problems.is_empty() {
            self.vanished.insert(owner.clone());
        }
        self.metrics.planned(owner, started.elapsed().as_secs_f64());
        self.note(owner, problems);
        changes
    }

    /// Problems are logged when they come, not each time they are met again.
    fn note(&mut self, owner: &Owner, problems: Vec<Problem>) {
        let known = self.problems.remove(owner).unwrap_or_default();
        for Problem {
            reason, message, ..
        } in problems.iter().filter(|it| !known.contains(it))
        {
            tracing::warn!(%owner, reason, problem = message, "Found a problem");
        }
        if !problems.is_empty() {
            self.problems.insert(owner.clone(), problems);
        }
    }

    async fn commit(&mut self, batch: Batch) {
        if batch.changes.is_empty() {
            self.tell(batch.owners);
            return yield_now().await;
        }
        let outcome = self.transact(&batch.changes).await;
        let changes = u32::try_from(batch.changes.len()).unwrap_or(u32::MAX);
        self.rested = Instant::now() + REST.saturating_mul(changes).min(LONGEST_REST);
        match outcome {
            Outcome::Unchanged | Outcome::Committed => self.settle(batch),
            Outcome::Stale | Outcome::Lost => self.failed.extend(batch.owners),
            Outcome::Rejected(_) if batch.owners.len() > 1 => self.commit_singly(batch).await,
            Outcome::Rejected(rejection) => {
                for owner in batch.owners {
                    self.reject(owner, &rejection);
                }
            }
        }
    }

    /// Logged when it comes, not each time that it is tried again.
    fn reject(&mut self, owner: Owner, rejection: &Rejection) {
        let text = rejection.to_string();
        if self.rejected.get(&owner) != Some(&text) {
            tracing::error!(%owner, rejection = text, "Rows were rejected");
            self.rejected.insert(owner.clone(), text);
        }
        self.tell([owner.clone()]);
        self.failed.insert(owner);
    }

    fn tell(&mut self, owners: impl IntoIterator<Item = Owner>) {
        for owner in owners {
            let verdict = Verdict {
                problems: self.problems.get(&owner).cloned().unwrap_or_default(),
                rejection: self.rejected.get(&owner).cloned(),
            };
            if self.vanished.remove(&owner) {
                self.verdicts.forget(&owner);
            } else {
                self.verdicts.tell(owner, verdict);
            }
        }
    }

    /// One bad owner must not keep its neighbours from being committed.
    async fn commit_singly(&mut self, batch: Batch) {
        for owner in batch.owners {
            self.drain();
            let shared = self.index.clone();
            let changes = self.compare(shared.read().inputs(), &owner);
            let single = Batch {
                owners: BTreeSet::from([owner]),
                changes,
            };
            Box::pin(self.commit(single)).await;
        }
    }

    async fn transact(&self, changes: &[Change]) -> Outcome {
        if !self.permit.holds() {
            return Outcome::Stale;
        }
        let outcome = match operations(changes, &self.view, Uuid::new_v4) {
            Ok(operations) => {
                let mut transaction = Transaction::new();
                for operation in operations {
                    transaction.push(operation);
                }
                self.client.transact(transaction).await
            }
            Err(unresolved) => Outcome::Rejected(Rejection {
                operation: None,
                error: "unresolved reference".to_owned(),
                details: unresolved.to_string(),
            }),
        };
        self.metrics.committed(&outcome);
        outcome
    }

    fn settle(&mut self, batch: Batch) {
        for owner in &batch.owners {
            self.rejected.remove(owner);
        }
        tracing::info!(
            owners = batch.owners.len(),
            changes = batch.changes.len(),
            "Committed to the northbound database"
        );
        self.tell(batch.owners);
    }
}
