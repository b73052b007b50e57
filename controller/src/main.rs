//! The controller: wiring of 1 index, 2 plan, 3 sync, 4 status, 5 ipam.
//!
//! ```text
//! API server --watch (one task a kind)--> index --dirty owners--> sync --> NB     \
//!      ^                                    |                      ^               > the leader
//!      +------------ recorder <---claims----+      canary ---------+              /
//! ```

mod adoption;
mod args;
mod clock;
mod debug;
mod gateways;
mod leader;
mod secret;
mod watch;

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use controller_index::{Index, Shared};
use controller_sync::Metrics;
use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use kit::metrics::Registry;
use kit::readiness::Readiness;
use kit::shutdown::Shutdown;
use kit::tasks::Tasks;
use kit::tls::Identity;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::args::Args;
use crate::debug::Grpc;
use crate::gateways::Hub;
use crate::leader::{Leader, Liveness};
use crate::secret::Keeper;
use crate::watch::watch;

/// How long tasks may take to end: those of the leader, and then giving back the lease.
const GRACE: Duration = Duration::from_secs(7);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    kit::telemetry::init(&args.log)?;
    args.check()?;
    let shutdown = kit::shutdown::on_signal()?;
    loop {
        match run(&args, shutdown.child_token()).await {
            Err(error) if leader::is_silenced(&error) && !shutdown.is_cancelled() => {
                tracing::warn!(error = format!("{error:#}"), "Beginning anew");
            }
            ended => return ended,
        }
    }
}

/// Every task and channel of the program. What writes is in [`leader`]. Nothing is left when it
/// returns, except with an error that tells of tasks that did not end.
async fn run(args: &Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let kubernetes = kubernetes_client(args).await?;
    let registry = Registry::new()?;
    let metrics = Metrics::register(&registry)?;
    let gateway_metrics = gateways::Metrics::register(&registry)?;
    let readiness = Readiness::new();
    let warm = readiness.condition("warm");
    let index = Index::new(args.defaults()).with_api_server(args.api_server());
    let index = Shared::new(index);
    clock::tick(&index);
    let (keeper, identity) = Keeper::new(&kubernetes, args.leader.namespace());
    let clients = databases(args, &identity)?;
    let nb = clients.northbound.0.clone();

    let mut tasks = Tasks::new(shutdown.clone());
    let admin = args.admin.admin_address;
    tasks.spawn(
        "admin",
        kit::admin::serve(admin, readiness.clone(), registry, shutdown.clone()),
    );
    tasks.spawn("nb", drive(clients.northbound.1, shutdown.clone()));
    tasks.spawn("clock", clock::run(index.clone(), shutdown.clone()));
    spawn_watches(&mut tasks, &kubernetes, &index, &shutdown);
    let (hub, reports) = Hub::new();
    let grpc = Grpc {
        service: debug::Service {
            index: index.clone(),
            nb: nb.clone(),
            hub: hub.clone(),
        },
        readiness: readiness.clone(),
        shutdown: shutdown.clone(),
    };
    tasks.spawn("certificates", keeper.run(shutdown.clone()));
    let port = args.leader.port();
    tasks.spawn("grpc-tls", grpc.clone().on_tcp(port, identity));
    tasks.spawn("grpc", grpc.on_socket(args.grpc_address.clone()));
    let leader = Leader {
        election: args.leader.election(&kubernetes)?,
        bootstrap: args.bootstrap(),
        index,
        nb,
        sb: clients.southbound,
        kubernetes,
        metrics,
        readiness,
        liveness: Liveness {
            hub,
            reports,
            rules: args.gateways.rules(),
            metrics: gateway_metrics,
        },
    };
    tasks.spawn("leader", leader.run(warm, shutdown));
    tasks.join(GRACE).await?;
    Ok(())
}

/// The table of watches.
fn spawn_watches(tasks: &mut Tasks, client: &Client, index: &Shared, shutdown: &Shutdown) {
    macro_rules! watches {
        ($($name:literal => $kind:ty),* $(,)?) => {
            $(tasks.spawn(
                $name,
                watch::<$kind>(client.clone(), index.clone(), shutdown.clone()),
            );)*
        };
    }
    watches! {
        "watch-vpcs" => api::Vpc,
        "watch-subnets" => api::Subnet,
        "watch-ips" => api::Ip,
        "watch-nodes" => core::Node,
        "watch-pods" => core::Pod,
        "watch-services" => core::Service,
        "watch-endpoint-slices" => discovery::EndpointSlice,
        "watch-stateful-sets" => apps::StatefulSet,
        "watch-ip-pools" => api::IpPool,
        "watch-vips" => api::Vip,
        "watch-vlans" => api::Vlan,
        "watch-namespaces" => core::Namespace,
    }
}

/// What reads and writes a database, and what works for it.
type Database = (ovsdb::Client, ovsdb::Driver);

struct Databases {
    northbound: Database,
    /// Nobody connects before the leader does.
    southbound: Database,
}

fn databases(args: &Args, identity: &Identity) -> anyhow::Result<Databases> {
    let (north, south) = (args.databases.northbound()?, args.databases.southbound()?);
    let ours = identity.clone();
    let tls = ovsdb::Tls::new(move || ours.client());
    let southbound = controller_sync::chassis::options(south).tls(tls.clone());
    Ok(Databases {
        northbound: ovsdb::Client::new(controller_sync::options(north).tls(tls)),
        southbound: ovsdb::Client::new(southbound),
    })
}

async fn kubernetes_client(args: &Args) -> anyhow::Result<Client> {
    let provider = rustls::crypto::ring::default_provider();
    if provider.install_default().is_err() {
        tracing::debug!("A TLS provider is installed already");
    }
    let config = match &args.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("--kubeconfig {} cannot be read", path.display()))?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(file, &options).await?
        }
        None => {
            kube::Config::incluster().context("not inside a cluster; give --kubeconfig FILE")?
        }
    };
    Ok(Client::try_from(config)?)
}

/// Works for an OVSDB client until shutdown.
pub(crate) async fn drive(driver: ovsdb::Driver, shutdown: Shutdown) -> Result<(), Infallible> {
    shutdown.run_until_cancelled(driver.run()).await;
    Ok(())
}
