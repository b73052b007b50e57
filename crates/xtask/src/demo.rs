//! `cargo xtask demo`: a cluster, the chart, a workload, and a table of who reaches whom in which
//! every row was run in a pod or on a node.

mod breakage;
mod check;
mod facts;
mod install;
mod ready;
mod row;
mod table;
mod workload;

use std::path::PathBuf;

use anyhow::{Result, bail};
use cluster::{Cluster, DIRECTORY, Directory, Options};

use self::{
    breakage::Breakage,
    check::{Check, checks},
    facts::Facts,
    row::Row,
};
use crate::{
    cluster::{Families, block_on},
    console,
    stopwatch::Stopwatch,
    workspace::Workspace,
};

const NODES: u8 = 2;

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the cluster lies: a directory on a disk, for it or by it
    #[arg(long, default_value = DIRECTORY)]
    directory: PathBuf,
    /// The families of the networks of a new cluster
    #[arg(long, value_enum, default_value_t = Families::Dual)]
    families: Families,
    /// Break this first, and restore it afterwards: its rows, and no others, turn red
    #[arg(long = "break", value_enum, value_name = "WHAT")]
    breakage: Option<Breakage>,
    /// Install nothing: only run the rows, on what is there
    #[arg(long)]
    no_install: bool,
    /// Print a line of JSON for each row instead of the table
    #[arg(long)]
    json: bool,
    /// Take the cluster down with all that was installed
    #[arg(long, conflicts_with_all = ["breakage", "json", "no_install"])]
    down: bool,
}

/// Does it.
///
/// # Errors
/// A row is red, or one sentence with cause and remedy.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let directory = Directory::new(std::path::absolute(&args.directory)?);
    if args.down {
        return block_on(cluster::down(&directory));
    }
    let rows = block_on(rows(workspace, directory, args))?;
    report(&rows, args.json)
}

async fn rows(workspace: &Workspace, directory: Directory, args: &Args) -> Result<Vec<Row>> {
    let watch = Stopwatch::start();
    let cluster = if args.no_install {
        Cluster::open(&directory)?
    } else {
        install(workspace, directory, args.families).await?
    };
    breakage::mend(&cluster)?;
    install::deploy(&cluster)?;
    install::delete_probed(&cluster)?;
    ready::wait(&cluster, || watch.seconds()).await?;
    let facts = Facts::observe(&cluster)?;
    let rows = broken_rows(&cluster, &facts, args.breakage).await?;
    console::say(&format!(
        "{} rows, {:.0} s in all",
        rows.len(),
        watch.seconds()
    ));
    Ok(rows)
}

/// A cluster with the chart on it; nothing of it need be ready.
async fn install(
    workspace: &Workspace,
    directory: Directory,
    families: Families,
) -> Result<Cluster> {
    let options = Options {
        directory,
        nodes: NODES,
        families: families.into(),
    };
    let cluster = cluster::up(&options, console::say).await?;
    assets::prepare_go_tool(assets::versions::HELM)?;
    install::install(workspace, &cluster)?;
    Ok(cluster)
}

/// The rows, run while something is broken or not. What was broken is restored, whatever they
/// are.
async fn broken_rows(
    cluster: &Cluster,
    facts: &Facts,
    breakage: Option<Breakage>,
) -> Result<Vec<Row>> {
    let checks = checks(facts);
    let Some(breakage) = breakage else {
        install::deploy_probed(cluster, facts)?;
        return run_all(cluster, checks).await;
    };
    let rows = async {
        // before the controller is stopped, which gives pods their addresses
        install::deploy_probed(cluster, facts)?;
        breakage.inflict(cluster, facts)?;
        run_all(cluster, checks.clone()).await
    };
    let rows = rows.await;
    breakage.restore(cluster, &checks).await?;
    rows
}

async fn run_all(cluster: &Cluster, checks: Vec<Check>) -> Result<Vec<Row>> {
    console::say(&format!(
        "Running {} rows in pods and on nodes",
        checks.len()
    ));
    let mut rows = Vec::new();
    for check in checks {
        rows.push(row::run(cluster, check).await?);
    }
    Ok(rows)
}

fn report(rows: &[Row], json: bool) -> Result<()> {
    if json {
        for row in rows {
            console::say(&row.to_json()?);
        }
    } else {
        console::say(&table::table(rows).to_string());
    }
    match rows.iter().filter(|row| !row.is_green()).count() {
        0 => Ok(()),
        red => bail!("{red} of {} rows are red", rows.len()),
    }
}
