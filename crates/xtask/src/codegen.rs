//! `cargo xtask codegen`: files that are derived from others, checked in, and never edited.

mod rows;
mod schema;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::console;
use crate::workspace::Workspace;

/// Arguments of `cargo xtask codegen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compare with what is checked in and write nothing.
    #[arg(long)]
    check: bool,
}

/// One generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generated {
    /// Relative to the root of the workspace.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Generates everything, and writes it or compares it.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let differing: Vec<Generated> = everything(workspace)?
        .into_iter()
        .filter(|file| read(workspace, file).as_ref() != Some(&file.text))
        .collect();
    if args.check {
        return report(&differing);
    }
    for file in &differing {
        write(&workspace.path(&file.path), &file.text)?;
        console::say(&format!("wrote {}", file.path));
    }
    Ok(())
}

fn everything(workspace: &Workspace) -> Result<Vec<Generated>> {
    rows::generate(workspace)
}

fn read(workspace: &Workspace, file: &Generated) -> Option<String> {
    fs::read_to_string(workspace.path(&file.path)).ok()
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn report(differing: &[Generated]) -> Result<()> {
    if differing.is_empty() {
        return Ok(());
    }
    for file in differing {
        console::complain(&format!("{}: differs from what is generated", file.path));
    }
    bail!("run `cargo xtask codegen` and commit the result");
}
