//! Arguments of the gateway agent.

use std::path::PathBuf;

use clap::Parser;
use kit::args::LogArgs;

/// What the program is for and does not do.
pub(crate) const NOT_YET: &str =
    "no EIPs, floating IPs, DNAT and SNAT rules, routes and address announcements";

/// The agent of a VPC NAT gateway
///
/// Not yet: this version translates no address and receives no rules. It serves health, reflection
/// and the metrics of its own process on unix sockets, and is never ready.
#[derive(Debug, Parser)]
#[command(name = "kube-ovn-nat-gateway", version)]
pub(crate) struct Args {
    /// Socket of gRPC health and reflection, for this user only
    #[arg(
        long,
        default_value = "/run/kube-ovn/gateway/agent.sock",
        value_name = "PATH"
    )]
    #[arg(help_heading = "Administration")]
    pub(crate) bind_socket: PathBuf,

    /// Socket of /healthz, /readyz and /metrics over HTTP, for this user only
    #[arg(
        long,
        default_value = "/run/kube-ovn/gateway/admin.sock",
        value_name = "PATH"
    )]
    #[arg(help_heading = "Administration")]
    pub(crate) admin_socket: PathBuf,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}
