//! `cargo xtask tidy`: rules of the project that the compiler does not know; seconds, and before
//! anything is compiled.

mod behaviour;
mod edges;
mod generated;
mod licences;
mod manifests;
mod modules;
mod text;
mod tree;
mod violation;

use anyhow::{Result, bail};
use cargo_metadata::MetadataCommand;

use self::{tree::Tree, violation::Violation};
use crate::{console, workspace::Workspace};

/// Checks every rule and prints one line for each violation.
///
/// # Errors
/// When a rule is violated, or the workspace cannot be read.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let violations = check(workspace)?;
    for violation in &violations {
        console::complain(&violation.to_string());
    }
    match violations.len() {
        0 => Ok(()),
        1 => bail!("1 violation of the project's rules"),
        count => bail!("{count} violations of the project's rules"),
    }
}

fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let tree = Tree::read(workspace.root())?;
    let metadata = MetadataCommand::new()
        .current_dir(workspace.root())
        .other_options(["--locked".to_owned()])
        .exec()?;
    let members = manifests::members(&metadata, &tree);
    let packages = licences::packages(&metadata);

    let mut violations = Vec::new();
    violations.extend(edges::check(&members));
    violations.extend(manifests::check(&members));
    violations.extend(licences::check(&packages));
    violations.extend(modules::check(&tree));
    violations.extend(text::check(&tree));
    violations.extend(generated::check(&tree));
    violations.extend(behaviour::check(&tree));
    violations.sort();
    Ok(violations)
}
