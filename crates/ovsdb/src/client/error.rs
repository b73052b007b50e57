//! Why a connection or a session ended.

use std::io;

use uuid::Uuid;

use super::codec::FrameError;

/// Why a connection could not be made or was given up. All of them lead to the next attempt.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("an ssl: remote needs a TLS configuration, and none is given")]
    TlsMissing,
    #[error("cannot make the TLS configuration")]
    TlsConfiguration(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("connecting took too long")]
    ConnectTimeout,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the stream is not a sequence of messages")]
    Frame(#[from] FrameError),
    #[error("the server hung up without a word, as one does that wants TLS: is the remote ssl:?")]
    HungUp,
    #[error("cannot read {what}")]
    Json {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("the server is silent")]
    Silent,
    #[error("no reply to {method} in time")]
    Deadline { method: &'static str },
    #[error("a reply to no request, id {id}")]
    UnknownReply { id: u64 },
    #[error("a reply answers fewer operations than were sent")]
    ShortReply,
    #[error("the server refused {method}: {error}")]
    Refused { method: &'static str, error: String },
    #[error("an update of table {table}, which is not monitored")]
    UnknownTable { table: String },
    #[error("an update of column {column} of {table}, which is not monitored")]
    UnknownColumn { table: String, column: String },
    #[error("an update of row {row} in {table} does not fit the replica")]
    Inconsistent { table: String, row: Uuid },
    #[error("the server has no database {database}")]
    NoDatabase { database: String },
    #[error("the server is not connected to its cluster")]
    NotConnected,
    #[error("the server is not the leader of its cluster")]
    NotLeader,
    #[error("the server is behind what we have seen: index {index} of {seen}")]
    Outdated { index: i64, seen: i64 },
    #[error("the server ended the monitor")]
    MonitorCanceled,
}

impl Error {
    /// Makes an error of JSON that could not be read or written.
    pub(super) fn json(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { what, source }
    }

    /// Whether the server does not make sense, so that a whole new copy is better than to go on.
    pub(super) fn is_desync(&self) -> bool {
        matches!(
            self,
            Self::Frame(_)
                | Self::Json { .. }
                | Self::UnknownReply { .. }
                | Self::ShortReply
                | Self::UnknownTable { .. }
                | Self::UnknownColumn { .. }
                | Self::Inconsistent { .. }
        )
    }
}
