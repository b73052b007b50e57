//! Command line of the daemon.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use kit::args::{AdminArgs, LogArgs};
use model::NodeName;
use ovsdb::client::Remote;

/// The kube-ovn node daemon: serves the CNI plugin and keeps the node's own port
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) args: Option<Args>,
}

/// What to do instead of running as the daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copies the CNI plugin to where the container runtime looks for it, and ends
    Install(InstallArgs),
}

/// Arguments of the copy.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    /// The plugin, a static program
    #[arg(long, default_value = "/usr/bin/kube-ovn", value_name = "PATH")]
    pub(crate) from: PathBuf,

    /// Folder of the runtime's plugins
    #[arg(long, default_value = "/opt/cni/bin", value_name = "PATH")]
    pub(crate) to: PathBuf,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Arguments of the daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of this node's Node object
    #[arg(long, env = "KUBE_NODE_NAME", value_name = "NAME")]
    pub(crate) node_name: NodeName,

    /// Unix socket that the CNI plugin connects to
    #[arg(
        long,
        default_value = "/run/openvswitch/kube-ovn-daemon.sock",
        value_name = "PATH"
    )]
    pub(crate) bind_socket: PathBuf,

    /// Database of this node's Open vSwitch
    #[arg(
        long,
        default_value = "unix:/run/openvswitch/db.sock",
        value_name = "REMOTE"
    )]
    pub(crate) ovs_socket: Remote,

    /// How to reach the API server; a pod's service account when absent
    #[arg(long, value_name = "PATH")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// MTU of pods and ovn0; that of the tunnel's link less the tunnel header when absent or 0
    #[arg(long, value_name = "BYTES")]
    pub(crate) mtu: Option<u32>,

    /// How long a CNI command may take; stay below the 220 s of kubelet
    #[arg(long, default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    pub(crate) cni_timeout: Duration,

    /// Folder that the network configuration is put in once the node is ready; none when absent
    #[arg(long, value_name = "PATH")]
    pub(crate) cni_conf_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) admin: AdminArgs<10665>,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_node_name_is_all_that_is_needed() {
        let cli = Cli::try_parse_from(["daemon", "--node-name", "n1"]).unwrap();
        let args = cli.args.unwrap();
        assert_eq!(args.cni_timeout, Duration::from_mins(1));
        assert_eq!(args.admin.admin_address.port(), 10665);
    }

    #[test]
    fn the_copy_of_the_plugin_needs_no_node_name() {
        let cli = Cli::try_parse_from(["daemon", "install", "--to", "/host/bin"]).unwrap();
        let Some(Command::Install(install)) = cli.command else {
            panic!("no command: {cli:?}");
        };
        assert_eq!(install.to, PathBuf::from("/host/bin"));
        assert_eq!(install.from, PathBuf::from("/usr/bin/kube-ovn"));
    }
}
