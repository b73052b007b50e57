//! What the controller is started with. Flags and defaults are those of Kube-OVN.

mod databases;
mod gateways;
mod leader;
mod networks;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;
use controller_index::{Defaults, Settings};
use controller_status::{Bootstrap, Network};
use kit::args::{AdminArgs, LogArgs};
use kit::listen::Listen;
use model::{AddressRange, CidrPair, DualStack, SubnetName, VpcName};

use self::databases::DatabaseArgs;
use self::gateways::GatewayArgs;
use self::leader::LeaderArgs;

/// Plans and commits the OVN northbound database from Kubernetes objects.
#[derive(Debug, Parser)]
#[command(name = "kube-ovn-controller", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) databases: DatabaseArgs,

    #[command(flatten)]
    pub(crate) leader: LeaderArgs,

    #[command(flatten)]
    pub(crate) gateways: GatewayArgs,

    /// Kubeconfig; in-cluster configuration where it is not given
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Name of the default VPC and of its logical router
    #[arg(long, value_name = "NAME", default_value = api::vpc::DEFAULT)]
    cluster_router: VpcName,

    /// Subnet of namespaces that no other subnet names
    #[arg(long, value_name = "NAME", default_value = "ovn-default")]
    default_ls: SubnetName,

    /// CIDR of the default subnet, `<v4>`, `<v6>` or `<v4>,<v6>`
    #[arg(long, value_name = "CIDR", default_value = "10.16.0.0/16")]
    default_cidr: CidrPair,

    /// Gateway of the default subnet [default: the first host of each CIDR]
    #[arg(long, value_name = "ADDRESS")]
    default_gateway: Option<DualStack<IpAddr>>,

    /// Addresses and ranges `<first>..<last>` of the default subnet that pods do not get
    #[arg(long, value_name = "RANGES", value_delimiter = ',')]
    default_exclude_ips: Vec<AddressRange>,

    /// Subnet that connects the nodes to the default VPC
    #[arg(long, value_name = "NAME", default_value = "join")]
    node_switch: SubnetName,

    /// CIDR of that subnet
    #[arg(long, value_name = "CIDR", default_value = "100.64.0.0/16")]
    node_switch_cidr: CidrPair,

    /// Gateway of that subnet [default: the first host of each CIDR]
    #[arg(long, value_name = "ADDRESS")]
    node_switch_gateway: Option<DualStack<IpAddr>>,

    /// CIDR of the Services of the cluster: what kube-apiserver was started with
    #[arg(long, value_name = "CIDR")]
    service_cluster_ip_range: Option<CidrPair>,

    /// Address where pods reach the Kubernetes API server; no subnet of the default VPC may contain
    /// it
    #[arg(long, env = "KUBERNETES_SERVICE_HOST", value_name = "ADDRESS")]
    api_server_address: Option<String>,

    /// Where gRPC is served, `unix:<path>` [default: unix:/run/kube-ovn/controller.sock where its
    /// folder exists]
    #[arg(long, value_name = "ADDRESS", value_parser = unix_socket)]
    pub(crate) grpc_address: Option<Listen>,

    #[command(flatten)]
    pub(crate) admin: AdminArgs<10660>,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

// === impl Args ===

impl Args {
    /// # Errors
    /// When networks overlap.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let services = self.service_cluster_ip_range;
        let networks = [
            ("--default-cidr", Some(self.default_cidr)),
            ("--node-switch-cidr", Some(self.node_switch_cidr)),
            ("--service-cluster-ip-range", services),
        ];
        let networks: Vec<_> = networks
            .into_iter()
            .filter_map(|(flag, cidrs)| {
                Some(networks::Network {
                    flag,
                    cidrs: cidrs?,
                })
            })
            .collect();
        Ok(networks::check(&networks)?)
    }

    pub(crate) fn defaults(&self) -> Defaults {
        Defaults {
            settings: Settings {
                default_vpc: self.cluster_router.clone(),
                join: self.node_switch.clone(),
            },
            subnet: self.default_ls.clone(),
        }
    }

    /// `None` when it is not given, or is a name.
    pub(crate) fn api_server(&self) -> Option<IpAddr> {
        self.api_server_address.as_ref()?.parse().ok()
    }

    pub(crate) fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            vpc: self.cluster_router.clone(),
            pods: Network {
                name: self.default_ls.clone(),
                cidrs: self.default_cidr,
                gateways: self.default_gateway.unwrap_or_default(),
                excludes: self.default_exclude_ips.clone(),
            },
            join: Network {
                name: self.node_switch.clone(),
                cidrs: self.node_switch_cidr,
                gateways: self.node_switch_gateway.unwrap_or_default(),
                excludes: Vec::new(),
            },
        }
    }
}

/// TCP would need mutual TLS.
fn unix_socket(text: &str) -> Result<Listen, String> {
    match text.parse::<Listen>() {
        Ok(listen @ Listen::Unix(_)) => Ok(listen),
        Ok(Listen::Tcp(_)) => {
            Err("gRPC without TLS is for unix sockets: write unix:/path".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}
