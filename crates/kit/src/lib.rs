//! What every program of the system has in common: arguments, telemetry, metrics, admin HTTP, gRPC
//! with health and reflection, named tasks, shutdown and back-off.
//!
//! A program's main reads:
//!
//! 1. parse arguments that flatten [`args::LogArgs`] and [`args::AdminArgs`];
//! 2. [`telemetry::init`];
//! 3. [`shutdown::on_signal`], a [`metrics::Registry`], a [`readiness::Readiness`];
//! 4. [`tasks::Tasks`]: the admin server, the [`grpc::Server`], the program's own loops;
//! 5. [`tasks::Tasks::join`]: the first task that fails or ends, or the signal, ends them all.
//!
//! Nothing here knows what the programs are for.

pub mod admin;
pub mod args;
pub mod backoff;
pub mod error;
pub mod grpc;
#[cfg(feature = "lease")]
pub mod lease;
pub mod listen;
pub mod metrics;
pub mod readiness;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "watch")]
pub mod watch;

pub use tasks::spawn;
