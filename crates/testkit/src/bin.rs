//! The programs of this repository, as cargo built them.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// The path of one of our programs: what `CNI_SHIM_PROGRAM`, for the program `cni-shim`, names;
/// else beside the directory of the running test.
///
/// # Errors
/// It was not built: names the command that builds it.
pub fn bin(name: &str) -> Result<PathBuf> {
    let variable = format!("{}_PROGRAM", name.replace('-', "_").to_uppercase());
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let test = env::current_exe().context("a test has a path")?;
    let directory = test
        .parent()
        .and_then(Path::parent)
        .context("a test lies below target/")?;
    let path = directory.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build -p central -p controller -p daemon -p cni-shim`, or `cargo xtask test`",
        path.display()
    );
    Ok(path)
}
