//! Several controllers on one API server and one NB: one writes, another follows it.
#![cfg(test)]

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use nix::sys::signal::Signal;
use serde_json::json;
use testkit::{
    Cluster, Lab, LabOptions, OvnVersion,
    command::Invocation,
    lab,
    objects::pod,
    ovn::Programs,
    process::Process,
    versions::{changed, settled_versions, versions},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// A canary that is away is noticed after half a minute and a few seconds.
const MUTE: Duration = Duration::from_mins(1);
const NOBODY: &str = "";
const LEASE_SECONDS: u64 = 3;
/// Longer than counters may wait before they are written.
const QUIET: Duration = Duration::from_secs(6);
const FIRST_ADMIN: u16 = 10660;
const SECOND_ADMIN: u16 = 10661;
const LEADER_ADDRESS: &str = "ovn.kubernetes.io/leader-address";

#[test]
fn after_the_leader_was_killed_another_gives_a_new_pod_its_port() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::prepare(lab).await?;
        let (mut first, mut second) = start_two(&cluster, lab).await?;
        wait_for_port(lab, "a").await?;
        ensure_holder(lab, "first").await?;

        first.kill()?;
        wait_for_holder(lab, "second").await?;
        wait_for_port(lab, "b").await?;

        terminate(&second)?;
        wait_for_holder(lab, NOBODY).await?;
        wait_for_end(&mut second).await?;
        let mut third = start(&cluster, lab, "third", FIRST_ADMIN)?;
        wait_for_holder(lab, "third").await?;

        give_to_somebody_else(lab).await?;
        wait_for_end(&mut third).await
    });
}

#[test]
fn who_cannot_write_to_the_database_gives_the_lease_back_and_nobody_takes_it_without() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::prepare(lab).await?;
        let (mut first, second) = start_two(&cluster, lab).await?;

        northbound(lab, "ovsdb-server/remove-remote")?;
        wait_for_end(&mut first).await?;
        ensure_holder(lab, NOBODY).await?;
        northbound(lab, "ovsdb-server/add-remote")?;
        wait_for_holder(lab, "second").await?;
        wait_for_port(lab, "a").await?;
        drop(second);
        Ok(())
    });
}

#[test]
fn a_leader_that_was_stopped_and_goes_on_touches_nothing_of_its_successor() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::prepare(lab).await?;
        let (mut first, second) = start_two(&cluster, lab).await?;
        wait_for_port(lab, "a").await?;

        first.signal(Signal::SIGSTOP)?;
        wait_for_holder(lab, "second").await?;
        wait_for_port(lab, "b").await?;
        let monitor = Programs::find(lab.version())?
            .command("ovsdb-client")?
            .args(["monitor", &lab.central().nb_socket(), "OVN_Northbound"])
            .args(["Logical_Switch_Port", "name"])
            .spawn("monitor", lab.directory())?;
        let written = || fs::read_to_string(monitor.log());
        wait_until("the monitor sees the ports", PATIENCE, async || {
            ensure!(written()?.contains("b.default"), "it does not");
            Ok(())
        })
        .await?;
        let before = settled_versions(lab, QUIET).await?;
        first.signal(Signal::SIGCONT)?;
        wait_for_surrender(&mut first).await?;
        let stale = changed(&before, &versions(lab).await?);
        ensure!(stale.is_empty(), "it wrote {stale:?}");
        wait_for_port(lab, "c").await?;
        wait_until("the monitor sees the next port", PATIENCE, async || {
            ensure!(written()?.contains("c.default"), "it does not");
            Ok(())
        })
        .await?;
        let written = written()?;
        ensure!(!written.contains("delete"), "{written}");
        drop(second);
        Ok(())
    });
}

/// Closes or opens the way by which controllers reach NB.
fn northbound(lab: &Lab, command: &str) -> Result<()> {
    Programs::find(lab.version())?
        .command("ovn-appctl")?
        .arg("-t")
        .arg(lab.directory().join("central").join("nb.ctl"))
        .args([command, "ptcp:6641:[::]"])
        .read()?;
    Ok(())
}

/// As kubelet ends a container.
fn terminate(process: &Process) -> Result<()> {
    Invocation::new("kill")
        .arg(process.id().to_string())
        .read()?;
    Ok(())
}

async fn wait_for_end(process: &mut Process) -> Result<()> {
    wait_until("the controller has ended", MUTE, async || {
        ensure!(process.has_ended()?, "it runs");
        Ok(())
    })
    .await
}

/// Waits until a controller has ended, or stands by for the second.
async fn wait_for_surrender(process: &mut Process) -> Result<()> {
    wait_until("the controller has given up", MUTE, async || {
        let stands_by = fs::read_to_string(process.log())?.contains("holder=\"second\"");
        ensure!(process.has_ended()? || stands_by, "it leads");
        Ok(())
    })
    .await
}

/// One that leads, and one that stands by.
async fn start_two(cluster: &Cluster<'_>, lab: &Lab) -> Result<(Process, Process)> {
    let first = start(cluster, lab, "first", FIRST_ADMIN)?;
    cluster.controller_ready(FIRST_ADMIN).await?;
    wait_for_holder(lab, "first").await?;
    let second = start(cluster, lab, "second", SECOND_ADMIN)?;
    cluster.controller_ready(SECOND_ADMIN).await?;
    Ok((first, second))
}

fn start(cluster: &Cluster<'_>, lab: &Lab, name: &str, admin_port: u16) -> Result<Process> {
    cluster
        .controller_program()?
        .arg(format!("--identity={name}"))
        .arg("--pod-ip=192.0.2.1")
        .arg(format!("--leader-elect-lease-duration={LEASE_SECONDS}"))
        .arg(format!("--admin-address=[::]:{admin_port}"))
        .spawn(name, &lab.directory().join("central"))
}

async fn wait_for_port(lab: &Lab, name: &str) -> Result<()> {
    let api_server = lab.api_server()?;
    api_server.create_pod(&pod(name).on("n1").build()).await?;
    let port = format!("({name}.default)");
    wait_until("the pod has a port", PATIENCE, async || {
        let ports = lab.nbctl(["lsp-list", "ovn-default"])?;
        ensure!(ports.contains(&port), "there are {ports}");
        Ok(())
    })
    .await
}

async fn wait_for_holder(lab: &Lab, name: &str) -> Result<()> {
    let what = format!("{name} holds the lease");
    wait_until(&what, PATIENCE, async || ensure_holder(lab, name).await).await
}

async fn ensure_holder(lab: &Lab, name: &str) -> Result<()> {
    let lease = leases(lab)?.get("kube-ovn-controller").await?;
    let annotations = lease.metadata.annotations.unwrap_or_default();
    let address = annotations.get(LEADER_ADDRESS).map(String::as_str);
    ensure!(address == Some("192.0.2.1:10670"), "it is at {address:?}");
    let spec = lease.spec.context("a lease has a spec")?;
    let holder = spec.holder_identity.unwrap_or_default();
    ensure!(holder == name, "`{holder}` does");
    Ok(())
}

async fn give_to_somebody_else(lab: &Lab) -> Result<()> {
    let patch = json!({"spec": {"holderIdentity": "somebody-else"}});
    let parameters = PatchParams::default();
    leases(lab)?
        .patch("kube-ovn-controller", &parameters, &Patch::Merge(patch))
        .await?;
    Ok(())
}

fn leases(lab: &Lab) -> Result<Api<Lease>> {
    Ok(Api::namespaced(lab.api_server()?.client()?, "kube-system"))
}
