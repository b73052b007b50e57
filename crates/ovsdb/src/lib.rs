//! An OVSDB (RFC 7047) client: consistent replicas, guarded transactions, leader following.
//!
//! Without features the crate is data only: values ([`Atom`], [`Datum`], [`Row`]), operations
//! ([`Operation`], [`Condition`], [`Mutation`]) and schemas ([`Schema`]), with their JSON form.
//! The feature `client` adds the connection, the replica and the writer.

#[cfg(feature = "client")]
pub mod client;
mod data;
#[cfg(test)]
mod laws;
mod operation;
mod schema;

#[cfg(feature = "client")]
pub use client::{
    Backoff, Change, ChangeSet, Changes, Client, Columns, Database, Driver, Options, Outcome,
    Rejection, Remote, RemoteError, Replica, Rows, Snapshot, Tls, Transaction, Version,
};
pub use data::{Atom, Datum, Real, Row};
pub use operation::{Clause, Condition, Function, Mutation, Mutator, Operation, Until};
pub use schema::{
    AtomicType, BaseType, ColumnSchema, ColumnType, Max, RefType, Schema, SchemaError, TableSchema,
};
// what a configuration is made of, so that users need not agree on a version by themselves
#[cfg(feature = "client")]
pub use tokio_rustls::rustls;
// the type of row identities, so that users need not agree on a version by themselves
pub use uuid::Uuid;

/// The example of the README, so that it keeps compiling.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
