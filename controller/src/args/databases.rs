//! Where the northbound and the southbound database are.

use std::net::IpAddr;

use anyhow::Context;
use clap::{ArgAction, Args};
use ovsdb::Remote;

/// A database of `ovn-central`, unless told otherwise.
struct Place {
    port: u16,
    /// Where `ovn-central` of the same host listens.
    socket: &'static str,
}

const NORTHBOUND: Place = Place {
    port: 6641,
    socket: "unix:/run/ovn/ovnnb_db.sock",
};
const SOUTHBOUND: Place = Place {
    port: 6642,
    socket: "unix:/run/ovn/ovnsb_db.sock",
};

/// Of remotes, addresses and Service the first that is given counts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Databases")]
pub(crate) struct DatabaseArgs {
    /// Northbound servers, `tcp:<address>:6641`, `ssl:<address>:6641` or `unix:<path>`, several
    /// joined by commas
    #[arg(
        long,
        env = "OVN_NB_ADDR",
        value_name = "REMOTES",
        value_delimiter = ','
    )]
    ovn_nb_addr: Vec<Remote>,

    /// Southbound servers, `tcp:<address>:6642`, `ssl:<address>:6642` or `unix:<path>`, several
    /// joined by commas
    #[arg(
        long,
        env = "OVN_SB_ADDR",
        value_name = "REMOTES",
        value_delimiter = ','
    )]
    ovn_sb_addr: Vec<Remote>,

    /// Addresses of the servers of both, several joined by commas
    #[arg(
        long,
        env = "OVN_DB_IPS",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    ovn_db_ips: Vec<IpAddr>,

    /// Address of the Service of the northbound servers
    #[arg(long, env = "OVN_NB_SERVICE_HOST", value_name = "ADDRESS")]
    ovn_nb_service_host: Option<IpAddr>,

    /// Address of the Service of the southbound servers
    #[arg(long, env = "OVN_SB_SERVICE_HOST", value_name = "ADDRESS")]
    ovn_sb_service_host: Option<IpAddr>,

    /// Whether to speak TLS with servers that are given by address alone
    #[arg(long, env = "ENABLE_SSL", value_name = "BOOL", default_value_t = false,
          action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    enable_ssl: bool,
}

// === impl DatabaseArgs ===

impl DatabaseArgs {
    /// The northbound servers, in the order in which to try them.
    ///
    /// # Errors
    /// Never for what has been parsed.
    pub(crate) fn northbound(&self) -> anyhow::Result<Vec<Remote>> {
        self.remotes(&self.ovn_nb_addr, self.ovn_nb_service_host, &NORTHBOUND)
    }

    /// The southbound servers, likewise.
    ///
    /// # Errors
    /// Never for what has been parsed.
    pub(crate) fn southbound(&self) -> anyhow::Result<Vec<Remote>> {
        self.remotes(&self.ovn_sb_addr, self.ovn_sb_service_host, &SOUTHBOUND)
    }

    fn remotes(
        &self,
        explicit: &[Remote],
        service: Option<IpAddr>,
        place: &Place,
    ) -> anyhow::Result<Vec<Remote>> {
        if !explicit.is_empty() {
            return Ok(explicit.to_vec());
        }
        let addresses = match self.ovn_db_ips.as_slice() {
            [] => service.as_slice(),
            addresses => addresses,
        };
        let texts = match addresses {
            [] => vec![place.socket.to_owned()],
            addresses => addresses
                .iter()
                .map(|it| self.remote(*it, place.port))
                .collect(),
        };
        texts
            .iter()
            .map(|text| text.parse().with_context(|| text.clone()))
            .collect()
    }

    fn remote(&self, address: IpAddr, port: u16) -> String {
        let scheme = if self.enable_ssl { "ssl" } else { "tcp" };
        match address {
            IpAddr::V4(address) => format!("{scheme}:{address}:{port}"),
            IpAddr::V6(address) => format!("{scheme}:[{address}]:{port}"),
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
        databases: DatabaseArgs,
    }

    fn databases(arguments: &[&str]) -> DatabaseArgs {
        Program::parse_from([&["program"], arguments].concat()).databases
    }

    fn texts(remotes: &[Remote]) -> Vec<String> {
        remotes.iter().map(ToString::to_string).collect()
    }

    fn remotes(arguments: &[&str]) -> Vec<String> {
        texts(&databases(arguments).northbound().unwrap())
    }

    #[test]
    fn the_southbound_database_has_a_port_and_a_service_of_its_own() {
        let remotes = |arguments: &[&str]| texts(&databases(arguments).southbound().unwrap());
        let service = "--ovn-sb-service-host=10.96.0.9";
        assert_eq!(remotes(&[service]), ["tcp:10.96.0.9:6642"]);
        let addresses = "--ovn-db-ips=192.0.2.1";
        assert_eq!(remotes(&[service, addresses]), ["tcp:192.0.2.1:6642"]);
        let explicit = "--ovn-sb-addr=tcp:192.0.2.7:1";
        assert_eq!(remotes(&[service, explicit]), ["tcp:192.0.2.7:1"]);
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
        assert_eq!(remotes(&[]), [NORTHBOUND.socket]);
    }

    #[test]
    fn with_tls_addresses_become_ssl_remotes() {
        let arguments = ["--enable-ssl=true", "--ovn-db-ips=192.0.2.1"];
        assert_eq!(remotes(&arguments), ["ssl:192.0.2.1:6641"]);
    }
}
