//! A session: a connection whose server suits us and whose database we follow.

use std::{borrow::Cow, sync::Arc};

use tracing::debug;
use uuid::Uuid;

use super::{
    connection::Connection,
    database::Database,
    error::Error,
    message::{self, Notification},
    monitor::{self, MONITOR, Monitored},
    options::Options,
    remote::Remote,
    replica::Publisher,
    server::{History, SERVER, Server},
    update::{DiffUpdates, FullUpdates, Updates},
};
use crate::schema::Schema;

/// What one session leaves to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    history: History,
    resume: Option<Resume>,
}

/// Where to go on: only with a server that has the same to offer.
#[derive(Debug)]
struct Resume {
    transaction: Uuid,
    schema: Arc<Schema>,
    monitored: Monitored,
}

impl Memory {
    /// Makes the next session start from a whole copy.
    pub(super) fn forget(&mut self) {
        self.resume = None;
    }

    fn resume_point(&self, schema: &Schema, monitored: &Monitored) -> Uuid {
        let same = |resume: &&Resume| *resume.schema == *schema && resume.monitored == *monitored;
        self.resume
            .as_ref()
            .filter(same)
            .map_or(Uuid::nil(), |resume| resume.transaction)
    }
}

pub(super) struct Session {
    pub(super) connection: Connection,
    server: Option<Server>,
}

impl Session {
    /// Connects to a remote, checks that it suits us, and brings the replica up to date.
    pub(super) async fn open(
        remote: &Remote,
        options: &Options,
        memory: &mut Memory,
        publisher: &Publisher,
    ) -> Result<Self, Error> {
        let mut connection = Connection::open(remote, options).await?;
        let server = Server::watch(&mut connection).await?;
        if let Some(server) = &server {
            server.judge(options, &mut memory.history)?;
        }
        let schema = monitor::get_schema(&mut connection, &options.database).await?;
        let monitored = Monitored::new(&schema, &options.tables);
        let point = memory.resume_point(&schema, &monitored);
        let start = monitor::start(&mut connection, &options.database, &monitored, point).await?;
        if start.found {
            debug!(%remote, "Resumed");
            publisher.resume(start.updates)?;
        } else {
            let database = Database::load(Arc::clone(&schema), &monitored, start.updates)?;
            publisher.restart(database);
        }
        let resume = |transaction| Resume {
            transaction,
            schema,
            monitored,
        };
        memory.resume = start.transaction.map(resume);
        Ok(Self { connection, server })
    }

    /// Takes note of news.
    pub(super) fn notice(
        &mut self,
        news: &Notification,
        options: &Options,
        memory: &mut Memory,
        publisher: &Publisher,
    ) -> Result<(), Error> {
        let Some(update) = Update::read(news)? else {
            return Ok(());
        };
        match (update.monitor.as_ref(), &mut self.server) {
            (SERVER, Some(server)) => {
                server.update(update.updates)?;
                return server.judge(options, &mut memory.history);
            }
            (MONITOR, _) => {}
            _ => return Ok(()),
        }
        publisher.advance(update.updates)?;
        if let (Some(resume), Some(transaction)) = (&mut memory.resume, update.transaction) {
            resume.transaction = transaction;
        }
        Ok(())
    }
}

/// One notification of changes.
struct Update<'a> {
    monitor: Cow<'a, str>,
    /// The transaction, if the server says which.
    transaction: Option<Uuid>,
    updates: Updates,
}

impl<'a> Update<'a> {
    /// Reads an update; `None` for news about something else.
    fn read(news: &'a Notification) -> Result<Option<Self>, Error> {
        const WHAT: &str = "an update";
        let params = &news.params;
        let (monitor, transaction, updates) = match news.method.as_str() {
            "update3" => {
                let (monitor, transaction, updates): (_, _, DiffUpdates) =
                    message::read(params, WHAT)?;
                (monitor, Some(transaction), updates.into())
            }
            "update2" => {
                let (monitor, updates): (_, DiffUpdates) = message::read(params, WHAT)?;
                (monitor, None, updates.into())
            }
            "update" => {
                let (monitor, updates): (_, FullUpdates) = message::read(params, WHAT)?;
                (monitor, None, updates.into())
            }
            "monitor_canceled" => return Err(Error::MonitorCanceled),
            method => {
                debug!(method, "Ignored a notification");
                return Ok(None);
            }
        };
        Ok(Some(Self {
            monitor,
            transaction,
            updates,
        }))
    }
}
