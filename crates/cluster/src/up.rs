//! Bringing a cluster up.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{Families, wait_until};

use crate::{
    REMEDY, cgroup, check,
    cluster::Cluster,
    control_plane,
    directory::{Directory, Record, create},
    dns, down, image, network, outside,
    sysctl::Sysctls,
};

/// From kubelet's start to the Node object; longer when the host is busy.
const REGISTERED: Duration = Duration::from_mins(2);

/// What a cluster consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it lies.
    pub directory: Directory,
    /// How many nodes it has, at most 80.
    pub nodes: u8,
    /// The families of its networks.
    pub families: Families,
}

/// Brings a cluster up, and tells each step to `say`. One that runs already is left as it is; one
/// of which no process is left, as after a reboot of the host, is made anew.
///
/// Its nodes are not Ready before a CNI configuration is placed on them.
///
/// # Errors
/// One sentence that names cause and remedy. What was made until then stays for inspection, and
/// goes with [`down`](crate::down).
pub async fn up(options: &Options, say: impl Fn(&str)) -> Result<Cluster> {
    let directory = &options.directory;
    check::root()?;
    let lock = directory.lock()?;
    if is_left_over(directory)? {
        say("The cluster that was here has ended with its host: it is made anew");
        down::clear(directory).await?;
    }
    if let Some(record) = directory.record()? {
        let cluster = Cluster::of(directory, &record);
        cluster.check()?;
        ensure!(
            record.nodes == options.nodes && record.families == options.families,
            "a cluster of {} nodes, {:?}, is up: {REMEDY} first",
            record.nodes,
            record.families
        );
        say("The cluster is up already");
        return Ok(cluster);
    }
    if let Err(refused) = check::host(directory) {
        directory.unlock(lock)?;
        return Err(refused);
    }
    assets::prepare_cluster()?;
    let record = Record {
        nodes: options.nodes,
        families: options.families,
        sysctls: Sysctls::observe(),
    };
    directory.write_record(&record)?;
    let cluster = Cluster::of(directory, &record);
    make(&cluster, say)
        .await
        .with_context(|| format!("the cluster is not up ({REMEDY})"))?;
    Ok(cluster)
}

/// Whether there are files or namespaces of a cluster, but no process.
fn is_left_over(directory: &Directory) -> Result<bool> {
    let is_there = directory.record()?.is_some() || !network::present()?.is_empty();
    Ok(is_there && cgroup::is_empty()?)
}

async fn make(cluster: &Cluster, say: impl Fn(&str)) -> Result<()> {
    let directory = cluster.directory();
    say("Starting the control plane");
    network::lay_out(cluster.families())?;
    outside::start(directory, cluster.families())?;
    let names: Vec<String> = cluster
        .nodes()
        .iter()
        .map(|node| node.name().to_owned())
        .collect();
    control_plane::start(directory, cluster.families(), &names)?;
    create(&directory.archives())?;
    say("Starting the nodes");
    for node in cluster.nodes() {
        node.start()?;
    }
    let images = image::make_own(directory)?;
    for node in cluster.nodes() {
        node.start_runtime().await?;
    }
    for archive in &images {
        cluster.import_image(archive)?;
    }
    control_plane::ready(cluster).await?;
    for node in cluster.nodes() {
        node.start_kubernetes()?;
    }
    registered(cluster).await?;
    say("Deploying CoreDNS");
    dns::deploy(cluster)
}

/// Waits until every kubelet has made its Node, and pods have an account to run under.
async fn registered(cluster: &Cluster) -> Result<()> {
    let nodes = cluster
        .nodes()
        .iter()
        .map(|node| format!("node/{}", node.name()));
    let query = cluster
        .kubectl()?
        .args(["get", "serviceaccount/default"])
        .args(nodes);
    wait_until("the nodes are registered", REGISTERED, async || {
        if let Err(ended) = cluster.check() {
            return Ok(Err(ended));
        }
        query.read().map(|_output| Ok(()))
    })
    .await?
}
