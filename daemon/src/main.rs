//! The kube-ovn node daemon: CNI server, OVS ports, ovn0, routes.
//!
//! This file wires the parts; every task and channel of the process is visible in [`run`].

mod args;
mod cni;
mod conflist;
mod debug;
mod host;
mod install;
mod metrics;
mod node;
mod object;
mod observer;
mod ovs;
mod table;
mod uninstall;

use std::convert::Infallible;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use daemon_plan::Redirection;
use futures::FutureExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1;
use kit::grpc::Server;
use kit::listen::Listen;
use kit::metrics::Registry;
use kit::readiness::{Condition, Readiness};
use kit::shutdown::Shutdown;
use kit::tasks::Tasks;
use kit::tls::Identity;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use linux::{Namespace, netlink};
use ovsdb::client::Remote;
use probe::{Assignment, Prober, Sights};
use proto::cni::v1::cni_server::CniServer;
use proto::cni::v1::descriptors::FILE_DESCRIPTOR_SET;
use proto::debug::v1::debug_server::DebugServer;
use proto::debug::v1::descriptors::FILE_DESCRIPTOR_SET as DEBUG_DESCRIPTOR_SET;
use tokio::sync::watch;

use crate::args::{Args, Command, InstallArgs, Invocation, UninstallArgs};
use crate::cni::{Agent, Pods, Service};
use crate::host::{Host, Kernel};
use crate::metrics::Metrics;
use crate::node::{Annotator, Firewall, MtuRule, NodeLoop, Redirects, Tunnel};
use crate::object::{Leader, Node, Pod, Subnet};
use crate::observer::{LEASE, Observer};
use crate::ovs::Ovs;
use crate::table::Table;

/// How long tasks may take to end.
const GRACE: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    let invocation = Invocation::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match invocation {
        Invocation::Command(Command::Install(args)) => install(&args),
        Invocation::Command(Command::Uninstall(args)) => uninstall(args),
        Invocation::Daemon(args) => daemon(*args),
    }
}

fn install(args: &InstallArgs) -> anyhow::Result<()> {
    kit::telemetry::init(&args.log)?;
    let outcome = install::install(&args.from, &args.to)?;
    tracing::info!(?outcome, to = %args.to.display(), "Plugin installed");
    Ok(())
}

#[tokio::main]
async fn uninstall(args: UninstallArgs) -> anyhow::Result<()> {
    kit::telemetry::init(&args.log)?;
    let shutdown = kit::shutdown::on_signal()?;
    let mut tasks = Tasks::new(shutdown.clone());
    let metrics = Metrics::register(&Registry::new()?)?;
    let host = host(&args.ovs_socket, metrics, &mut tasks, &shutdown).await?;
    tasks.spawn("uninstall", async move {
        let changes = uninstall::uninstall(&args, &host).await?;
        tracing::info!(changes, "Node is as it was");
        shutdown.cancel();
        Ok::<(), uninstall::Error>(())
    });
    Ok(tasks.join(GRACE).await?)
}

#[tokio::main]
async fn daemon(args: Args) -> anyhow::Result<()> {
    kit::telemetry::init(&args.log)?;
    run(args).await
}

async fn run(args: Args) -> anyhow::Result<()> {
    let shutdown = kit::shutdown::on_signal()?;
    let mut tasks = Tasks::new(shutdown.clone());
    let (readiness, registry) = (Readiness::new(), Registry::new()?);
    let (client, api_server) = connect(&args).await?;

    // 1. where changes go
    let metrics = Metrics::register(&registry)?;
    let host = host(&args.ovs_socket, metrics, &mut tasks, &shutdown).await?;
    // 2. where facts come from
    let Tables {
        pods,
        node,
        subnets,
        leader,
    } = follow(&args, &client, &mut tasks, &shutdown);
    let (facts_sender, facts) = watch::channel(None);
    let (desired_sender, desired) = watch::channel(None);
    let (redirection_sender, redirection) = watch::channel(Redirection::default());
    let (kernel_changes, driver) = netlink::changes(&host.kernel.namespace).await?;
    tasks.spawn("netlink-changes", until(&shutdown, driver.into_future()));
    // 3. what follows from them
    watch_readiness(&host.ovs, &pods, &readiness, &mut tasks, &shutdown);
    let node_loop = NodeLoop {
        name: args.node_name.clone(),
        host: host.clone(),
        node,
        pods: pods.clone(),
        subnets: subnets.clone(),
        mtu: MtuRule::new(args.mtu),
        facts: facts_sender,
        desired: desired_sender,
        annotator: Annotator::new(Api::all(client.clone()), args.node_name.clone()),
        tunnel: Tunnel::new(args.iface.clone(), args.pod_ip, api_server, &args.state_dir),
        firewall: Firewall::default(),
        redirects: Redirects::new(redirection_sender),
        is_up: readiness.condition("node"),
    };
    let node_loop = node_loop.run(kernel_changes, shutdown.clone());
    tasks.spawn("node", node_loop.map(Ok::<(), Infallible>));
    observe(&args, leader, &registry, &mut tasks, &shutdown)?;
    // 4. who asks
    let debug = debug::Service {
        node: args.node_name.clone(),
        host: host.clone(),
        desired,
        readiness: readiness.clone(),
    };
    let agent = Agent {
        host,
        pods: Pods::new(pods, client, args.node_name.clone()),
        subnets,
        facts,
        redirection,
        readiness: readiness.clone(),
        limit: args.cni_timeout,
        turns: cni::Turns::default(),
    };
    let server = server(&readiness, agent, debug);
    serve(&args, server, &readiness, &mut tasks, &shutdown);
    let admin = kit::admin::serve(args.admin.admin_address, readiness, registry, shutdown);
    tasks.spawn("admin", admin);
    Ok(tasks.join(GRACE).await?)
}

fn server(readiness: &Readiness, agent: Agent, debug: debug::Service) -> Server {
    Server::new(readiness.clone())
        .service(CniServer::new(Service::new(agent)), FILE_DESCRIPTOR_SET)
        .service(DebugServer::new(debug), DEBUG_DESCRIPTOR_SET)
}

/// A client of the API server, and where that is, unless it is known by a name only.
async fn connect(args: &Args) -> anyhow::Result<(Client, Option<SocketAddr>)> {
    let config = configuration(args).await?;
    let address = address(&config);
    Ok((Client::try_from(config)?, address))
}

/// The API server, by the file that the arguments name or as a pod.
async fn configuration(args: &Args) -> anyhow::Result<Config> {
    Ok(match &args.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
        }
        None => Config::infer()
            .await
            .context("no API server; set --kubeconfig")?,
    })
}

fn address(config: &Config) -> Option<SocketAddr> {
    let host = config.cluster_url.host()?.trim_matches(['[', ']']);
    let port = config.cluster_url.port_u16().unwrap_or(443);
    Some(SocketAddr::new(host.parse().ok()?, port))
}

/// This node's kernel and Open vSwitch, with the tasks that carry their messages.
async fn host(
    ovs_socket: &Remote,
    metrics: Metrics,
    tasks: &mut Tasks,
    shutdown: &Shutdown,
) -> anyhow::Result<Host> {
    let (ovs, driver) = Ovs::new(ovs_socket.clone());
    tasks.spawn("ovsdb", until(shutdown, driver.run()));
    let namespace = Namespace::own()?;
    let (netlink, driver) = netlink::connect(&namespace).await?;
    tasks.spawn("netlink", until(shutdown, driver.into_future()));
    let kernel = Kernel::new(namespace, netlink, metrics.clone());
    Ok(Host {
        kernel,
        ovs,
        metrics,
    })
}

/// Objects of the API server.
struct Tables {
    pods: watch::Receiver<Table<Pod>>,
    node: watch::Receiver<Table<Node>>,
    subnets: watch::Receiver<Table<Subnet>>,
    leader: watch::Receiver<Table<Leader>>,
}

fn follow(args: &Args, client: &Client, tasks: &mut Tasks, shutdown: &Shutdown) -> Tables {
    let all = watcher::Config::default;
    let here = |field: &str| all().fields(&format!("{field}={}", args.node_name));
    let api = Api::<v1::Pod>::all(client.clone());
    let (pods, events) = table::follow(api, here("spec.nodeName"), Pod::keep);
    tasks.spawn("watch-pods", until(shutdown, events));
    let api = Api::<v1::Node>::all(client.clone());
    let (node, events) = table::follow(api, here("metadata.name"), Node::keep);
    tasks.spawn("watch-node", until(shutdown, events));
    let api = Api::<api::Subnet>::all(client.clone());
    let (subnets, events) = table::follow(api, all(), Subnet::keep);
    tasks.spawn("watch-subnets", until(shutdown, events));
    let api = Api::<Lease>::namespaced(client.clone(), &args.lease_namespace);
    let lease = all().fields(&format!("metadata.name={LEASE}"));
    let (leader, events) = table::follow(api, lease, Leader::keep);
    tasks.spawn("watch-leader", until(shutdown, events));
    Tables {
        pods,
        node,
        subnets,
        leader,
    }
}

/// Probes the gateway nodes that the leader names, and tells it what is seen.
fn observe(
    args: &Args,
    leader: watch::Receiver<Table<Leader>>,
    registry: &Registry,
    tasks: &mut Tasks,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let (assignment, assigned) = watch::channel(Assignment::default());
    let (sender, sights) = watch::channel(Sights::new());
    let prober = Prober::new(probe::Metrics::register(registry)?, assigned, sender);
    tasks.spawn("prober", until(shutdown, prober.run()));
    let observer = Observer {
        node: args.node_name.clone(),
        leader,
        identity: Identity::of_folder(&args.tls_directory),
        assignment,
        sights,
    };
    let observing = observer.run(shutdown.clone());
    tasks.spawn("observer", observing.map(Ok::<(), Infallible>));
    Ok(())
}

/// The services, and the configuration that announces the plugin's.
fn serve(
    args: &Args,
    server: Server,
    readiness: &Readiness,
    tasks: &mut Tasks,
    shutdown: &Shutdown,
) {
    let listen = Listen::Unix(args.bind_socket.clone());
    tasks.spawn("cni", server.serve(listen, shutdown.clone()));
    if let Some(folder) = args.cni_conf_dir.clone() {
        let (socket, readiness) = (args.bind_socket.clone(), readiness.clone());
        let shutdown = shutdown.clone();
        tasks.spawn("conflist", async move {
            let install = conflist::install(&folder, &socket, &readiness);
            shutdown.run_until_cancelled(install).await.transpose()?;
            shutdown.cancelled().await;
            Ok::<(), conflist::Error>(())
        });
    }
}

/// Tells whether Open vSwitch answers and pods are known.
fn watch_readiness(
    ovs: &Ovs,
    pods: &watch::Receiver<Table<Pod>>,
    readiness: &Readiness,
    tasks: &mut Tasks,
    shutdown: &Shutdown,
) {
    let ovs = follow_ovs(ovs.clone(), readiness.condition("ovs"));
    tasks.spawn("ovs-readiness", until(shutdown, ovs));
    let pods = follow_sync(pods.clone(), readiness.condition("pods"));
    tasks.spawn("pods-readiness", until(shutdown, pods));
}

async fn follow_ovs(ovs: Ovs, condition: Condition) {
    let mut versions = ovs.watch();
    loop {
        if versions.borrow_and_update().connected {
            condition.met();
        } else {
            condition.unmet(ovs.disconnected().to_string());
        }
        if versions.changed().await.is_err() {
            return;
        }
    }
}

/// Met once the table is complete; a watch that fails later is retried with what is known.
async fn follow_sync(mut pods: watch::Receiver<Table<Pod>>, condition: Condition) {
    if pods.wait_for(|table| table.is_synced).await.is_ok() {
        condition.met();
        std::future::pending::<()>().await;
    }
}

/// Runs `work` until `shutdown`.
fn until(
    shutdown: &Shutdown,
    work: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
    let shutdown = shutdown.clone();
    async move {
        shutdown.run_until_cancelled(work).await;
        Ok(())
    }
}
