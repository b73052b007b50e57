//! The loop that records: claims in, writes out, a bounded number at a time.

mod echoes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use controller_index::{Claimant, Index, ObjectName, Rejection, Shared};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kit::lease::Permit;
use kit::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::ledger::{Contents, Decision, Ledger, Refusal, Usages};
use crate::writer::{WriteError, Writer};

use echoes::Echoes;

/// So many writes are under way at once.
const CONCURRENCY: usize = 32;
/// How long a claimant rests whose write failed.
const RETRY: Duration = Duration::from_secs(1);

/// How often addresses are counted.
const COUNT: Duration = Duration::from_secs(1);

/// Records what the ledger decides.
#[derive(Debug)]
pub struct Recorder {
    index: Shared,
    ledger: Ledger,
    writer: Writer,
    waiting: VecDeque<Claimant>,
    under_way: BTreeSet<Claimant>,
    /// Claimants that changed while a write for them was under way.
    again: BTreeSet<Claimant>,
    /// Claimants whose annotations may be outdated. They come after all others: a subnet may have
    /// thousands.
    outdated: BTreeSet<Claimant>,
    echoes: Echoes,
    /// What was last said to a claimant, so that it is said once.
    refused: BTreeMap<Claimant, String>,
    usages: watch::Sender<Usages>,
    contents: watch::Sender<Contents>,
    permit: Permit,
}

/// Ends with the claimant that it was for, if it was for one.
type Write = BoxFuture<'static, Option<Finished>>;

/// A claimant whose write has ended.
struct Finished {
    claimant: Claimant,
    is_annotated: bool,
}

// === impl Recorder ===

impl Recorder {
    pub fn new(index: Shared, writer: Writer) -> Self {
        Self {
            index,
            ledger: Ledger::default(),
            writer,
            waiting: VecDeque::new(),
            under_way: BTreeSet::new(),
            again: BTreeSet::new(),
            outdated: BTreeSet::new(),
            echoes: Echoes::default(),
            refused: BTreeMap::new(),
            usages: watch::Sender::new(Usages::new()),
            contents: watch::Sender::new(Contents::new()),
            permit: Permit::always(),
        }
    }

    /// Nothing is chosen or written without the permit.
    pub fn while_permitted(self, permit: Permit) -> Self {
        Self { permit, ..self }
    }

    /// Follows how full the subnets are.
    pub fn usages(&self) -> watch::Receiver<Usages> {
        self.usages.subscribe()
    }

    /// Follows what the pools have.
    pub fn contents(&self) -> watch::Receiver<Contents> {
        self.contents.subscribe()
    }

    /// Runs until shutdown.
    ///
    /// # Errors
    /// Never; what fails is tried again.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), std::convert::Infallible> {
        let mut intent = self.index.subscribe();
        let mut writes: FuturesUnordered<Write> = FuturesUnordered::new();
        let mut count = interval(COUNT);
        count.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Ok(()) = intent.changed() => {}
                Some(finished) = writes.next() => self.finish(finished),
                postponed = self.echoes.next() => self.waiting.extend(postponed),
                _ = count.tick() => self.count(),
            }
            self.take_claims();
            writes.extend(self.take_rejections());
            self.start_writes(&mut writes);
        }
    }

    fn count(&self) {
        let index = self.index.read();
        if let Some(usages) = self.ledger.usages(&index) {
            self.usages.send_replace(usages);
        }
        if let Some(contents) = self.ledger.pools(&index) {
            self.contents.send_replace(contents);
        }
    }

    fn start_writes(&mut self, writes: &mut FuturesUnordered<Write>) {
        while writes.len() < CONCURRENCY && self.permit.holds() {
            let Some(write) = self.next_write() else {
                return;
            };
            writes.push(write);
        }
    }

    /// Nothing is chosen before every kind has been listed.
    fn take_claims(&mut self) {
        if !self.index.read().is_synced() {
            return;
        }
        let (claims, outdated) = self
            .index
            .take(|index| (self.ledger.update(index), index.take_outdated()));
        self.outdated.extend(outdated);
        for claimant in claims {
            if self.under_way.contains(&claimant) {
                self.again.insert(claimant);
            } else {
                self.waiting.push_back(claimant);
            }
        }
    }

    fn finish(&mut self, finished: Option<Finished>) {
        let Some(Finished {
            claimant,
            is_annotated,
        }) = finished
        else {
            return;
        };
        if is_annotated {
            self.echoes.expect(claimant.clone());
        }
        self.under_way.remove(&claimant);
        if self.again.remove(&claimant) {
            self.waiting.push_back(claimant);
        }
    }

    /// An event for each object that cannot be used.
    fn take_rejections(&self) -> Vec<Write> {
        let rejections = self.index.take(Index::take_rejections);
        let tell = |(object, rejection): (ObjectName, Rejection)| {
            tracing::warn!(%object, problem = %rejection.why, "Passed over an object");
            let write: Write = Box::pin(reject(self.writer.clone(), object, rejection));
            write
        };
        rejections.into_iter().map(tell).collect()
    }

    /// The next decision that needs a write.
    fn next_write(&mut self) -> Option<Write> {
        loop {
            self.waiting.extend(self.ledger.take_retries());
            let next = self.waiting.pop_front();
            let claimant = next.or_else(|| self.outdated.pop_first())?;
            if self.under_way.contains(&claimant) {
                self.again.insert(claimant);
                continue;
            }
            let decision = self.ledger.decide(&self.index.read(), &claimant);
            let is_repeated = matches!(decision, Decision::Annotate(_));
            if is_repeated && self.echoes.postpone(&claimant) {
                continue;
            }
            if self.needs_write(&claimant, &decision) {
                self.under_way.insert(claimant.clone());
                return Some(self.write(claimant, decision));
            }
        }
    }

    fn needs_write(&mut self, claimant: &Claimant, decision: &Decision) -> bool {
        match decision {
            Decision::Refuse(Refusal { message, .. }) | Decision::Disregard { message, .. } => {
                let said = self.refused.insert(claimant.clone(), message.clone());
                said.as_ref() != Some(message)
            }
            Decision::Settled => {
                self.refused.remove(claimant);
                false
            }
            Decision::Record(_)
            | Decision::Annotate(_)
            | Decision::Renew { .. }
            | Decision::Mend { .. }
            | Decision::Locate { .. }
            | Decision::Forget { .. } => {
                self.refused.remove(claimant);
                true
            }
        }
    }

    fn write(&self, claimant: Claimant, decision: Decision) -> Write {
        let (writer, index) = (self.writer.clone(), self.index.clone());
        Box::pin(async move {
            let performed = perform(&writer, &decision).await;
            let is_annotated = performed.is_ok() && annotates(&decision);
            if let Err(error) = performed {
                warn(&claimant, &error);
                kit::backoff::sleep(RETRY).await;
                index.write(|index| index.reconsider(claimant.clone()));
            }
            Some(Finished {
                claimant,
                is_annotated,
            })
        })
    }
}

const fn annotates(decision: &Decision) -> bool {
    matches!(
        decision,
        Decision::Record(_) | Decision::Annotate(_) | Decision::Renew { .. }
    )
}

/// An event that is lost is in the log.
async fn reject(writer: Writer, object: ObjectName, rejection: Rejection) -> Option<Finished> {
    if let Err(error) = writer.reject(&object, &rejection).await {
        let error = kit::error::Chain(&error).to_string();
        tracing::warn!(%object, error, "Could not tell");
    }
    None
}

fn warn(claimant: &Claimant, error: &WriteError) {
    let error = kit::error::Chain(error);
    tracing::warn!(%claimant, %error, "Could not record");
}

async fn perform(writer: &Writer, decision: &Decision) -> Result<(), WriteError> {
    match decision {
        Decision::Settled => Ok(()),
        Decision::Record(recorded) => {
            writer.record(recorded).await?;
            writer.annotate(recorded).await?;
            let (claimant, subnet) = (&recorded.claimant, &recorded.subnet);
            tracing::info!(%claimant, %subnet, addresses = %recorded.addresses, "Recorded");
            Ok(())
        }
        Decision::Annotate(recorded) => writer.annotate(recorded).await,
        Decision::Renew { record, recorded } => {
            writer.renew(record, recorded).await?;
            writer.annotate(recorded).await?;
            let (claimant, addresses) = (&recorded.claimant, &recorded.addresses);
            tracing::info!(%claimant, %addresses, "Inherited the addresses of its predecessor");
            Ok(())
        }
        Decision::Mend {
            record,
            found,
            claimant_uid,
            recorded,
        } => {
            let claimant = &recorded.claimant;
            tracing::warn!(%claimant, ?found, "Mended a record that somebody changed");
            let claimant_uid = claimant_uid.as_deref();
            writer
                .mend(record, found.as_ref(), claimant_uid, recorded)
                .await
        }
        Decision::Disregard { name, uid, message } => {
            tracing::warn!(record = name, problem = message, "Disregarded a record");
            writer.disregard(name, uid, message).await
        }
        Decision::Locate { name, uid, node } => writer.locate(name, uid, node).await,
        Decision::Forget { name, uid } => {
            writer.forget(name, uid).await?;
            tracing::info!(
                record = name,
                "Deleted the record of a claimant that is gone"
            );
            Ok(())
        }
        Decision::Refuse(refusal) => {
            let claimant = &refusal.claimant;
            tracing::warn!(%claimant, problem = refusal.message, "Got no address");
            writer.refuse(refusal).await
        }
    }
}

#[cfg(test)]
mod tests;
