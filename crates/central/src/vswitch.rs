//! The Open vSwitch of a node: its database with what OVN must know, its switch, ovn-controller.
//!
//! ```text
//! prepare file -> start ovsdb-server -> settings -> start ovs-vswitchd, ovn-controller
//!                                                        -> until shutdown -> stop in reverse
//! ```
//!
//! Bridges are made by ovn-controller and by the daemon, not here.

mod identity;
mod settings;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use kit::readiness::Condition;
use ovsdb::{Client, Columns, Options};

use crate::{
    Process,
    args::{Datapath, VswitchArgs},
    children::Children,
    database::follow,
    probe::Probe,
    program::Program,
};
use settings::{OPEN_VSWITCH, Settings};

/// The name of the node's database.
const DATABASE: &str = "Open_vSwitch";

/// Runs a node's Open vSwitch until shutdown.
///
/// # Errors
/// When the database cannot be made or configured; what dies later is started again.
pub(crate) async fn run(args: VswitchArgs, process: Process) -> Result<()> {
    let mut children = Children::new(&process.registry)?;
    let starting = start(&args, &process, &mut children);
    let done = process.shutdown.run_until_cancelled(starting).await;
    let done = done.unwrap_or(Ok(()));
    if done.is_ok() {
        process.shutdown.cancelled().await;
    }
    children.stop().await;
    done
}

async fn start(args: &VswitchArgs, process: &Process, children: &mut Children) -> Result<()> {
    if args.datapath_type == Datapath::System {
        find_kernel_datapath().await?;
    }
    let directories = [
        &args.database_directory,
        &args.run_directory,
        &args.ovn_run_directory,
    ];
    for directory in directories {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the folder {}", directory.display()))?;
    }
    let system_id = identity::system_id(&args.database_directory)?;
    let settings = Settings::new(args, &system_id)?;
    let conditions =
        ["ovsdb", "ovs-vswitchd", "ovn-controller"].map(|name| process.readiness.condition(name));
    let [database_answers, switch_works, controller_works] = conditions;

    let file = args.database_directory.join("conf.db");
    let schema = args
        .programs
        .schema_directory
        .join("openvswitch/vswitch.ovsschema");
    prepare(&file, &schema)
        .await
        .context("cannot prepare the database Open_vSwitch")?;
    children.start(server(args, &file));
    let client = connect(args, database_answers);
    settings.commit(&client).await?;
    tracing::info!(system_id, southbound = settings.southbound(), "Configured");

    let running = children.start(switch(args));
    let probe = Probe {
        program: "ovs-vswitchd",
        directory: args.run_directory.clone(),
        command: "version",
        wanted: "ovs-vswitchd (Open vSwitch)",
        otherwise: None,
    };
    drop(kit::spawn(
        "ovs-vswitchd",
        probe.follow(running, switch_works),
    ));

    let running = children.start(controller(args));
    let probe = Probe {
        program: "ovn-controller",
        directory: args.ovn_run_directory.clone(),
        command: "connection-status",
        wanted: "connected",
        // a cluster that was made anew counts its transactions from nothing, and would be refused
        otherwise: Some("sb-cluster-state-reset"),
    };
    drop(kit::spawn(
        "ovn-controller",
        probe.follow(running, controller_works),
    ));
    Ok(())
}

/// Asks for datapaths, upon which the kernel loads the module where it is installed.
async fn find_kernel_datapath() -> Result<()> {
    let list = Program::new("ovs-dpctl").arg("dump-dps");
    list.finish().await.map(drop).context(
        "the kernel does not switch for Open vSwitch: load its module by `modprobe openvswitch`, \
         or choose the datapath type netdev",
    )
}

/// Makes the file when there is none, and brings it to the schema of the programs.
async fn prepare(file: &Path, schema: &Path) -> Result<()> {
    let tool = |command: &str, file: &Path| {
        Program::new("ovsdb-tool")
            .arg(command)
            .arg(file)
            .arg(schema)
    };
    if !file.exists() {
        // who is killed meanwhile leaves half a draft, not half a database
        let draft = file.with_extension("draft");
        if draft.exists() {
            fs::remove_file(&draft).context("cannot remove what an earlier start left")?;
        }
        tool("create", &draft).finish().await?;
        return fs::rename(&draft, file).context("cannot put the new file in place");
    }
    if tool("needs-conversion", file).finish().await? == "yes" {
        tracing::info!(file = %file.display(), "Converting to the schema of this version");
        tool("convert", file).finish().await?;
    }
    Ok(())
}

fn server(args: &VswitchArgs, file: &Path) -> Program {
    Program::new("ovsdb-server")
        .titled("ovsdb")
        .directory("OVS_RUNDIR", &args.run_directory)
        .arg(format!("--remote=p{}", args.database()))
        .arg("--remote=db:Open_vSwitch,Open_vSwitch,manager_options")
        .path_option("--pidfile", &args.run_directory.join("ovsdb-server.pid"))
        .arg(file)
}

fn switch(args: &VswitchArgs) -> Program {
    Program::new("ovs-vswitchd")
        .directory("OVS_RUNDIR", &args.run_directory)
        .directory("OVS_DBDIR", &args.database_directory)
        .directory("OVS_SYSCONFDIR", &args.database_directory)
        .path_option("--pidfile", &args.run_directory.join("ovs-vswitchd.pid"))
        .arg(args.database().to_string())
}

fn controller(args: &VswitchArgs) -> Program {
    Program::new("ovn-controller")
        .directory("OVS_RUNDIR", &args.run_directory)
        .directory("OVN_RUNDIR", &args.ovn_run_directory)
        .path_option(
            "--pidfile",
            &args.ovn_run_directory.join("ovn-controller.pid"),
        )
        .args(args.programs.tls_options())
        .arg(args.database().to_string())
}

/// A client of the node's database; `condition` holds while it is connected.
fn connect(args: &VswitchArgs, condition: Condition) -> Client {
    let options = Options::new(vec![args.database()], DATABASE)
        .table(OPEN_VSWITCH, Columns::only([settings::EXTERNAL_IDS]));
    let (client, driver) = Client::new(options);
    drop(kit::spawn("ovsdb-client", driver.run()));
    let watched = client.clone();
    let watch = async move { follow(&watched, "it does not answer", &condition).await };
    drop(kit::spawn("ovsdb", watch));
    client
}
