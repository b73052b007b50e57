//! Certificates from nothing: the controller makes the Secret, and with it the databases come up
//! and the controller reaches them.
#![cfg(test)]

use std::path::Path;

use anyhow::{Context, Result};
use testkit::{
    Cluster, Lab, LabOptions, OvnVersion,
    bin::bin,
    cluster::bring_certificates,
    command::Invocation,
    lab,
    process::{self, Process},
};

const ADMIN: u16 = 10660;
/// The lab's own databases have the ports that are usual.
const NORTHBOUND: &str = "ssl:127.0.0.1:7641";

#[test]
fn with_tls_the_controller_makes_the_secret_that_the_databases_wait_for() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::prepare(lab).await?;
        let controller = start_controller(lab)?;
        let certificates = lab.directory().join("certificates");
        bring_certificates(lab, &certificates).await?;
        let _central = start_central(lab, &certificates)?;
        cluster
            .controller_ready(ADMIN)
            .await
            .with_context(|| process::tail(controller.log(), 20))
    });
}

fn start(lab: &Lab, program: &str, arguments: &[String]) -> Result<Process> {
    Invocation::new(bin(program)?)
        .in_netns(lab.central().netns().path())
        .args(arguments)
        .spawn(program, lab.directory())
}

fn start_controller(lab: &Lab) -> Result<Process> {
    let kubeconfig = lab.api_server()?.kubeconfig().display();
    let arguments = [
        format!("--kubeconfig={kubeconfig}"),
        format!("--ovn-nb-addr={NORTHBOUND}"),
        "--leader-elect=false".to_owned(),
    ];
    start(lab, "controller", &arguments)
}

fn start_central(lab: &Lab, certificates: &Path) -> Result<Process> {
    let folder = lab.directory().join("secured");
    let arguments = [
        "central".to_owned(),
        "--address=127.0.0.1".to_owned(),
        "--nb-port=7641".to_owned(),
        "--sb-port=7642".to_owned(),
        "--nb-cluster-port=7643".to_owned(),
        "--sb-cluster-port=7644".to_owned(),
        "--enable-ssl=true".to_owned(),
        format!("--tls-directory={}", certificates.display()),
        format!("--database-directory={}", folder.display()),
        format!("--run-directory={}", folder.join("run").display()),
    ];
    start(lab, "kube-ovn-central", &arguments)
}
