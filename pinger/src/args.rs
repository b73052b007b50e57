//! Arguments of the pinger.

use clap::Parser;
use kit::{
    args::{AdminArgs, LogArgs},
    listen::Listen,
};

/// What the program is for and does not do.
pub(crate) const NOT_YET: &str =
    "no pings of pods, nodes and outside addresses, no DNS and API server checks, no OVS metrics";

/// Connectivity probes between pods, nodes, DNS, API server and the outside, and their metrics
///
/// Not yet: this version probes nothing. It serves health, reflection and the metrics of its own
/// process, and has none of the metrics of the name pinger_*.
#[derive(Debug, Parser)]
#[command(name = "kube-ovn-pinger", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) admin: AdminArgs<8080>,

    /// Address of gRPC health and reflection: `address:port` or `unix:/path`
    ///
    /// It is plain text, and so not offered to the network by default.
    #[arg(long, default_value = "127.0.0.1:10672", value_name = "ADDRESS")]
    #[arg(help_heading = "Administration")]
    pub(crate) grpc_address: Listen,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}
