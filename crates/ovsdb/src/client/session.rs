//! A session: a connection whose server suits us and whose database we follow.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde::Serialize;
use tracing::debug;
use uuid::Uuid;

use super::{
    connection::{Connection, Patience},
    database::{Database, Monitored},
    error::Error,
    message::{self, Notification},
    options::Options,
    remote::Remote,
    replica::Publisher,
    server::{History, SERVER, Server},
    update::{DiffUpdates, FullUpdates, Updates},
};
use crate::schema::Schema;

/// The name of our monitor.
const MONITOR: &str = "replica";

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
        let schema = get_schema(&mut connection, &options.database).await?;
        let monitored = Monitored::new(&schema, &options.tables);
        let point = memory.resume_point(&schema, &monitored);
        let start = monitor(&mut connection, &options.database, &monitored, point).await?;
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

async fn get_schema(connection: &mut Connection, database: &str) -> Result<Arc<Schema>, Error> {
    match connection
        .call("get_schema", [database], Patience::Probing)
        .await?
    {
        Ok(schema) => Ok(Arc::new(message::read(&schema, "the schema")?)),
        Err(error) => Err(refused("get_schema", &error)),
    }
}

fn refused(method: &'static str, error: &Bytes) -> Error {
    Error::Refused {
        method,
        error: String::from_utf8_lossy(error).into_owned(),
    }
}

/// The first answer of a monitor.
struct Start {
    /// Whether the updates start from the transaction that we named, and not from nothing.
    found: bool,
    /// Where a later session can go on.
    transaction: Option<Uuid>,
    updates: Updates,
}

/// Starts to follow the tables, by the best method that the server knows.
async fn monitor(
    connection: &mut Connection,
    database: &str,
    monitored: &Monitored,
    point: Uuid,
) -> Result<Start, Error> {
    const WHAT: &str = "the first copy";
    let tables = requests(monitored);

    let since = "monitor_cond_since";
    if let Some(reply) = attempt(connection, since, (database, MONITOR, &tables, point)).await? {
        let (found, transaction, updates): (_, Uuid, DiffUpdates) = message::read(&reply, WHAT)?;
        // servers without a history name the transaction of zeros
        let transaction = (!transaction.is_nil()).then_some(transaction);
        return Ok(Start {
            found,
            transaction,
            updates: updates.into(),
        });
    }
    let params = (database, MONITOR, &tables);
    if let Some(reply) = attempt(connection, "monitor_cond", params).await? {
        let updates: DiffUpdates = message::read(&reply, WHAT)?;
        return Ok(Start {
            found: false,
            transaction: None,
            updates: updates.into(),
        });
    }
    match connection
        .call("monitor", params, Patience::Deadline)
        .await?
    {
        Ok(reply) => {
            let updates: FullUpdates = message::read(&reply, WHAT)?;
            Ok(Start {
                found: false,
                transaction: None,
                updates: updates.into(),
            })
        }
        Err(error) => Err(refused("monitor", &error)),
    }
}

/// A call of a method that the server may not know; then `None`.
async fn attempt(
    connection: &mut Connection,
    method: &'static str,
    params: impl Serialize,
) -> Result<Option<Bytes>, Error> {
    match connection.call(method, params, Patience::Deadline).await? {
        Ok(reply) => Ok(Some(reply)),
        Err(error) if String::from_utf8_lossy(&error).contains("unknown method") => Ok(None),
        Err(error) => Err(refused(method, &error)),
    }
}

/// What to ask of one table.
#[derive(Serialize)]
pub(super) struct TableRequest<'a> {
    columns: &'a [String],
}

/// The `<monitor-requests>` for tables.
pub(super) fn requests(monitored: &Monitored) -> BTreeMap<&str, [TableRequest<'_>; 1]> {
    monitored
        .columns()
        .map(|(table, columns)| (table, [TableRequest { columns }]))
        .collect()
}
