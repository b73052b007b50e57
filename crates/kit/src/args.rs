//! Arguments that all programs share, to be flattened into their own.

use std::{
    fmt,
    net::{Ipv6Addr, SocketAddr},
};

use clap::{Args, ValueEnum};

/// How the program logs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// What is logged: a level, or directives such as `info,ovsdb=debug`
    #[arg(
        long,
        env = "RUST_LOG",
        default_value = "info",
        value_name = "DIRECTIVES"
    )]
    pub log_filter: String,

    /// How a line looks
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where the admin HTTP server listens; `PORT` is the program's default port on all addresses.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Administration")]
pub struct AdminArgs<const PORT: u16> {
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, default_value_t = every_address(PORT), value_name = "ADDRESS:PORT")]
    pub admin_address: SocketAddr,
}

fn every_address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

// === impl LogFormat ===

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}
