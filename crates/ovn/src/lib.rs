//! Rows of OVN's and Open vSwitch's databases, who owns them, and how two sets of them differ.
//!
//! ```text
//! plan -> Rows (desired) --+
//!                          +-- diff -> Vec<Change> -- operations -> one OVSDB transaction
//! replica -> View (actual) +
//! ```
//!
//! Rows name each other by meaning ([`RowKey`]); UUIDs appear only in [`View`] and
//! [`operations()`]. Nothing here talks to a server.

pub mod acl;
pub mod column;
pub mod diff;
pub mod expr;
mod few;
#[rustfmt::skip]
pub mod r#gen;
pub mod key;
pub mod managed;
pub mod operations;
pub mod owned;
pub mod row;
pub mod view;

pub use column::{Column, Table};
pub use diff::{Change, Update, apply, diff};
pub use r#gen::{nb, sb, vswitch};
pub use key::{RoutePolicy, RowKey};
pub use operations::{Unresolved, operations};
pub use row::{Link, Row, Rows};
pub use view::View;
