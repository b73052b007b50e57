//! Command line. Variables of the environment are those of Kube-OVN's manifests.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
};

use clap::{Parser, Subcommand, ValueEnum};
use kit::args::{AdminArgs, LogArgs};
use ovsdb::Remote;

/// Starts OVN's central part, or the Open vSwitch of a node, and keeps it running
#[derive(Debug, Parser)]
#[command(name = "kube-ovn-central", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Role,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// What to start.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// The northbound and southbound databases, and northd
    Central(CentralArgs),
    /// A node's database, switch and ovn-controller
    Vswitch(VswitchArgs),
}

/// Arguments of the central part.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CentralArgs {
    /// Address of this member of the databases' cluster, for the other members
    #[arg(long, env = "POD_IP", value_name = "ADDRESS")]
    pub(crate) address: IpAddr,

    /// Address that the databases are served at
    #[arg(long, default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED), value_name = "ADDRESS")]
    pub(crate) listen_address: IpAddr,

    /// Port of the northbound database
    #[arg(long, default_value = "6641", value_name = "PORT")]
    pub(crate) nb_port: u16,

    /// Port of the southbound database
    #[arg(long, default_value = "6642", value_name = "PORT")]
    pub(crate) sb_port: u16,

    /// Port of the northbound database for other members
    #[arg(long, default_value = "6643", value_name = "PORT")]
    pub(crate) nb_cluster_port: u16,

    /// Port of the southbound database for other members
    #[arg(long, default_value = "6644", value_name = "PORT")]
    pub(crate) sb_cluster_port: u16,

    /// Folder of the databases
    #[arg(long, default_value = "/etc/ovn", value_name = "PATH")]
    pub(crate) database_directory: PathBuf,

    /// Folder of sockets and process ids
    #[arg(long, default_value = "/run/ovn", value_name = "PATH")]
    pub(crate) run_directory: PathBuf,

    /// This pod's name, to label it with what it leads; no labels when absent
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub(crate) pod_name: Option<String>,

    /// This pod's namespace
    #[arg(
        long,
        env = "POD_NAMESPACE",
        default_value = "kube-system",
        value_name = "NAME"
    )]
    pub(crate) pod_namespace: String,

    #[command(flatten)]
    pub(crate) programs: ProgramArgs,

    #[command(flatten)]
    pub(crate) admin: AdminArgs<10661>,
}

/// Arguments of a node.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct VswitchArgs {
    /// Name of this node's Node object, and the chassis' host name in OVN
    #[arg(long, env = "KUBE_NODE_NAME", value_name = "NAME")]
    pub(crate) node_name: String,

    /// Southbound databases, `tcp:<address>:6642` or `ssl:<address>:6642`, several joined by commas
    /// [default: from OVN_DB_IPS, else from OVN_SB_SERVICE_HOST]
    #[arg(long, value_name = "REMOTES")]
    pub(crate) ovn_remote: Option<String>,

    /// Addresses of the central part's nodes, joined by commas
    #[arg(
        long,
        env = "OVN_DB_IPS",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    pub(crate) ovn_db_ips: Vec<IpAddr>,

    /// Address of the Service `ovn-sb`, where no node is named
    #[arg(long, env = "OVN_SB_SERVICE_HOST", value_name = "ADDRESS")]
    pub(crate) ovn_sb_service_host: Option<IpAddr>,

    /// How packets between nodes are wrapped
    #[arg(long, env = "TUNNEL_TYPE", value_enum, default_value_t = Encapsulation::Geneve)]
    pub(crate) encapsulation: Encapsulation,

    /// The tunnel's address until the daemon has chosen one: one that is set already stays
    #[arg(long, env = "POD_IP", value_name = "ADDRESS")]
    pub(crate) address: Option<IpAddr>,

    /// Where packets are switched: in the kernel's openvswitch module, or in the program
    #[arg(long, env = "DATAPATH_TYPE", value_enum, default_value_t = Datapath::System)]
    pub(crate) datapath_type: Datapath,

    /// Folder of the database and of the chassis' name
    #[arg(long, default_value = "/etc/openvswitch", value_name = "PATH")]
    pub(crate) database_directory: PathBuf,

    /// Folder of Open vSwitch's sockets and process ids
    #[arg(long, default_value = "/run/openvswitch", value_name = "PATH")]
    pub(crate) run_directory: PathBuf,

    /// Folder of ovn-controller's sockets and process ids
    #[arg(long, default_value = "/run/ovn", value_name = "PATH")]
    pub(crate) ovn_run_directory: PathBuf,

    #[command(flatten)]
    pub(crate) programs: ProgramArgs,

    #[command(flatten)]
    pub(crate) admin: AdminArgs<10663>,
}

/// What all programs of OVN and Open vSwitch are started with.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProgramArgs {
    /// Folder that holds `ovn/ovn-nb.ovsschema` and its like
    #[arg(long, default_value = "/usr/share", value_name = "PATH")]
    pub(crate) schema_directory: PathBuf,

    /// Whether the databases are reached by TLS only
    #[arg(long, env = "ENABLE_SSL", action = clap::ArgAction::Set, default_value_t = false)]
    #[arg(num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) enable_ssl: bool,

    /// Folder of `cacert`, `cert` and `key`
    #[arg(long, default_value = "/var/run/tls", value_name = "PATH")]
    pub(crate) tls_directory: PathBuf,
}

/// The tunnel protocols that OVN has and we offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encapsulation {
    Geneve,
    Vxlan,
}

/// The datapaths of Open vSwitch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Datapath {
    System,
    Netdev,
}

/// No server is named.
#[derive(Debug, thiserror::Error)]
#[error(
    "no southbound database: set OVN_DB_IPS, or make the Service ovn-sb before this pod, or give \
     --ovn-remote"
)]
pub(crate) struct NoRemote;

/// The southbound port of every central part.
const SB_PORT: u16 = 6642;

// === impl VswitchArgs ===

impl VswitchArgs {
    /// Where ovn-controller finds the southbound database.
    pub(crate) fn southbound(&self) -> Result<String, NoRemote> {
        if let Some(remotes) = &self.ovn_remote {
            return Ok(remotes.clone());
        }
        let scheme = self.programs.scheme();
        let remotes: Vec<_> = if self.ovn_db_ips.is_empty() {
            self.ovn_sb_service_host.iter().collect()
        } else {
            self.ovn_db_ips.iter().collect()
        };
        let remotes: Vec<_> = remotes
            .into_iter()
            .map(|address| format!("{scheme}:[{address}]:{SB_PORT}"))
            .collect();
        if remotes.is_empty() {
            return Err(NoRemote);
        }
        Ok(remotes.join(","))
    }

    /// The node's own database.
    pub(crate) fn database(&self) -> Remote {
        Remote::Unix(self.run_directory.join("db.sock"))
    }
}

// === impl ProgramArgs ===

impl ProgramArgs {
    /// How an address of a database begins.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.enable_ssl { "ssl" } else { "tcp" }
    }

    /// The options that name our certificate, for every program that speaks TLS.
    pub(crate) fn tls_options(&self) -> Vec<String> {
        if !self.enable_ssl {
            return Vec::new();
        }
        let file = |name: &str| self.tls_directory.join(name).display().to_string();
        vec![
            format!("--private-key={}", file("key")),
            format!("--certificate={}", file("cert")),
            format!("--ca-cert={}", file("cacert")),
        ]
    }
}

// === impl Encapsulation ===

impl fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Geneve => "geneve",
            Self::Vxlan => "vxlan",
        })
    }
}

// === impl Datapath ===

impl fmt::Display for Datapath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Netdev => "netdev",
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn vswitch(arguments: &[&str]) -> VswitchArgs {
        let words = ["kube-ovn-central", "vswitch", "--node-name=n1"];
        let args = Args::try_parse_from(words.iter().chain(arguments)).unwrap();
        match args.role {
            Role::Vswitch(args) => args,
            Role::Central(_) => panic!("vswitch was asked for"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_nodes_of_the_central_part_come_before_its_service() {
        let args = vswitch(&[
            "--ovn-db-ips=10.0.0.1,fd00::2",
            "--ovn-sb-service-host=10.96.0.9",
        ]);
        assert_eq!(
            args.southbound().unwrap(),
            "tcp:[10.0.0.1]:6642,tcp:[fd00::2]:6642"
        );
        let args = vswitch(&["--ovn-sb-service-host=10.96.0.9", "--enable-ssl"]);
        assert_eq!(args.southbound().unwrap(), "ssl:[10.96.0.9]:6642");
    }

    #[test]
    fn without_any_server_the_error_says_what_to_set() {
        let error = vswitch(&[]).southbound().unwrap_err();
        assert!(error.to_string().contains("OVN_DB_IPS"), "{error}");
    }

    #[test]
    fn certificates_are_named_only_with_tls() {
        assert_eq!(vswitch(&[]).programs.tls_options(), [""; 0]);
        let args = vswitch(&["--enable-ssl=true", "--tls-directory=/t"]);
        let options = [
            "--private-key=/t/key",
            "--certificate=/t/cert",
            "--ca-cert=/t/cacert",
        ];
        assert_eq!(args.programs.tls_options(), options);
    }
}
