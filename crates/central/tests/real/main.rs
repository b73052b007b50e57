//! The built program with real databases, northd, Open vSwitch and ovn-controller.

#![cfg(test)]

mod secured;

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    Netns,
    command::Invocation,
    process::{self, Process},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(40);
const NB: &str = "--db=tcp:127.0.0.1:6641";
const SB: &str = "--db=tcp:127.0.0.1:6642";

/// A host of its own, whose folders outlive the programs on it.
struct Host {
    netns: Netns,
    folder: TempDir,
}

// === impl Host ===

impl Host {
    fn new() -> Result<Self> {
        Ok(Self {
            netns: Netns::create("central")?,
            folder: tempfile::tempdir()?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, role: &str, arguments: &[&str]) -> Result<Process> {
        self.netns
            .command(env!("CARGO_BIN_EXE_kube-ovn-central"))
            .arg(role)
            .args(arguments)
            .spawn(role, self.folder.path())
    }

    fn central(&self, address: &str) -> Result<Process> {
        self.central_with(&["--address", address])
    }

    fn central_with(&self, arguments: &[&str]) -> Result<Process> {
        let databases = self.path("databases").display().to_string();
        let run = self.path("run").display().to_string();
        let folders = ["--database-directory", &databases, "--run-directory", &run];
        self.start("central", &[arguments, &folders[..]].concat())
    }

    fn vswitch(&self) -> Result<Process> {
        self.vswitch_with(&["--ovn-remote=tcp:127.0.0.1:6642"])
    }

    fn vswitch_with(&self, arguments: &[&str]) -> Result<Process> {
        let [databases, run, ovn] = ["vswitch-databases", "vswitch-run", "vswitch-ovn"]
            .map(|name| self.path(name).display().to_string());
        let fixed = [
            "--node-name=n1",
            "--address=127.0.0.1",
            "--datapath-type=netdev",
            "--database-directory",
            &databases,
            "--run-directory",
            &run,
            "--ovn-run-directory",
            &ovn,
        ];
        self.start("vswitch", &[arguments, &fixed[..]].concat())
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Invocation {
        self.netns.command(name).arg("--timeout=5").args(arguments)
    }

    /// What a tool prints, as soon as it succeeds and `is_wanted`.
    async fn eventually(
        &self,
        call: Invocation,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let log = |role: &str| process::tail(&self.path(&format!("{role}.log")), 20);
        let answer = wait_until("a tool answers as wanted", PATIENCE, async || {
            let answer = call.read()?;
            ensure!(is_wanted(&answer), "answered {answer:?}");
            Ok(answer)
        });
        answer
            .await
            .with_context(|| format!("{}\n{}", log("central"), log("vswitch")))
    }

    async fn is_ready(&self, port: u16) -> Result<()> {
        let url = format!("http://127.0.0.1:{port}/readyz");
        let call = self.netns.command("curl").args(["-sSf", &url]);
        self.eventually(call, |_| true).await.map(drop)
    }

    fn pid(&self, file: &str) -> Result<i32> {
        Ok(fs::read_to_string(self.path(file))?.trim().parse()?)
    }
}

/// Asks a program to end, and waits until it has.
async fn stop(mut program: Process) -> Result<()> {
    kill(Pid::from_raw(i32::try_from(program.id())?), Signal::SIGTERM)?;
    wait_until("the program ends", PATIENCE, async || {
        ensure!(program.has_ended()?, "it runs");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn central_is_a_cluster_of_one_that_keeps_its_content_and_may_move() -> Result<()> {
    let host = Host::new()?;
    let program = host.central("127.0.0.1")?;
    host.is_ready(10661).await?;
    host.tool("ovn-nbctl", &[NB, "ls-add", "kept"]).read()?;
    let control = host.path("run/ovnnb_db.ctl").display().to_string();
    let status = host.tool(
        "ovs-appctl",
        &["-t", &control, "cluster/status", "OVN_Northbound"],
    );
    assert!(status.read()?.contains("Role: leader"));
    let datapaths = ["--columns=external_ids", "list", "Datapath_Binding"];
    let compiled = host.tool("ovn-sbctl", &[&[SB], &datapaths[..]].concat());
    host.eventually(compiled, |text| text.contains("kept"))
        .await?;
    stop(program).await?;

    host.netns.ip(["address add 10.9.9.9/32 dev lo"])?;
    let program = host.central("10.9.9.9")?;
    host.is_ready(10661).await?;
    assert!(
        host.tool("ovn-nbctl", &[NB, "ls-list"])
            .read()?
            .contains("kept")
    );
    assert!(status.read()?.contains("tcp:10.9.9.9:6643"));
    stop(program).await
}

#[tokio::test]
async fn databases_of_an_older_version_get_the_columns_of_this_one() -> Result<()> {
    let host = Host::new()?;
    let program = host.central("127.0.0.1")?;
    host.is_ready(10661).await?;
    host.tool("ovn-nbctl", &[NB, "ls-add", "kept"]).read()?;
    stop(program).await?;

    let schemas = host.path("share");
    fs::create_dir_all(schemas.join("ovn"))?;
    let installed = PathBuf::from("/usr/share");
    let [nb, sb] = ["ovn/ovn-nb.ovsschema", "ovn/ovn-sb.ovsschema"];
    fs::copy(installed.join(sb), schemas.join(sb))?;
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(installed.join(nb))?)?;
    schema["version"] = "99.0.0".into();
    schema["tables"]["Logical_Switch"]["columns"]["novelty"] = json!({ "type": "string" });
    fs::write(schemas.join(nb), schema.to_string())?;
    let schemas = schemas.display().to_string();
    let arguments = ["--address=127.0.0.1", "--schema-directory", &schemas];
    let program = host.central_with(&arguments)?;
    host.is_ready(10661).await?;
    let dump = [
        "dump",
        "tcp:127.0.0.1:6641",
        "OVN_Northbound",
        "Logical_Switch",
        "name",
        "novelty",
    ];
    let dump = host.tool("ovsdb-client", &dump).read()?;
    assert!(dump.contains("novelty") && dump.contains("kept"), "{dump}");
    stop(program).await
}

#[tokio::test]
async fn a_northd_that_died_is_replaced_and_counted() -> Result<()> {
    let host = Host::new()?;
    let _program = host.central("127.0.0.1")?;
    host.is_ready(10661).await?;
    let first = host.pid("run/ovn-northd.pid")?;
    kill(Pid::from_raw(first), Signal::SIGKILL)?;
    let metrics = host
        .netns
        .command("curl")
        .args(["-sSf", "http://127.0.0.1:10661/metrics"]);
    let counted = r#"central_deaths_total{program="northd"} 1"#;
    host.eventually(metrics, |text| text.contains(counted))
        .await?;
    wait_until("another northd runs", PATIENCE, async || {
        ensure!(
            host.pid("run/ovn-northd.pid")? != first,
            "the file names the dead one"
        );
        Ok(())
    })
    .await?;
    host.is_ready(10661).await
}

#[tokio::test]
async fn vswitch_is_ready_when_ovn_controller_reaches_central_and_keeps_its_name() -> Result<()> {
    let host = Host::new()?;
    let vswitch = host.vswitch()?;
    let ready = host
        .netns
        .command("curl")
        .args(["-sS", "http://127.0.0.1:10663/readyz"]);
    host.eventually(ready, |text| text.contains("not connected"))
        .await?;
    let _central = host.central("127.0.0.1")?;
    host.is_ready(10663).await?;
    let chassis = host.tool(
        "ovn-sbctl",
        &[SB, "--columns=_uuid,name,hostname", "list", "Chassis"],
    );
    let registered = host
        .eventually(chassis.clone(), |text| text.contains("n1"))
        .await?;

    stop(vswitch).await?;
    // the node goes on as it is while the program is away
    assert_eq!(chassis.read()?, registered);
    let _vswitch = host.vswitch()?;
    host.is_ready(10663).await?;
    assert_eq!(chassis.read()?, registered);
    Ok(())
}

#[tokio::test]
async fn a_kernel_without_the_module_is_told_with_the_remedy() -> Result<()> {
    let host = Host::new()?;
    let tool = host.path("ovs-dpctl");
    fs::write(&tool, "#!/bin/sh\nexit 1\n")?;
    fs::set_permissions(&tool, Permissions::from_mode(0o755))?;
    let path = format!("{}:{}", host.folder.path().display(), env::var("PATH")?);
    let mut program = host
        .netns
        .command(env!("CARGO_BIN_EXE_kube-ovn-central"))
        .args([
            "vswitch",
            "--node-name=n1",
            "--ovn-remote=tcp:127.0.0.1:6642",
        ])
        .env("PATH", path)
        .spawn("vswitch", host.folder.path())?;
    wait_until("the program ends", PATIENCE, async || {
        ensure!(program.has_ended()?, "it runs");
        Ok(())
    })
    .await?;
    let log = fs::read_to_string(program.log())?;
    assert!(log.contains("modprobe openvswitch"), "{log}");
    Ok(())
}
