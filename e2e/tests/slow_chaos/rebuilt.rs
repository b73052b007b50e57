//! NB next to one that a controller filled from nothing.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use testkit::{Cluster, Fault, dump, ovn::Programs, tell, wait_until};

const PATIENCE: Duration = Duration::from_mins(2);

/// The controller of the lab is stopped, and another one fills an empty database from the same
/// API server: both then say the same.
pub(crate) async fn equals(cluster: &Cluster<'_>) -> Result<()> {
    let lab = cluster.lab();
    let version = lab.version();
    let directory = lab.directory().join("rebuilt");
    std::fs::create_dir(&directory)?;
    let living = lab.central().nb_socket();
    wait_until("there is routing to compare", PATIENCE, async || {
        Counts::of(&dump::northbound(version, &living)?).ensure_some()
    })
    .await?;
    let _gone = "kill controller".parse::<Fault>()?.inject(cluster)?;
    let before = dump::northbound(version, &living)?;
    tell(format_args!(
        "chaos: compared are {:?}",
        Counts::of(&before)
    ))?;

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

/// How many rows there are of users' routing.
#[derive(Debug)]
struct Counts {
    static_routes: usize,
    policy_routes: usize,
    ends_of_links: usize,
}

// === impl Counts ===

impl Counts {
    fn of(rows: &[String]) -> Self {
        let count = |table: &str, word: &str| {
            let rows = rows.iter().filter(|row| row.starts_with(table));
            rows.filter(|row| row.contains(word)).count()
        };
        Self {
            static_routes: count("Logical_Router_Static_Route", "10.250."),
            policy_routes: count("Logical_Router_Policy", "10.252."),
            ends_of_links: count("Logical_Router_Port", "169.254."),
        }
    }

    /// What two users leave at least.
    fn ensure_some(&self) -> Result<()> {
        let has_links = self.ends_of_links >= 4;
        let has_routes = self.static_routes >= 2 && self.policy_routes >= 2;
        ensure!(has_links && has_routes, "there are {self:?}");
        Ok(())
    }
}
