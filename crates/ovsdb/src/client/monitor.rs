//! Monitors: what to ask of a server, and the methods by which servers of all ages tell.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    connection::{Connection, Patience},
    error::Error,
    message,
    options::Columns,
    update::{DiffUpdates, FullUpdates, Updates},
};
use crate::schema::Schema;

/// The name of our monitor of the database.
pub(super) const MONITOR: &str = "replica";

/// The tables and columns to ask the server for: those wanted that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Monitored(BTreeMap<String, Vec<String>>);

impl Monitored {
    pub(super) fn new(schema: &Schema, wanted: &BTreeMap<String, Columns>) -> Self {
        let present = |(table, wanted): (&String, &Columns)| {
            let columns = schema.table(table)?.columns.keys();
            let columns = columns
                .filter(|column| wanted.includes(column))
                .cloned()
                .collect();
            Some((table.clone(), columns))
        };
        Self(wanted.iter().filter_map(present).collect())
    }

    /// The tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The `<monitor-requests>` for them.
    pub(super) fn requests(&self) -> BTreeMap<&str, [TableRequest<'_>; 1]> {
        let tables = self.0.iter();
        tables
            .map(|(table, columns)| (table.as_str(), [TableRequest { columns }]))
            .collect()
    }
}

/// What to ask of one table.
#[derive(Serialize)]
pub(super) struct TableRequest<'a> {
    columns: &'a [String],
}

/// The first answer of a monitor.
pub(super) struct Start {
    /// Whether the updates start from the transaction that we named, and not from nothing.
    pub(super) found: bool,
    /// Where a later session can go on.
    pub(super) transaction: Option<Uuid>,
    /// The rows, or what happened to them.
    pub(super) updates: Updates,
}

/// Asks for the schema of a database.
pub(super) async fn get_schema(
    connection: &mut Connection,
    database: &str,
) -> Result<Arc<Schema>, Error> {
    match connection
        .call("get_schema", [database], Patience::Probing)
        .await?
    {
        Ok(schema) => Ok(Arc::new(message::read(&schema, "the schema")?)),
        Err(error) => Err(refused("get_schema", &error)),
    }
}

/// Starts to follow tables by the best method that the server knows, from a transaction whose
/// result we have, or from nothing with the UUID of zeros.
pub(super) async fn start(
    connection: &mut Connection,
    database: &str,
    monitored: &Monitored,
    point: Uuid,
) -> Result<Start, Error> {
    let tables = monitored.requests();
    let since = (database, MONITOR, &tables, point);
    let plain = (database, MONITOR, &tables);
    if let Some(reply) = attempt(connection, "monitor_cond_since", since).await? {
        let (found, transaction, updates): (_, Uuid, DiffUpdates) = read(&reply)?;
        // servers without a history name the transaction of zeros
        let transaction = (!transaction.is_nil()).then_some(transaction);
        return Ok(Start {
            found,
            transaction,
            updates: updates.into(),
        });
    }
    let updates = match attempt(connection, "monitor_cond", plain).await? {
        Some(reply) => read::<DiffUpdates>(&reply)?.into(),
        None => match connection
            .call("monitor", plain, Patience::Deadline)
            .await?
        {
            Ok(reply) => read::<FullUpdates>(&reply)?.into(),
            Err(error) => return Err(refused("monitor", &error)),
        },
    };
    Ok(Start {
        found: false,
        transaction: None,
        updates,
    })
}

fn read<'a, T: Deserialize<'a>>(reply: &'a Bytes) -> Result<T, Error> {
    message::read(reply, "the first copy")
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

/// The error of a server that does not do what was asked.
pub(super) fn refused(method: &'static str, error: &Bytes) -> Error {
    Error::Refused {
        method,
        error: String::from_utf8_lossy(error).into_owned(),
    }
}
