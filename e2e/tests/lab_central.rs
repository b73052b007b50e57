//! The databases of `kube-ovn-central` and what the API server remembers of them.
#![cfg(test)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{api::Api, config::Kubeconfig};
use testkit::{
    Lab, LabOptions, OvnVersion,
    bin::bin,
    command::Invocation,
    lab,
    process::{self, Process},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(40);
/// The lab's own databases have the ports that are usual.
const NORTHBOUND: &str = "--db=tcp:127.0.0.1:7641";

#[test]
fn databases_that_were_replaced_on_another_node_are_out_of_date_where_they_come_back() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let kubeconfig = lab.api_server()?.kubeconfig().to_owned();
        let first = Site::new(lab, "first", &kubeconfig);
        let program = first.start().await?;
        first.nbctl(&["ls-add", "old"])?;
        first.is_recorded(1).await?;
        drop(program);

        let second = Site::new(lab, "second", &kubeconfig);
        let program = second.start().await?;
        second.is_recorded(2).await?;
        second.nbctl(&["ls-add", "new"])?;
        drop(program);

        let program = second.start().await?;
        assert!(second.nbctl(&["ls-list"])?.contains("new"));
        second.is_recorded(2).await?;
        drop(program);

        let _program = first.start().await?;
        assert_eq!(first.nbctl(&["ls-list"])?, "");
        first.is_recorded(3).await
    });
}

#[test]
fn databases_start_without_the_api_server_that_remembers_them() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let kubeconfig = lab.api_server()?.kubeconfig().to_owned();
        let site = Site::new(lab, "site", &kubeconfig);
        let program = site.start().await?;
        site.nbctl(&["ls-add", "kept"])?;
        drop(program);

        let nowhere = lab.directory().join("nowhere.kubeconfig");
        let mut config = Kubeconfig::read_from(&kubeconfig)?;
        for named in &mut config.clusters {
            let cluster = named.cluster.as_mut().context("a cluster is described")?;
            cluster.server = Some("https://127.0.0.1:1".to_owned());
        }
        fs::write(&nowhere, serde_json::to_string(&config)?)?;
        let cut_off = Site::new(lab, "site", &nowhere);
        let _program = cut_off.start().await?;
        assert!(cut_off.nbctl(&["ls-list"])?.contains("kept"));
        Ok(())
    });
}

/// A node with a folder for the databases; all share the lab's control host.
struct Site<'a> {
    lab: &'a Lab,
    folder: PathBuf,
    kubeconfig: PathBuf,
}

impl<'a> Site<'a> {
    fn new(lab: &'a Lab, name: &str, kubeconfig: &Path) -> Self {
        Self {
            lab,
            folder: lab.directory().join(name),
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// Starts the program and waits until its northbound database takes commands.
    async fn start(&self) -> Result<Process> {
        let arguments = [
            "central".to_owned(),
            "--address=127.0.0.1".to_owned(),
            "--nb-port=7641".to_owned(),
            "--sb-port=7642".to_owned(),
            "--nb-cluster-port=7643".to_owned(),
            "--sb-cluster-port=7644".to_owned(),
            "--pod-name=ovn-central-0".to_owned(),
            format!("--database-directory={}", self.folder.display()),
            format!("--run-directory={}", self.folder.join("run").display()),
        ];
        let program = Invocation::new(bin("kube-ovn-central")?)
            .in_netns(self.lab.central().netns().path())
            .env("KUBECONFIG", &self.kubeconfig)
            .args(arguments)
            .spawn("kube-ovn-central", self.lab.directory())?;
        wait_until("the northbound database answers", PATIENCE, async || {
            self.nbctl(&["show"]).map(drop)
        })
        .await
        .with_context(|| process::tail(program.log(), 20))?;
        Ok(program)
    }

    fn nbctl(&self, arguments: &[&str]) -> Result<String> {
        let call = self.lab.central().netns().command("ovn-nbctl");
        let call = call.args([NORTHBOUND, "--timeout=5"]).args(arguments);
        call.read()
    }

    /// Whether the Lease holds this generation and the id of the database that is served, and is
    /// given back.
    async fn is_recorded(&self, generation: u32) -> Result<()> {
        let file = self.folder.join("ovnnb_db.db").display().to_string();
        let id = Invocation::new("ovsdb-tool")
            .args(["db-cid", &file])
            .read()?;
        let leases = Api::<Lease>::namespaced(self.lab.api_server()?.client()?, "kube-system");
        wait_until("the cluster is recorded", PATIENCE, async || {
            let lease = leases.get("ovn-central").await?;
            let annotations = lease.metadata.annotations.context("nothing is recorded")?;
            let recorded = |name: &str| annotations.get(&format!("ovn.kubernetes.io/{name}"));
            ensure!(
                recorded("generation") == Some(&generation.to_string()),
                "{annotations:?}"
            );
            ensure!(
                recorded("nb-cluster-id") == Some(&id),
                "{annotations:?}, not {id}"
            );
            let spec = lease.spec.context("a lease has a spec")?;
            ensure!(spec.holder_identity.is_none(), "it is held: {spec:?}");
            Ok(())
        })
        .await
    }
}
