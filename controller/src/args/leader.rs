//! Which controller writes, when there are several.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use clap::{ArgAction, Args};
use kit::lease::{Election, LeaseConfig};
use kube::Client;

use crate::debug::PORT;

/// The lease of the controllers.
const LEASE: &str = "kube-ovn-controller";
/// Annotation of the lease: `<address>:<port>` of the leader's gRPC server.
const LEADER_ADDRESS: &str = "ovn.kubernetes.io/leader-address";
/// What the kernel calls this host.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

#[derive(Debug, Args)]
#[command(next_help_heading = "Leader election")]
pub(crate) struct LeaderArgs {
    /// Whether to write only while holding the lease; `false` for the only controller of a cluster
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    leader_elect: bool,

    /// Namespace of the lease
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "kube-system"
    )]
    lease_namespace: String,

    /// Seconds after which a silent leader is followed by another
    #[arg(long, value_name = "SECONDS", default_value_t = 15,
          value_parser = clap::value_parser!(u64).range(3..=3600))]
    leader_elect_lease_duration: u64,

    /// Name of this candidate [default: the name of the host]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: Option<String>,

    /// Port on which members of the installation are served by gRPC, over mutual TLS; with the address
    /// it is written into the lease
    #[arg(long, value_name = "PORT", default_value_t = PORT,
          value_parser = clap::value_parser!(u16).range(1..))]
    grpc_port: u16,

    /// Address of this candidate, which a leader writes into the lease
    #[arg(long, env = "POD_IP", value_name = "ADDRESS")]
    pod_ip: Option<IpAddr>,
}

// === impl LeaderArgs ===

impl LeaderArgs {
    /// Where the lease is, and what else belongs to all controllers.
    pub(crate) fn namespace(&self) -> &str {
        &self.lease_namespace
    }

    /// Where gRPC is served on TCP.
    pub(crate) const fn port(&self) -> u16 {
        self.grpc_port
    }

    /// `None` when there is nobody to compete with.
    ///
    /// # Errors
    /// When the host has no name.
    pub(crate) fn election(&self, client: &Client) -> anyhow::Result<Option<Election>> {
        if !self.leader_elect {
            return Ok(None);
        }
        let address = self.pod_ip.map(|ip| SocketAddr::new(ip, self.grpc_port));
        let annotation = address.map(|it| (LEADER_ADDRESS.to_owned(), it.to_string()));
        let config = LeaseConfig {
            namespace: self.lease_namespace.clone(),
            name: LEASE.to_owned(),
            identity: self.identity()?,
            annotations: BTreeMap::from_iter(annotation),
            duration: Duration::from_secs(self.leader_elect_lease_duration),
        };
        Ok(Some(Election::new(client.clone(), config)))
    }

    fn identity(&self) -> anyhow::Result<String> {
        if let Some(name) = &self.identity {
            return Ok(name.clone());
        }
        let name = fs::read_to_string(HOST_NAME)
            .with_context(|| format!("cannot read {HOST_NAME}; give --identity NAME"))?;
        Ok(name.trim().to_owned())
    }
}
