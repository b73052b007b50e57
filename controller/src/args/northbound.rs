//! Where the northbound database is.

use std::net::IpAddr;

use anyhow::Context;
use clap::{ArgAction, Args};
use ovsdb::Remote;

/// The port of the northbound database.
const PORT: u16 = 6641;
/// Where `ovn-central` of the same host listens.
const SOCKET: &str = "unix:/run/ovn/ovnnb_db.sock";

/// The first that is given counts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Northbound database")]
pub(crate) struct NorthboundArgs {
    /// Servers, `tcp:<address>:6641`, `ssl:<address>:6641` or `unix:<path>`, several joined by commas
    #[arg(
        long,
        env = "OVN_NB_ADDR",
        value_name = "REMOTES",
        value_delimiter = ','
    )]
    ovn_nb_addr: Vec<Remote>,

    /// Addresses of the servers, several joined by commas
    #[arg(
        long,
        env = "OVN_DB_IPS",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    ovn_db_ips: Vec<IpAddr>,

    /// Address of the Service of the servers
    #[arg(long, env = "OVN_NB_SERVICE_HOST", value_name = "ADDRESS")]
    ovn_nb_service_host: Option<IpAddr>,

    /// Whether to speak TLS: with servers that are given by address alone, and on our TCP port of gRPC
    #[arg(long, env = "ENABLE_SSL", value_name = "BOOL", default_value_t = false,
          action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    enable_ssl: bool,
}

// === impl NorthboundArgs ===

impl NorthboundArgs {
    /// The servers, in the order in which to try them.
    ///
    /// # Errors
    /// Never for what has been parsed.
    pub(crate) fn remotes(&self) -> anyhow::Result<Vec<Remote>> {
        if !self.ovn_nb_addr.is_empty() {
            return Ok(self.ovn_nb_addr.clone());
        }
        let addresses = match self.ovn_db_ips.as_slice() {
            [] => self.ovn_nb_service_host.as_slice(),
            addresses => addresses,
        };
        let texts = match addresses {
            [] => vec![SOCKET.to_owned()],
            addresses => addresses.iter().map(|it| self.remote(*it)).collect(),
        };
        texts
            .iter()
            .map(|text| text.parse().with_context(|| text.clone()))
            .collect()
    }

    /// Whether certificates are needed.
    pub(crate) fn is_secured(&self, remotes: &[Remote]) -> bool {
        let wants = |remote: &Remote| matches!(remote, Remote::Ssl { .. });
        self.enable_ssl || remotes.iter().any(wants)
    }

    fn remote(&self, address: IpAddr) -> String {
        let scheme = if self.enable_ssl { "ssl" } else { "tcp" };
        match address {
            IpAddr::V4(address) => format!("{scheme}:{address}:{PORT}"),
            IpAddr::V6(address) => format!("{scheme}:[{address}]:{PORT}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        northbound: NorthboundArgs,
    }

    fn remotes(arguments: &[&str]) -> Vec<String> {
        let program = Program::parse_from([&["program"], arguments].concat());
        let remotes = program.northbound.remotes().unwrap();
        remotes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn remotes_come_before_addresses_and_addresses_before_the_service() {
        let service = "--ovn-nb-service-host=10.96.0.9";
        let addresses = "--ovn-db-ips=192.0.2.1,2001:db8::1";
        let explicit = "--ovn-nb-addr=tcp:192.0.2.7:1,unix:/a";
        assert_eq!(
            remotes(&[service, addresses, explicit]),
            ["tcp:192.0.2.7:1", "unix:/a"]
        );
        assert_eq!(
            remotes(&[service, addresses]),
            ["tcp:192.0.2.1:6641", "tcp:[2001:db8::1]:6641"]
        );
        assert_eq!(remotes(&[service]), ["tcp:10.96.0.9:6641"]);
        assert_eq!(remotes(&[]), [SOCKET]);
    }

    #[test]
    fn with_tls_addresses_become_ssl_remotes() {
        let arguments = ["--enable-ssl=true", "--ovn-db-ips=192.0.2.1"];
        assert_eq!(remotes(&arguments), ["ssl:192.0.2.1:6641"]);
    }
}
