//! NB next to one that a controller filled from nothing.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use testkit::{Cluster, Fault, dump, ovn::Programs, wait_until};

const PATIENCE: Duration = Duration::from_mins(2);

/// The controller of the lab is stopped, and another one fills an empty database from the same
/// API server: both then say the same.
pub(crate) async fn equals(cluster: &Cluster<'_>) -> Result<()> {
    let lab = cluster.lab();
    let version = lab.version();
    let directory = lab.directory().join("rebuilt");
    std::fs::create_dir(&directory)?;
    let _gone = "kill controller".parse::<Fault>()?.inject(cluster)?;
    let before = dump::northbound(version, &lab.central().nb_socket())?;

    let programs = Programs::find(version)?;
    let (file, socket) = (directory.join("nb.db"), directory.join("nb.sock"));
    programs.create_database(&file, "ovn/ovn-nb.ovsschema")?;
    let _server = programs
        .command("ovsdb-server")?
        .in_netns(lab.central().netns().path())
        .arg(format!("--remote=punix:{}", socket.display()))
        .arg(format!("--unixctl={}", directory.join("ctl").display()))
        .arg(&file)
        .spawn("nb", &directory)?;
    wait_until("the database listens", PATIENCE, async || {
        ensure!(Path::new(&socket).exists(), "there is no socket");
        Ok(())
    })
    .await?;
    let remote = format!("unix:{}", socket.display());
    let _controller = cluster
        .controller_of(&remote)?
        .arg("--leader-elect=false")
        .spawn("controller", &directory)?;
    wait_until("both say the same", PATIENCE, async || {
        dump::ensure_equal(&before, &dump::northbound(version, &remote)?)
    })
    .await
}
