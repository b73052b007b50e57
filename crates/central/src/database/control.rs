//! What a running server of a database is asked and told.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Database, DatabaseError};
use crate::{
    program::{Program, ProgramError},
    raft::Status,
    unixctl,
};

/// By which a row is changed when the log of a database has to grow.
const MARK: &str = "kube-ovn-restored";

impl Database {
    /// What the server says of itself and its cluster.
    ///
    /// # Errors
    /// It does not answer, or serves no database.
    pub(crate) async fn status(&self) -> Result<Status, DatabaseError> {
        let text = self.tell("cluster/status", &[]).await?;
        Status::parse(&text).ok_or(DatabaseError::Answer(text))
    }

    /// Removes a member from the cluster; only its leader can.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn kick(&self, server: &str) -> Result<(), DatabaseError> {
        self.tell("cluster/kick", &[server]).await.map(drop)
    }

    /// Has the server write its file anew, even where somebody has removed it. It does so only when
    /// something was written since it did last.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn rewrite(&self) -> Result<(), DatabaseError> {
        self.tell("ovsdb-server/compact", &[]).await.map(drop)
    }

    /// Writes something without meaning.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn touch(&self) -> Result<(), ProgramError> {
        let marks = json!(["map", [[MARK, Uuid::new_v4().to_string()]]]);
        let keys = json!(["set", [MARK]]);
        let transaction = json!([self.kind.database, {
            "op": "mutate",
            "table": self.kind.global,
            "where": [],
            "mutations": [["external_ids", "delete", keys], ["external_ids", "insert", marks]],
        }]);
        let transact = Program::new("ovsdb-client").args(["--timeout=5", "--no-leader-only"]);
        let transact = transact.arg("transact").arg(self.remote().to_string());
        transact
            .arg(transaction.to_string())
            .finish()
            .await
            .map(drop)
    }

    /// Lets other hosts reach the server.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn listen(&self) -> Result<(), DatabaseError> {
        let arguments = [self.listen.as_str()];
        unixctl::tell(&self.control(), "ovsdb-server/add-remote", &arguments).await?;
        Ok(())
    }

    /// How much northd has made of what the controller wants.
    ///
    /// # Errors
    /// The server does not answer, or has no such table.
    pub(crate) async fn compiled(&self) -> Result<usize, DatabaseError> {
        let query = json!([self.kind.database, {
            "op": "select",
            "table": "Port_Binding",
            "where": [],
            "columns": ["_uuid"],
        }]);
        let client = Program::new("ovsdb-client").args(["--timeout=5", "--no-leader-only"]);
        let client = client.arg("query").arg(self.remote().to_string());
        let answer = client.arg(query.to_string()).finish().await?;
        let rows: Option<Value> = serde_json::from_str(&answer).ok();
        let rows = rows.and_then(|answer| Some(answer.get(0)?.get("rows")?.as_array()?.len()));
        rows.ok_or(DatabaseError::Answer(answer))
    }

    /// Brings the database that is served to the schema of the programs, which only a server can do
    /// to a cluster.
    ///
    /// # Errors
    /// The server refuses, as it does when content would be lost.
    pub(crate) async fn convert(&self) -> Result<(), DatabaseError> {
        let client = |command: &str| {
            Program::new("ovsdb-client")
                .arg("--timeout=60")
                .arg(command)
                .arg(self.remote().to_string())
                .arg(&self.schema)
        };
        if client("needs-conversion").finish().await? == "yes" {
            tracing::info!(
                database = self.kind.name,
                "Converting to the schema of this version"
            );
            client("convert").finish().await?;
        }
        Ok(())
    }

    async fn tell(&self, command: &str, arguments: &[&str]) -> Result<String, DatabaseError> {
        let arguments = [&[self.kind.database], arguments].concat();
        Ok(unixctl::tell(&self.control(), command, &arguments).await?)
    }
}
