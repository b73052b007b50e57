//! A member of the central part: a host of its own that runs the real `kube-ovn-central`.

use std::{
    fs::{self, Permissions},
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use serde_json::json;

use crate::{
    ApiServer, Netns,
    bin::bin,
    command::Invocation,
    ovn::{NB_PORT, Programs, SB_PORT},
    process::Process,
    wait_until,
};

/// Where pods of the central part are.
const NAMESPACE: &str = "kube-system";
const PATIENCE: Duration = Duration::from_secs(40);
/// What a member starts, by the names in `PATH`.
const PROGRAMS: [&str; 4] = ["ovsdb-server", "ovsdb-tool", "ovsdb-client", "ovn-northd"];

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// OVN_Northbound
    Northbound,
    /// OVN_Southbound
    Southbound,
}

/// A host with `kube-ovn-central central`; see [`crate::LabOptions::central_members`].
#[derive(Debug)]
pub struct Member {
    name: String,
    address: IpAddr,
    directory: PathBuf,
    kubeconfig: PathBuf,
    programs: Programs,
    process: Mutex<Option<Process>>,
    netns: Netns,
}

// === impl Database ===

impl Database {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Northbound, Self::Southbound];

    /// As files and programs call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Northbound => "nb",
            Self::Southbound => "sb",
        }
    }

    const fn schema(self) -> &'static str {
        match self {
            Self::Northbound => "OVN_Northbound",
            Self::Southbound => "OVN_Southbound",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Northbound => NB_PORT,
            Self::Southbound => SB_PORT,
        }
    }
}

// === impl Member ===

impl Member {
    pub(crate) fn new(
        name: &str,
        (netns, address): (Netns, IpAddr),
        programs: Programs,
        kubeconfig: &Path,
        directory: PathBuf,
    ) -> Result<Self> {
        let member = Self {
            name: name.to_owned(),
            address,
            directory,
            kubeconfig: kubeconfig.to_owned(),
            programs,
            process: Mutex::default(),
            netns,
        };
        member.write_programs()?;
        Ok(member)
    }

    /// Programs of a version by their names, whatever it takes to start them.
    fn write_programs(&self) -> Result<()> {
        let folder = self.directory.join("bin");
        fs::create_dir(&folder)?;
        for name in PROGRAMS {
            let file = folder.join(name);
            let line = self.programs.command(name)?.command_line();
            let line: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
            let mut words = line.join(" ");
            if words == name {
                words = format!("env PATH=/usr/sbin:/usr/bin:/sbin:/bin {name}");
            }
            fs::write(&file, format!("#!/bin/sh\nexec {words} \"$@\"\n"))?;
            fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// Its pod's name, which is the host's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the management network.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Its namespace.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.directory.join("kube-ovn-central.log")
    }

    /// Creates its pod, on a node of its own.
    ///
    /// # Errors
    /// The API server rejects it.
    pub async fn create_pod(&self, api_server: &ApiServer) -> Result<()> {
        let pod = json!({
            "metadata": { "name": self.name, "labels": { "app": "ovn-central" } },
            "spec": {
                "hostNetwork": true,
                "nodeName": self.name,
                "containers": [{ "name": "ovn-central", "image": "lab" }],
            },
        });
        let pods = pods(api_server)?;
        let pod: Pod = serde_json::from_value(pod)?;
        let created = pods.create(&PostParams::default(), &pod).await;
        created.context("cannot create a pod of the central part")?;
        let address = self.address.to_string();
        let status = json!({ "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{ "ip": address }],
        }});
        pods.patch_status(&self.name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .context("cannot set the status of a pod")?;
        Ok(())
    }

    /// Deletes its pod at once, as when its node is removed.
    ///
    /// # Errors
    /// It does not exist.
    pub async fn delete_pod(&self, api_server: &ApiServer) -> Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        let deleted = pods(api_server)?.delete(&self.name, &at_once).await;
        deleted.context("cannot delete a pod of the central part")?;
        Ok(())
    }

    /// Starts the program; one that runs is killed first. The log begins anew.
    ///
    /// # Errors
    /// It was not built.
    pub fn start(&self) -> Result<()> {
        self.kill();
        let path = |name: &str| self.directory.join(name).display().to_string();
        let share = self.programs.schema("");
        let program = Invocation::new(bin("kube-ovn-central")?)
            .in_netns(self.netns.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("NO_COLOR", "1")
            .env(
                "PATH",
                format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", path("bin")),
            )
            .arg("central")
            .arg(format!("--address={}", self.address))
            .arg(format!("--pod-name={}", self.name))
            .arg(format!("--database-directory={}", path("databases")))
            .arg(format!("--run-directory={}", path("run")))
            .arg(format!("--schema-directory={}", share.display()));
        let process = program.spawn("kube-ovn-central", &self.directory)?;
        *self.process.lock() = Some(process);
        Ok(())
    }

    /// Asks the program to end, and waits until it has.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub async fn stop(&self) -> Result<()> {
        let process = self.process.lock().take();
        let mut process = process.context("the member does not run")?;
        signal("TERM", &process.id().to_string())?;
        wait_until("the member ends", PATIENCE, async || {
            ensure!(process.has_ended()?, "it runs");
            Ok(())
        })
        .await
    }

    /// Kills the program (SIGKILL); what it started ends as well.
    pub fn kill(&self) {
        drop(self.process.lock().take());
    }

    /// Kills the server of a database (SIGKILL); the program starts it again.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_server(&self, database: Database) -> Result<()> {
        self.kill_child(&format!("ovn{}_db.pid", database.name()))
    }

    /// Kills northd (SIGKILL); the program starts it again.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_northd(&self) -> Result<()> {
        self.kill_child("ovn-northd.pid")
    }

    fn kill_child(&self, pid_file: &str) -> Result<()> {
        let pid = fs::read_to_string(self.directory.join("run").join(pid_file));
        signal("KILL", pid.context("it never ran")?.trim())
    }

    /// The file of a database.
    pub fn file(&self, database: Database) -> PathBuf {
        let name = format!("ovn{}_db.db", database.name());
        self.directory.join("databases").join(name)
    }

    /// Removes both databases, whether or not programs have them open.
    ///
    /// # Errors
    /// One is not there.
    pub fn remove_files(&self) -> Result<()> {
        for database in Database::ALL {
            fs::remove_file(self.file(database))?;
        }
        Ok(())
    }

    /// The cluster that the file of a database belongs to.
    ///
    /// # Errors
    /// There is no such file, or it is spoiled.
    pub fn cluster(&self, database: Database) -> Result<String> {
        let tool = self.programs.command("ovsdb-tool")?.arg("db-cid");
        tool.arg(self.file(database)).read()
    }

    /// What the server of a database says of its cluster.
    ///
    /// # Errors
    /// It does not answer.
    pub fn status(&self, database: Database) -> Result<String> {
        self.control(database, &["cluster/status"])
    }

    /// Whether this member leads a database's cluster.
    pub fn leads(&self, database: Database) -> bool {
        self.status(database)
            .is_ok_and(|status| status.contains("\nRole: leader\n"))
    }

    /// Has this member give the lead of a database's cluster to another.
    ///
    /// # Errors
    /// It does not lead.
    pub fn move_lead(&self, database: Database) -> Result<()> {
        ensure!(self.leads(database), "{} does not lead", self.name);
        self.control(database, &["cluster/failure-test", "transfer-leadership"])
            .map(drop)
    }

    fn control(&self, database: Database, words: &[&str]) -> Result<String> {
        let (command, arguments) = words.split_first().context("a command has a name")?;
        let socket = format!("ovn{}_db.ctl", database.name());
        let failure = *command == "cluster/failure-test";
        let subject = (!failure).then_some(database.schema());
        self.programs
            .command("ovs-appctl")?
            .arg("-t")
            .arg(self.directory.join("run").join(socket))
            .args(["--timeout=5", command])
            .args(subject)
            .args(arguments)
            .read()
    }

    /// How others reach the server of a database.
    pub fn remote(&self, database: Database) -> String {
        let address = std::net::SocketAddr::new(self.address, database.port());
        format!("tcp:{address}")
    }
}

fn pods(api_server: &ApiServer) -> Result<Api<Pod>> {
    Ok(Api::namespaced(api_server.client()?, NAMESPACE))
}

fn signal(name: &str, pid: &str) -> Result<()> {
    let call = Invocation::new("kill").args(["-s", name, pid]);
    call.read().map(drop)
}
