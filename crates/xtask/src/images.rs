//! `cargo xtask images`: the programs, and the images of `deploy/images` around them.
//!
//! ```text
//! cargo build --> strip --> target/images/context/bin --> Dockerfile --> target/images/<role>.tar
//! ```
//!
//! An image is built again only when one of its inputs has changed.

mod stamp;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cluster::Builder;

use crate::{console, process, shim, workspace::Workspace};
use stamp::Stamp;

/// Arguments of `cargo xtask images`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Optimized programs; without, quick to build
    #[arg(long)]
    release: bool,
    /// Where the images belong
    #[arg(long, default_value = REGISTRY, value_name = "PREFIX")]
    registry: String,
    /// Their tag
    #[arg(long, default_value = TAG, value_name = "TAG")]
    tag: String,
    /// Build the programs and put them into this folder, and leave the images to another builder
    #[arg(long, value_name = "FOLDER")]
    context: Option<PathBuf>,
}

/// What the chart asks for when nothing else is said.
const REGISTRY: &str = "docker.io/kubeovn-rs";
const TAG: &str = "v0.1.0";

/// Where Dockerfiles are, one folder for each role.
const DOCKERFILES: &str = "deploy/images";

/// The packages whose programs go into images, and what cargo calls these; in the images they are
/// `kube-ovn-<package>`.
const PACKAGES: [(&str, &str); 5] = [
    ("controller", "controller"),
    ("daemon", "daemon"),
    ("central", "kube-ovn-central"),
    ("nat-gateway", "nat-gateway"),
    ("pinger", "pinger"),
];

/// An image, and the programs in it by the names that they have there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Role {
    name: &'static str,
    programs: &'static [&'static str],
}

const ROLES: [Role; 5] = [
    Role {
        name: "controller",
        programs: &["kube-ovn-controller"],
    },
    Role {
        name: "daemon",
        programs: &["kube-ovn-daemon", PLUGIN],
    },
    Role {
        name: "ovn",
        programs: &["kube-ovn-central"],
    },
    Role {
        name: "nat-gateway",
        programs: &["kube-ovn-nat-gateway"],
    },
    Role {
        name: "pinger",
        programs: &["kube-ovn-pinger"],
    },
];

/// The CNI plugin as container runtimes call it.
const PLUGIN: &str = "kube-ovn";

/// Builds what is missing or out of date, and says where it is.
///
/// # Errors
/// One sentence with cause and remedy.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if let Some(context) = &args.context {
        stage(workspace, args.release, &std::path::absolute(context)?)?;
        console::say(&format!(
            "Next: `docker build --file {DOCKERFILES}/<role>/Dockerfile {}`",
            context.display()
        ));
        return Ok(());
    }
    build(workspace, args)?
        .iter()
        .for_each(|archive| console::say(&archive.display().to_string()));
    Ok(())
}

/// Builds the images that are missing or out of date, and returns the archives of all.
///
/// # Errors
/// A program or a step of a Dockerfile failed, or there is no builder and it cannot be installed.
pub(crate) fn build(workspace: &Workspace, args: &Args) -> Result<Vec<PathBuf>> {
    let folder = workspace.target().join("images");
    let context = folder.join("context");
    stage(workspace, args.release, &context)?;
    let mut builder = None;
    let mut archives = Vec::new();
    for role in ROLES {
        let image = format!("{}/{}:{}", args.registry, role.name, args.tag);
        let archive = folder.join(role.name).with_extension("tar");
        let stamp = Stamp::of(workspace, &image, &role.inputs(workspace, &context))?;
        if archive.exists() && stamp.is_kept_beside(&archive) {
            console::say(&format!("{image} is up to date"));
        } else {
            let builder = match &builder {
                Some(builder) => builder,
                None => builder.insert(Builder::prepare()?),
            };
            console::say(&format!("building {image}"));
            builder.build(&image, &role.dockerfile(workspace), &context, &archive)?;
            stamp.keep_beside(&archive)?;
        }
        archives.push(archive);
    }
    Ok(archives)
}

/// Builds the programs and puts them, stripped, into `bin` of a build context.
fn stage(workspace: &Workspace, release: bool, context: &Path) -> Result<()> {
    let plugin = shim::build(workspace)?;
    let mut arguments = vec!["build", "--locked"];
    arguments.extend(
        PACKAGES
            .iter()
            .flat_map(|(package, _)| ["--package", package]),
    );
    let profile = if release {
        arguments.push("--release");
        "release"
    } else {
        "debug"
    };
    console::say(&format!("building the programs of the images ({profile})"));
    process::run(process::cargo(workspace, &arguments))?;

    let bin = context.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    let built = workspace.target().join(profile);
    for (package, program) in PACKAGES {
        let staged = bin.join(format!("kube-ovn-{package}"));
        strip(workspace, &built.join(program), &staged)?;
    }
    strip(workspace, &plugin, &bin.join(PLUGIN))
}

/// Copies a program without what only debuggers read.
fn strip(workspace: &Workspace, program: &Path, target: &Path) -> Result<()> {
    let mut strip = process::command(workspace, "strip");
    strip.arg("-o").arg(target).arg(program);
    process::run(strip).context("strip is part of the package binutils")
}

// === impl Args ===

impl Default for Args {
    /// What a cluster on this host is given.
    fn default() -> Self {
        Self {
            release: false,
            registry: REGISTRY.to_owned(),
            tag: TAG.to_owned(),
            context: None,
        }
    }
}

// === impl Role ===

impl Role {
    fn dockerfile(self, workspace: &Workspace) -> PathBuf {
        workspace.path(&format!("{DOCKERFILES}/{}/Dockerfile", self.name))
    }

    /// Every file that the image depends on.
    fn inputs(self, workspace: &Workspace, context: &Path) -> Vec<PathBuf> {
        let programs = self.programs.iter();
        std::iter::once(self.dockerfile(workspace))
            .chain(programs.map(|program| context.join("bin").join(program)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_dockerfile_is_built_and_every_image_has_one() {
        let folder = Workspace::here().path(DOCKERFILES);
        let folders: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        assert_eq!(folders, ROLES.map(|role| role.name.to_owned()).into());
    }

    #[test]
    fn a_dockerfile_copies_exactly_the_programs_of_its_role() {
        let workspace = Workspace::here();
        for role in ROLES {
            let text = fs::read_to_string(role.dockerfile(&workspace)).unwrap();
            let copied: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("COPY"))
                .flat_map(str::split_whitespace)
                .filter_map(|word| word.strip_prefix("bin/"))
                .collect();
            assert_eq!(copied, role.programs, "{}", role.name);
        }
    }

    #[test]
    fn dockerfiles_carry_the_version_of_the_workspace() {
        let workspace = Workspace::here();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(TAG, format!("v{version}"));
        for role in ROLES {
            let text = fs::read_to_string(role.dockerfile(&workspace)).unwrap();
            let label = format!("org.opencontainers.image.version=\"{version}\"");
            assert!(text.contains(&label), "{}", role.name);
        }
    }
}
