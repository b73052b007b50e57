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
    /// Only these; without, all
    #[arg(value_parser = role, value_name = "ROLE")]
    roles: Vec<Role>,
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

/// An image, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Role {
    name: &'static str,
    /// The package whose program it is about: in the image it is `kube-ovn-<package>`.
    package: &'static str,
    /// What cargo calls that program.
    program: &'static str,
    /// Whether the CNI plugin is in it, too.
    has_plugin: bool,
}

const ROLES: [Role; 5] = [
    Role::new("controller", "controller", "controller"),
    Role {
        has_plugin: true,
        ..Role::new("daemon", "daemon", "daemon")
    },
    Role::new("ovn", "central", "kube-ovn-central"),
    Role::new("nat-gateway", "nat-gateway", "nat-gateway"),
    Role::new("pinger", "pinger", "pinger"),
];

/// The CNI plugin as container runtimes call it.
const PLUGIN: &str = "kube-ovn";

/// Builds what is missing or out of date, and says where it is.
///
/// # Errors
/// One sentence with cause and remedy.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if let Some(context) = &args.context {
        stage(workspace, args, &std::path::absolute(context)?)?;
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
    stage(workspace, args, &context)?;
    let mut builder = None;
    let mut archives = Vec::new();
    for role in args.roles() {
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
fn stage(workspace: &Workspace, args: &Args, context: &Path) -> Result<()> {
    let bin = context.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    if args.roles().any(|role| role.has_plugin) {
        strip(workspace, &shim::build(workspace)?, &bin.join(PLUGIN))?;
    }
    let mut arguments = vec!["build", "--locked"];
    arguments.extend(args.roles().flat_map(|role| ["--package", role.package]));
    let profile = if args.release {
        arguments.push("--release");
        "release"
    } else {
        "debug"
    };
    console::say(&format!("building the programs of the images ({profile})"));
    process::run(process::cargo(workspace, &arguments))?;
    let built = workspace.target().join(profile);
    args.roles().try_for_each(|role| {
        strip(
            workspace,
            &built.join(role.program),
            &bin.join(role.staged()),
        )
    })
}

/// Copies a program without what only debuggers read.
fn strip(workspace: &Workspace, program: &Path, target: &Path) -> Result<()> {
    let mut strip = process::command(workspace, "strip");
    strip.arg("-o").arg(target).arg(program);
    process::run(strip).context("strip is part of the package binutils")
}

fn role(name: &str) -> Result<Role, String> {
    let names = || ROLES.map(|role| role.name).join(", ");
    let role = ROLES.into_iter().find(|role| role.name == name);
    role.ok_or_else(|| format!("there are {}", names()))
}

// === impl Args ===

impl Args {
    fn roles(&self) -> impl Iterator<Item = Role> {
        let is_wanted = |role: &Role| self.roles.is_empty() || self.roles.contains(role);
        ROLES.into_iter().filter(is_wanted)
    }
}

impl Default for Args {
    /// What a cluster on this host is given.
    fn default() -> Self {
        Self {
            roles: Vec::new(),
            release: false,
            registry: REGISTRY.to_owned(),
            tag: TAG.to_owned(),
            context: None,
        }
    }
}

// === impl Role ===

impl Role {
    const fn new(name: &'static str, package: &'static str, program: &'static str) -> Self {
        Self {
            name,
            package,
            program,
            has_plugin: false,
        }
    }

    /// The name of its program in the image.
    fn staged(self) -> String {
        format!("kube-ovn-{}", self.package)
    }

    fn dockerfile(self, workspace: &Workspace) -> PathBuf {
        workspace.path(&format!("{DOCKERFILES}/{}/Dockerfile", self.name))
    }

    /// The names of its programs in the image.
    fn programs(self) -> Vec<String> {
        let plugin = self.has_plugin.then(|| PLUGIN.to_owned());
        std::iter::once(self.staged()).chain(plugin).collect()
    }

    /// Every file that the image depends on.
    fn inputs(self, workspace: &Workspace, context: &Path) -> Vec<PathBuf> {
        let programs = self.programs().into_iter();
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
            assert_eq!(copied, role.programs(), "{}", role.name);
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
