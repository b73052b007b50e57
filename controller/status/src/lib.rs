//! Step 4, status: what was chosen or found is written to Kubernetes.
//!
//! ```text
//! claims of the index --Ledger (allocator)--> Decision --Writer--> IP objects, annotations, events
//!        ^                                                                     |
//!        +--------------------------------- watch -----------------------------+
//! ```
//!
//! An address is chosen by the [`Ledger`], recorded by the [`Recorder`], and used only when the
//! record has come back through the watch. Nothing here plans rows.

mod bootstrap;
mod ledger;
mod recorder;
mod writer;

pub use bootstrap::{Bootstrap, Network};
pub use ledger::{Decision, Ledger, Recorded, Refusal};
pub use recorder::Recorder;
pub use writer::{WriteError, Writer};
