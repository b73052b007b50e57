//! Step 4, status: what was chosen or found is written to Kubernetes.
//!
//! ```text
//! claims of the index --Ledger (allocator)--> Decision --Writer--> IP objects, annotations, events
//!        ^                                                                     |
//!        +--------------------------------- watch -----------------------------+
//! ```
//!
//! An address is chosen by the [`Ledger`], recorded by the [`Recorder`], and used only when the
//! record has come back through the watch. What became of intent is written by the [`Reporter`]:
//! conditions and counters are derived each time, and written where they differ. What objects of
//! users lack (defaults, a finalizer, annotations of namespaces) is written by the [`Editor`]. Nothing
//! here plans rows.

mod bootstrap;
mod complaints;
mod editor;
mod edits;
mod failures;
mod ledger;
mod pools;
mod recorder;
mod reporter;
mod slots;
mod statuses;
mod writer;

#[cfg(test)]
mod api_server;
#[cfg(test)]
mod fixture;

pub use bootstrap::{Bootstrap, Network};
pub use editor::Editor;
pub use ledger::{Contents, Decision, Ledger, Lifetime, Recorded, Refusal, Usages};
pub use pools::PoolReporter;
pub use recorder::Recorder;
pub use reporter::Reporter;
pub use writer::{NodeEvent, Tone, WriteError, Writer};
