//! Step 3, sync: the desired rows of dirty owners against the replica, committed in batches.
//!
//! ```text
//! dirty owners --plan--> desired --+
//!                                  +-- diff --> changes --> one transaction --> Outcome
//! replica --change sets--> View ---+
//! ```
//!
//! This is the only writer of the northbound database, and of the chassis of nodes that are gone in
//! the southbound one ([`chassis`]). It never asks Kubernetes for anything: it
//! reads the index.

pub mod adoption;
mod canary;
pub mod chassis;
mod metrics;
mod run;

pub use canary::{Canary, Mute};
pub use metrics::Metrics;
pub use run::Sync;

use ovn::{View, managed};
use ovsdb::{Client, Columns, Options, Remote};

/// The name of the northbound database on its servers.
pub const DATABASE: &str = ovn::nb::DATABASE;

/// A client's options: the managed tables and columns, and those of the canary.
pub fn options(remotes: Vec<Remote>) -> Options {
    let options = Options::new(remotes, DATABASE).leader_only();
    let managed = managed::TABLES.iter().fold(options, |options, managed| {
        let columns = managed.columns.iter().chain(managed.children).copied();
        options.table(managed.table.name, Columns::only(columns))
    });
    managed.table(canary::TABLE, Columns::only([canary::COLUMN]))
}

/// The rows of the database as they are now; `None` before all have been read once.
pub fn view(client: &Client) -> Option<View> {
    let mut view = View::default();
    let set = client.replica().changes().try_next()?;
    let rows = set
        .iter()
        .map(|(table, uuid, change)| (table, uuid, change.new.as_ref()));
    view.update(rows);
    Some(view)
}
