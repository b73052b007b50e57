//! Who answers ICMP echo requests.
//!
//! ```text
//! Assignment (whom, how often) --> Prober --echo requests--> addresses of nodes
//!                                    |  \<---- answers ------/
//!                                    \--> Sights: which node answers, and since when
//! ```
//!
//! Nodes are probed all at once, each address by one request an interval. An address is silent when
//! several requests in a row had no answer; a single one that is lost shows in a metric and nowhere
//! else. Nothing here decides what silence means.

mod echo;
mod metrics;
mod prober;
mod sight;
mod track;

pub use echo::own_address_towards;
pub use metrics::Metrics;
pub use prober::Prober;
pub use sight::{Assignment, Pace, Sight, Sights};
