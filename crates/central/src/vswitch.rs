//! The Open vSwitch of a node: its database with what OVN must know, its switch, ovn-controller.
//!
//! ```text
//! prepare file -> start ovsdb-server -> settings -> start ovs-vswitchd, ovn-controller
//!                                                        -> until shutdown -> stop in reverse
//! ```
//!
//! Who dies is started again; file and settings are looked at every time. What the switch has is
//! kept meanwhile, see [`flows`].
//!
//! Bridges are made by ovn-controller and by the daemon, not here.

mod flows;
mod identity;
mod settings;

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use kit::{error::Chain, readiness::Condition};
use ovsdb::{Client, Columns, Options, client::Backoff};

use crate::{
    Process,
    args::{Datapath, VswitchArgs},
    children::{Children, Preparation},
    database::follow,
    probe::Probe,
    program::{Program, ProgramError},
    watchdog::Control,
};
use flows::Flows;
use settings::{OPEN_VSWITCH, Settings};

/// The name of the node's database.
const DATABASE: &str = "Open_vSwitch";

/// Before another try to reach a database that is being started.
const SOON: Duration = Duration::from_millis(20);

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
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let settings = Settings::new(args, &system_id, processors)?;
    let conditions =
        ["ovsdb", "ovs-vswitchd", "ovn-controller"].map(|name| process.readiness.condition(name));
    let [database_answers, switch_works, controller_works] = conditions;

    let file = File::of(args);
    children.start_prepared(server(args, &file.path), file.preparation());
    let client = connect(args, database_answers);
    settings.commit(&client).await?;
    tracing::info!(system_id, southbound = settings.southbound(), "Configured");
    drop(kit::spawn("settings", keep(settings, client.clone())));

    let flows = Flows::new(args, client);
    let running = children.start_prepared(switch(args), flows.before_switch());
    drop(kit::spawn(
        "flows",
        flows.clone().follow_switch(running.clone()),
    ));
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

    let running = children.start_prepared(controller(args), flows.before_controller());
    drop(kit::spawn(
        "flows",
        flows.follow_controller(running.clone()),
    ));
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

/// Where the database is, and what it is made from.
#[derive(Debug, Clone)]
struct File {
    path: PathBuf,
    schema: PathBuf,
}

// === impl File ===

impl File {
    fn of(args: &VswitchArgs) -> Self {
        let schemas = &args.programs.schema_directory;
        Self {
            path: args.database_directory.join("conf.db"),
            schema: schemas.join("openvswitch/vswitch.ovsschema"),
        }
    }

    fn preparation(&self) -> Preparation {
        let file = self.clone();
        Box::new(move || {
            let file = file.clone();
            Box::pin(async move { file.prepare().await })
        })
    }

    /// Makes the file when there is none or it cannot be read, and brings it to the schema of the
    /// programs. All that is in it is made again by others.
    async fn prepare(&self) -> Result<()> {
        if !self.path.exists() {
            return self.create().await;
        }
        match self.tool("needs-conversion", &self.path).finish().await {
            Ok(answer) if answer == "yes" => {
                tracing::info!(file = %self.path.display(), "Converting to the schema of this version");
                self.tool("convert", &self.path).finish().await?;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error @ ProgramError::Start { .. }) => Err(error.into()),
            Err(error @ ProgramError::Failed { .. }) => {
                let aside = self.path.with_extension("corrupt");
                let error = Chain(&error).to_string();
                tracing::error!(error, aside = %aside.display(), "Making the database anew");
                fs::rename(&self.path, &aside).context("cannot move the file aside")?;
                self.create().await
            }
        }
    }

    async fn create(&self) -> Result<()> {
        // who is killed meanwhile leaves half a draft, not half a database
        let draft = self.path.with_extension("draft");
        if draft.exists() {
            fs::remove_file(&draft).context("cannot remove what an earlier start left")?;
        }
        self.tool("create", &draft).finish().await?;
        fs::rename(&draft, &self.path).context("cannot put the new file in place")
    }

    fn tool(&self, command: &str, file: &Path) -> Program {
        let tool = Program::new("ovsdb-tool").arg(command);
        tool.arg(file).arg(&self.schema)
    }
}

/// Writes the settings to each database that comes: it may be a new one.
async fn keep(settings: Settings, client: Client) {
    let mut versions = client.replica().watch();
    let mut epoch = versions.borrow_and_update().epoch;
    loop {
        let next = versions.wait_for(|version| version.connected && version.epoch != epoch);
        match next.await {
            Ok(version) => epoch = version.epoch,
            Err(_ended) => return,
        }
        if let Err(error) = settings.commit(&client).await {
            tracing::error!(error = %Chain(&*error), "Cannot write the settings");
        }
    }
}

fn server(args: &VswitchArgs, file: &Path) -> Program {
    Program::new("ovsdb-server")
        .titled("ovsdb")
        .control(Control::In(args.run_directory.clone()))
        .directory("OVS_RUNDIR", &args.run_directory)
        .arg(format!("--remote=p{}", args.database()))
        .arg("--remote=db:Open_vSwitch,Open_vSwitch,manager_options")
        .path_option("--pidfile", &args.run_directory.join("ovsdb-server.pid"))
        .arg(file)
}

fn switch(args: &VswitchArgs) -> Program {
    Program::new("ovs-vswitchd")
        .control(Control::In(args.run_directory.clone()))
        .directory("OVS_RUNDIR", &args.run_directory)
        .directory("OVS_DBDIR", &args.database_directory)
        .directory("OVS_SYSCONFDIR", &args.database_directory)
        .path_option("--pidfile", &args.run_directory.join("ovs-vswitchd.pid"))
        .arg(args.database().to_string())
}

fn controller(args: &VswitchArgs) -> Program {
    Program::new("ovn-controller")
        .control(Control::In(args.ovn_run_directory.clone()))
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
    let columns = [settings::EXTERNAL_IDS, settings::OTHER_CONFIG];
    let mut options =
        Options::new(vec![args.database()], DATABASE).table(OPEN_VSWITCH, Columns::only(columns));
    // it is ours alone
    options.backoff = Backoff {
        min: SOON,
        max: SOON * 10,
    };
    let (client, driver) = Client::new(options);
    drop(kit::spawn("ovsdb-client", driver.run()));
    let watched = client.clone();
    let watch = async move { follow(&watched, "it does not answer", &condition).await };
    drop(kit::spawn("ovsdb", watch));
    client
}
