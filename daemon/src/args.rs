//! Command line of the daemon.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as _, FromArgMatches, Parser, Subcommand};
use kit::args::{AdminArgs, LogArgs};
use model::NodeName;
use ovsdb::client::Remote;

/// What the program is asked to do.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// To run as the daemon, which is what it does without a command.
    Daemon(Box<Args>),
    Command(Command),
}

/// What to do instead of running as the daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copies the CNI plugin to where the container runtime looks for it, and ends
    Install(InstallArgs),
    /// Takes away what the daemon put on this node, and ends; pods keep their ports
    Uninstall(UninstallArgs),
}

/// Arguments of the removal; the daemon's own ones where they have the same name.
#[derive(Debug, clap::Args)]
pub(crate) struct UninstallArgs {
    /// Database of this node's Open vSwitch
    #[arg(
        long,
        default_value = "unix:/run/openvswitch/db.sock",
        value_name = "REMOTE"
    )]
    pub(crate) ovs_socket: Remote,

    /// Folder of what outlived the daemon
    #[arg(long, default_value = "/var/lib/kube-ovn", value_name = "PATH")]
    pub(crate) state_dir: PathBuf,

    /// Folder that the network configuration was put in
    #[arg(long, value_name = "PATH")]
    pub(crate) cni_conf_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) log: LogArgs,
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

/// The kube-ovn node daemon: serves the CNI plugin and keeps the node's own port
#[derive(Debug, Parser)]
#[command(version)]
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

    /// Link that tunnels run over: its name, or regular expressions joined by commas; the one that has
    /// the address of this node when absent. The annotation ovn.kubernetes.io/tunnel_interface of the
    /// node goes before it
    #[arg(long, value_name = "PATTERN")]
    pub(crate) iface: Option<String>,

    /// This node's address
    #[arg(long, env = "POD_IP", value_name = "ADDRESS")]
    pub(crate) pod_ip: Option<IpAddr>,

    /// Folder of what must outlive the daemon and a reboot
    #[arg(long, default_value = "/var/lib/kube-ovn", value_name = "PATH")]
    pub(crate) state_dir: PathBuf,

    /// Folder with the certificate (cacert, cert, key) to report to the leading controller with
    #[arg(long, default_value = "/var/run/tls", value_name = "PATH")]
    pub(crate) tls_directory: PathBuf,

    /// Namespace of the controllers' lease
    #[arg(
        long,
        env = "POD_NAMESPACE",
        default_value = "kube-system",
        value_name = "NAMESPACE"
    )]
    pub(crate) lease_namespace: String,

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

// === impl Invocation ===

impl Invocation {
    /// What `words` ask for, the program's name first.
    ///
    /// # Errors
    /// Also when they ask for help or the version.
    pub(crate) fn parse<W: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, clap::Error> {
        let matches = parser().try_get_matches_from(words)?;
        if matches.subcommand_name().is_some() {
            return Command::from_arg_matches(&matches).map(Self::Command);
        }
        Args::from_arg_matches(&matches).map(|args| Self::Daemon(Box::new(args)))
    }
}

fn parser() -> clap::Command {
    let parser = clap::Command::new("kube-ovn-daemon")
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true);
    Args::augment_args(Command::augment_subcommands(parser))
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        parser().debug_assert();
    }

    #[test]
    fn a_node_name_is_all_that_is_needed() {
        let words = ["daemon", "--node-name", "n1"];
        let Ok(Invocation::Daemon(args)) = Invocation::parse(words) else {
            panic!("it is no daemon");
        };
        assert_eq!(args.cni_timeout, Duration::from_mins(1));
        assert_eq!(args.admin.admin_address.port(), 10665);
    }

    #[test]
    fn the_copy_of_the_plugin_needs_no_node_name() {
        let words = ["daemon", "install", "--to", "/host/bin"];
        let Ok(Invocation::Command(Command::Install(install))) = Invocation::parse(words) else {
            panic!("it is no copy");
        };
        assert_eq!(install.to, PathBuf::from("/host/bin"));
        assert_eq!(install.from, PathBuf::from("/usr/bin/kube-ovn"));
    }
}
