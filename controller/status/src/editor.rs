//! The loop that edits: what objects of users lack is written into them, by level.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use controller_index::{Index, Kept, Shared};
use futures::StreamExt;
use futures::stream;
use kit::lease::Permit;
use kit::shutdown::Shutdown;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::edits;
use crate::failures::Failures;
use crate::writer::{WriteError, Writer};

/// How often edits that failed are tried again, and objects that are to end are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// How often everything is compared, in case a change went unnoticed.
const RESYNC: Duration = Duration::from_mins(10);
/// So many writes are under way at once.
const CONCURRENCY: usize = 16;

/// Keeps what the controller writes into subnets, VPCs and namespaces.
#[derive(Debug)]
pub struct Editor {
    index: Shared,
    writer: Writer,
    permit: Permit,
    due: BTreeSet<Kept>,
    /// Objects that were to end at the last tick. Who chose an address of one before it was to end
    /// has recorded it by the next.
    ending: BTreeSet<Kept>,
    failed: Failures<Kept>,
    compared: Option<Instant>,
}

// === impl Editor ===

impl Editor {
    pub fn new(index: Shared, writer: Writer) -> Self {
        Self {
            index,
            writer,
            permit: Permit::always(),
            due: BTreeSet::new(),
            ending: BTreeSet::new(),
            failed: Failures::default(),
            compared: None,
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
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut intent = self.index.subscribe();
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Ok(()) = intent.changed() => {}
                _ = ticks.tick() => self.tick(),
            }
            let edits = self.edits();
            if shutdown
                .run_until_cancelled(self.perform(edits))
                .await
                .is_none()
            {
                return Ok(());
            }
        }
    }

    fn tick(&mut self) {
        let index = self.index.read();
        self.due.extend(self.failed.keys().cloned());
        if self.compared.is_none_or(|it| it.elapsed() > RESYNC) {
            self.due.extend(index.all_kept());
            self.compared = index.is_synced().then(Instant::now);
        }
        let ending: BTreeSet<Kept> = index.ending().into_iter().collect();
        self.due.extend(ending.intersection(&self.ending).cloned());
        self.ending = ending;
    }

    /// What is to be edited now.
    fn edits(&mut self) -> Vec<Kept> {
        if !self.index.read().is_synced() || !self.permit.holds() {
            return Vec::new();
        }
        self.due.extend(self.index.take(Index::take_kept));
        let due = std::mem::take(&mut self.due);
        let index = self.index.read();
        due.into_iter()
            .filter(|kept| needs_edit(&index, kept))
            .collect()
    }

    async fn perform(&mut self, edits: Vec<Kept>) {
        let edits = edits.into_iter().map(|kept| {
            let (index, writer) = (self.index.clone(), self.writer.clone());
            async move { (edit(&index, &writer, &kept).await, kept) }
        });
        let mut edits = stream::iter(edits).buffer_unordered(CONCURRENCY);
        while let Some((edited, kept)) = edits.next().await {
            self.failed.note(kept, edited);
        }
    }
}

/// By what is known; the object itself is asked before it is written.
fn needs_edit(index: &Index, kept: &Kept) -> bool {
    match kept {
        Kept::Subnet(name) => match index.subnets().get(name) {
            Some(subnet) => edits::of_subnet(index, &subnet.object).is_some(),
            None => index.ending().contains(kept),
        },
        Kept::Vpc(name) => match index.vpcs().get(name) {
            Some(vpc) => edits::of_vpc(index, &vpc.object).is_some(),
            None => index.ending().contains(kept),
        },
        Kept::Namespace(name) => edits::of_namespace(index, name).is_some(),
    }
}

async fn edit(index: &Shared, writer: &Writer, kept: &Kept) -> Result<(), WriteError> {
    match kept {
        Kept::Subnet(name) => {
            let wanted = |object: &api::Subnet| edits::of_subnet(&index.read(), object);
            let lost = edits::lost_namespaces(&index.read(), name);
            writer.edit(name.as_str(), wanted).await?;
            for complaint in lost {
                writer.tell(&complaint).await?;
            }
            Ok(())
        }
        Kept::Vpc(name) => {
            let wanted = |object: &api::Vpc| edits::of_vpc(&index.read(), object);
            writer.edit(name.as_str(), wanted).await
        }
        Kept::Namespace(name) => {
            let patch = edits::of_namespace(&index.read(), name);
            match patch {
                Some(patch) => writer.annotate_namespace(name, &patch).await,
                None => Ok(()),
            }
        }
    }
}
