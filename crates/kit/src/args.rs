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
    // not `default_value_t`, whose text is made once for all values of `PORT`
    #[arg(long, default_value = every_address(PORT), value_name = "ADDRESS:PORT")]
    pub admin_address: SocketAddr,
}

/// A few bytes for each command line that is read, which is one.
fn every_address(port: u16) -> &'static str {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    address.to_string().leak()
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    enum Command {
        First(AdminArgs<1>),
        Second(AdminArgs<2>),
    }

    #[test]
    fn each_role_of_a_program_has_its_own_default_port() {
        let port = |role: &str| match Command::parse_from(["program", role]) {
            Command::First(args) => args.admin_address.port(),
            Command::Second(args) => args.admin_address.port(),
        };
        assert_eq!((port("first"), port("second")), (1, 2));
    }
}
