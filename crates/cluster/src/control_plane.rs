//! etcd, kube-apiserver, kube-controller-manager and kube-scheduler, in one namespace.

use std::{net::IpAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use model::{DualStack, IpFamily};
use testkit::{
    Families,
    api_server::{self, ETCD, SERVICES_V4, SERVICES_V6},
    command::Invocation,
    wait_until,
};

use crate::{
    cgroup,
    cluster::Cluster,
    detached::Detached,
    directory::{Directory, create},
    identity::{self, User},
    network,
};

/// Its name among the control groups.
pub(crate) const GROUP: &str = "control";
/// Its programs, in the order of their start.
const PROGRAMS: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];
const PATIENCE: Duration = Duration::from_mins(2);

/// Fails when one of the programs has ended.
pub(crate) fn check(directory: &Directory) -> Result<()> {
    programs(directory).iter().try_for_each(Detached::check)
}

/// The programs, started by this or another process.
fn programs(directory: &Directory) -> Vec<Detached> {
    let directory = directory.control();
    PROGRAMS
        .iter()
        .map(|name| Detached::new(name, &directory))
        .collect()
}

/// Writes every identity and starts every program, without waiting for any.
pub(crate) fn start(directory: &Directory, families: Families, nodes: &[String]) -> Result<()> {
    let control = directory.control();
    create(&control)?;
    let addresses = network::control_addresses(families);
    identity::write_all(&control, &addresses, &users(nodes))?;
    let programs = programs(directory);
    programs
        .iter()
        .try_for_each(|program| spawn(program, directory, families))
}

/// Starts those programs that have ended, as systemd would, without waiting for any.
pub(crate) fn start_again(directory: &Directory, families: Families) -> Result<()> {
    let programs = programs(directory);
    let mut ended = programs.iter().filter(|program| program.check().is_err());
    ended.try_for_each(|program| spawn(program, directory, families))
}

fn spawn(program: &Detached, directory: &Directory, families: Families) -> Result<()> {
    let control = directory.control();
    let invocation = match program.name() {
        "etcd" => api_server::etcd(&control)?,
        "kube-apiserver" => apiserver(&control, &network::control_addresses(families))?,
        "kube-controller-manager" => controller_manager(&control)?,
        _ => scheduler(&control)?,
    };
    let invocation = invocation.in_netns(network::control().path());
    program.start(&invocation, &cgroup::make(GROUP)?)
}

/// Waits until the API server answers.
pub(crate) async fn ready(cluster: &Cluster) -> Result<()> {
    let query = cluster.kubectl()?.args(["get", "--raw", "/readyz"]);
    wait_until("the API server is ready", PATIENCE, async || {
        // a program that has ended says more than a refused connection
        if let Err(ended) = check(cluster.directory()) {
            return Ok(Err(ended));
        }
        query.read().map(|_output| Ok(()))
    })
    .await?
}

fn users(nodes: &[String]) -> Vec<User> {
    let components = ["kube-controller-manager", "kube-scheduler", "kube-proxy"];
    let mut users = vec![User::admin()];
    users.extend(components.map(User::component));
    users.extend(nodes.iter().map(|node| User::kubelet(node)));
    users
}

fn apiserver(control: &Path, addresses: &DualStack<IpAddr>) -> Result<Invocation> {
    let address = addresses.values().next();
    let address = address.context("an API server has an address")?;
    let services = addresses.map(|family, _| match family {
        IpFamily::V4 => SERVICES_V4,
        IpFamily::V6 => SERVICES_V6,
    });
    let file = |name: &str| control.join(name).display().to_string();
    let flags = [
        ("etcd-servers", ETCD.to_owned()),
        ("bind-address", "::".to_owned()),
        ("advertise-address", address.to_string()),
        ("secure-port", api_server::PORT.to_string()),
        ("service-cluster-ip-range", services.to_string()),
        ("tls-cert-file", file("server.crt")),
        ("tls-private-key-file", file("server.key")),
        ("client-ca-file", file("ca.crt")),
        ("token-auth-file", file("tokens.csv")),
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("enable-admission-plugins", "NodeRestriction".to_owned()),
        ("allow-privileged", "true".to_owned()),
        ("kubelet-client-certificate", file("kubelet-client.crt")),
        ("kubelet-client-key", file("kubelet-client.key")),
        ("kubelet-preferred-address-types", "InternalIP".to_owned()),
        (
            "service-account-issuer",
            "https://kubernetes.default.svc.cluster.local".to_owned(),
        ),
        ("service-account-key-file", file("accounts.pub")),
        ("service-account-signing-key-file", file("accounts.key")),
    ];
    invocation("kube-apiserver", &flags)
}

fn controller_manager(control: &Path) -> Result<Invocation> {
    let file = |name: &str| control.join(name).display().to_string();
    let flags = [
        ("kubeconfig", file("kube-controller-manager.kubeconfig")),
        ("leader-elect", "false".to_owned()),
        ("bind-address", "127.0.0.1".to_owned()),
        ("use-service-account-credentials", "true".to_owned()),
        ("service-account-private-key-file", file("accounts.key")),
        ("root-ca-file", file("ca.crt")),
    ];
    invocation("kube-controller-manager", &flags)
}

fn scheduler(control: &Path) -> Result<Invocation> {
    let kubeconfig = control.join("kube-scheduler.kubeconfig");
    let flags = [
        ("kubeconfig", kubeconfig.display().to_string()),
        ("leader-elect", "false".to_owned()),
        ("bind-address", "127.0.0.1".to_owned()),
    ];
    invocation("kube-scheduler", &flags)
}

fn invocation(name: &str, flags: &[(&str, String)]) -> Result<Invocation> {
    let flags = flags
        .iter()
        .map(|(name, value)| format!("--{name}={value}"));
    Ok(Invocation::new(assets::kubernetes(name)?).args(flags))
}
