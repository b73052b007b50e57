//! What a server says about itself in its database `_Server` (ovsdb-server(5)).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    apply::Record,
    connection::{Connection, Patience},
    database::Database,
    error::Error,
    message,
    monitor::{self, Monitored},
    options::{Columns, Options},
    update::{DiffUpdates, Updates},
};

/// The name of the database, and of our monitor of it.
pub(super) const SERVER: &str = "_Server";

/// What we know of the cluster from earlier connections.
#[derive(Debug, Default)]
pub(super) struct History {
    cluster: Option<Uuid>,
    index: i64,
}

/// Our copy of a server's `_Server`.
#[derive(Debug)]
pub(super) struct Server(Database);

impl Server {
    /// Asks a server about itself; `None` if it is too old to tell.
    pub(super) async fn watch(connection: &mut Connection) -> Result<Option<Self>, Error> {
        let patience = Patience::Probing;
        if connection
            .call("set_db_change_aware", [true], patience)
            .await?
            .is_err()
        {
            return Ok(None);
        }
        let schema = monitor::get_schema(connection, SERVER).await?;
        let columns = ["name", "connected", "leader", "cid", "index"];
        let tables = BTreeMap::from([("Database".to_owned(), Columns::only(columns))]);
        let monitored = Monitored::new(&schema, &tables);
        let params = (SERVER, SERVER, monitored.requests());
        let reply = connection.call("monitor_cond", params, patience).await?;
        let reply = reply.map_err(|error| monitor::refused("monitor_cond", &error))?;
        let updates: DiffUpdates = message::read(&reply, "the content of _Server")?;
        let database = Database::load(schema, &monitored, updates.into())?;
        Ok(Some(Self(database)))
    }

    /// Takes note of an update.
    pub(super) fn update(&mut self, updates: Updates) -> Result<(), Error> {
        self.0.check(&updates)?;
        self.0.apply(updates, Record::Nothing);
        Ok(())
    }

    /// Whether the server is one to stay with. A cluster that is not the known one starts a new
    /// history.
    pub(super) fn judge(&self, options: &Options, history: &mut History) -> Result<(), Error> {
        let mut databases = self.0.table("Database").values();
        let Some(row) = databases.find(|row| row.str("name") == options.database) else {
            return Err(Error::NoDatabase {
                database: options.database.clone(),
            });
        };
        if !row.datum("connected").as_bool().unwrap_or_default() {
            return Err(Error::NotConnected);
        }
        if options.leader_only && !row.datum("leader").as_bool().unwrap_or_default() {
            return Err(Error::NotLeader);
        }
        let cluster = row.datum("cid").as_uuid();
        let index = row.datum("index").as_integer().unwrap_or_default();
        if cluster != history.cluster {
            *history = History { cluster, index };
        } else if index < history.index {
            return Err(Error::Outdated {
                index,
                seen: history.index,
            });
        }
        history.index = index;
        Ok(())
    }
}
