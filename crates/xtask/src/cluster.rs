//! `cargo xtask cluster`: a real Kubernetes on this host, see the crate `cluster`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use cluster::{Cluster, DIRECTORY, Directory, Options};

use crate::{console, process, workspace::Workspace};

/// Arguments of `cargo xtask cluster`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the cluster lies: a directory on a disk, for it or by it.
    #[arg(long, global = true, default_value = DIRECTORY)]
    directory: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Bring it up: control plane, nodes, DNS; its nodes wait for a network to be installed.
    Up {
        /// How many nodes.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=80))]
        nodes: u8,
        /// The families of its networks.
        #[arg(long, value_enum, default_value_t = Families::Dual)]
        families: Families,
    },
    /// Take it down, whatever is left of it.
    Down,
    /// Say what runs.
    Status,
    /// Run kubectl as an administrator.
    #[command(disable_help_flag = true)]
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Give the image in an archive (OCI or Docker) to every node.
    Import {
        /// The archive.
        archive: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Families {
    V4,
    V6,
    Dual,
}

/// Does it.
///
/// # Errors
/// One sentence with cause and remedy.
pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<()> {
    let directory = Directory::new(std::path::absolute(args.directory)?);
    match args.action {
        Action::Up { nodes, families } => block_on(up(&Options {
            directory,
            nodes,
            families: families.into(),
        })),
        Action::Down => block_on(cluster::down(&directory)),
        Action::Status => status(&directory),
        Action::Kubectl { arguments } => kubectl(workspace, &directory, &arguments),
        Action::Import { archive } => import(&directory, &archive),
    }
}

async fn up(options: &Options) -> Result<()> {
    let cluster = cluster::up(options, console::say).await?;
    cluster
        .describe()?
        .iter()
        .for_each(|line| console::say(line));
    console::say("Next: `cargo xtask cluster kubectl get nodes`");
    Ok(())
}

fn status(directory: &Directory) -> Result<()> {
    let cluster = Cluster::open(directory)?;
    cluster
        .describe()?
        .iter()
        .for_each(|line| console::say(line));
    cluster.check()
}

/// With the terminal's own input and output, for as long as it takes.
fn kubectl(workspace: &Workspace, directory: &Directory, arguments: &[OsString]) -> Result<()> {
    let line = Cluster::open(directory)?.kubectl()?.command_line();
    let (program, first) = line.split_first().context("a command has a program")?;
    let mut command = process::command(workspace, program);
    command.args(first).args(arguments);
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    process::run(command)
}

fn import(directory: &Directory, archive: &Path) -> Result<()> {
    Cluster::open(directory)?.import_image(archive).map(drop)
}

pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot build a runtime")?
        .block_on(work)
}

impl From<Families> for cluster::Families {
    fn from(families: Families) -> Self {
        match families {
            Families::V4 => Self::V4,
            Families::V6 => Self::V6,
            Families::Dual => Self::Dual,
        }
    }
}
