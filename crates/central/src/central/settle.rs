//! Files before servers: each database gets a file of the recorded cluster.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use kit::backoff::sleep;
use tokio::time::Instant;

use super::{AGAIN, Census, Pod, Site};
use crate::{
    claims::Claim,
    database::{Database, Found},
    pods::Word,
    verdict::{Case, Course},
};

// === impl Census ===

impl Census {
    /// What to do with a file that is not of the recorded cluster and of our address.
    fn course(&self, database: &Database, waited: Duration) -> Course {
        self.case(database)
            .map_or(Course::Make, |case| case.course(waited))
    }

    /// `None` where no cluster is recorded.
    pub(super) fn case(&self, database: &Database) -> Option<Case<'_>> {
        Some(Case {
            database: database.name(),
            cluster: self.record.cluster(database.name())?,
            generation: self.record.generation,
            peers: &self.peers,
        })
    }

    /// Whether the file is of the recorded cluster.
    fn is_current(&self, database: &Database, found: &Found) -> bool {
        let recorded = self.record.cluster(database.name());
        recorded.is_some() && recorded == found.cluster()
    }
}

// === impl Site ===

impl Site {
    /// Leaves a file of the recorded cluster for each database, and returns the generation; 0 where
    /// it is not known. An API server that is needed is waited for.
    ///
    /// # Errors
    /// A file cannot be read or made.
    pub(super) async fn settle(&self) -> Result<u64> {
        self.set_spoiled_aside().await?;
        let Some(pod) = &self.pod else {
            self.prepare().await?;
            return Ok(0);
        };
        let begun = Instant::now();
        loop {
            let (is_settled, generation) = match pod.census().await {
                Ok(census) => {
                    let waited = begun.elapsed();
                    (
                        self.step(pod, &census, waited).await?,
                        census.record.generation,
                    )
                }
                Err(error) => (self.use_as_they_are(&error).await?, 0),
            };
            if is_settled {
                return Ok(generation);
            }
            sleep(AGAIN).await;
        }
    }

    /// Gives a new generation to a database whose cluster cannot go on, with what we have of it.
    ///
    /// # Errors
    /// The API server does not answer, or the file cannot be made.
    pub(super) async fn renew(&self, database: &Database, own: &Claim) -> Result<()> {
        let Some(pod) = &self.pod else {
            return Ok(());
        };
        let tenure = pod.generations.acquire().await;
        let renewed = renew(pod, database, own).await;
        pod.generations.release(&tenure).await;
        renewed
    }

    /// One look at all files; whether they are as they should be.
    async fn step(&self, pod: &Pod, census: &Census, waited: Duration) -> Result<bool> {
        let mut word = Word::default();
        let (mut settled, mut makes) = (true, false);
        for database in &self.databases {
            let found = database.look().await;
            let claim = Claim::of_file(&found, census.record.generation);
            word.claims.insert(database.name(), claim);
            if found.is_ours() && census.is_current(database, &found) {
                continue;
            }
            settled = false;
            match census.course(database, waited) {
                Course::Make => makes = true,
                Course::Wait => {}
                Course::Join(hosts) => {
                    let cluster = census.record.cluster(database.name()).unwrap_or_default();
                    tracing::info!(database = database.name(), cluster, ?hosts, "Joining");
                    database.remove()?;
                    database.join(cluster, &hosts).await?;
                }
            }
        }
        if settled {
            return Ok(true);
        }
        if let Err(error) = pod.pods.say(&word).await {
            tracing::warn!(error = format!("{error:#}"), "Nobody is told");
        }
        let generation = census.record.generation;
        if makes && let Err(error) = self.make(pod, generation, waited).await {
            tracing::warn!(error = format!("{error:#}"), "Not made");
        }
        Ok(false)
    }

    /// Makes what nobody has, with the Lease in our hands.
    async fn make(&self, pod: &Pod, generation: u64, waited: Duration) -> Result<()> {
        // whoever made it before us lets us go on at once
        let tenure = tokio::select! {
            tenure = pod.generations.acquire() => tenure,
            () = pod.generations.changed(generation) => return Ok(()),
        };
        let made = self.make_held(pod, waited).await;
        pod.generations.release(&tenure).await;
        made
    }

    async fn make_held(&self, pod: &Pod, waited: Duration) -> Result<()> {
        let census = pod.census().await?;
        let mut made = BTreeMap::new();
        for database in &self.databases {
            let found = database.look().await;
            let is_current = census.is_current(database, &found);
            if (found.is_ours() && is_current) || census.course(database, waited) != Course::Make {
                continue;
            }
            if census.record.cluster(database.name()).is_none() || is_current {
                database.prepare().await?;
            } else {
                begin(database, &found).await?;
            }
            if let Some(cluster) = database.look().await.cluster() {
                made.insert(database.name(), cluster.to_owned());
            }
        }
        if made.is_empty() {
            return Ok(());
        }
        pod.generations.raise(census.record, made).await
    }

    /// Without an API server the files are good enough, if there are some.
    async fn use_as_they_are(&self, error: &anyhow::Error) -> Result<bool> {
        tracing::warn!(error = format!("{error:#}"), "No answer");
        let has_files = self.databases.iter().all(Database::exists);
        if has_files {
            tracing::warn!("Using the databases as they are");
            self.prepare().await?;
        }
        Ok(has_files)
    }

    /// Makes the files that there are not, and moves those of another address.
    async fn prepare(&self) -> Result<()> {
        for database in &self.databases {
            database.prepare().await?;
        }
        Ok(())
    }

    async fn set_spoiled_aside(&self) -> Result<()> {
        for database in &self.databases {
            if let Found::Spoiled(why) = database.look().await {
                let name = database.name();
                tracing::error!(database = name, why, "The file is spoiled and set aside");
                database.set_aside()?;
            }
        }
        Ok(())
    }
}

async fn begin(database: &Database, found: &Found) -> Result<()> {
    let (name, had) = (database.name(), found.cluster());
    tracing::warn!(
        database = name,
        had,
        "Made anew: nobody has what was in use"
    );
    database.remove()?;
    Ok(database.begin().await?)
}

/// Renews only what is still recorded and still lost.
async fn renew(pod: &Pod, database: &Database, own: &Claim) -> Result<()> {
    let census = pod.census().await?;
    let found = database.look().await;
    if !census.is_current(database, &found) {
        return Ok(());
    }
    let case = census.case(database);
    if !case.is_some_and(|case| case.is_lost(Some(own))) {
        return Ok(());
    }
    tracing::warn!(
        database = database.name(),
        "Goes on alone: most members are gone"
    );
    database.renew().await?;
    let cluster = database.look().await.cluster().map(str::to_owned);
    let made = cluster.map(|cluster| (database.name(), cluster));
    pod.generations
        .raise(census.record, made.into_iter().collect())
        .await
}
