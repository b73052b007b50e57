//! Building images from Dockerfiles, without a registry and without a daemon.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use testkit::command::Invocation;

use crate::directory::create;

/// The base of our images. It cannot be pulled where there is no registry, so it is made.
const BASE: &str = "docker.io/library/debian:trixie-slim";
/// A build installs Debian packages.
const PATIENCE: Duration = Duration::from_mins(15);

/// Builds images with buildah, in a store of its own that remembers what was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    store: PathBuf,
}

// === impl Builder ===

impl Builder {
    /// A builder whose store has the base image.
    ///
    /// # Errors
    /// Buildah is missing and cannot be installed, or the base cannot be made.
    pub fn prepare() -> Result<Self> {
        assets::prepare_images()?;
        let builder = Self {
            store: assets::image_store()?,
        };
        create(&builder.store)?;
        builder.import_base()?;
        Ok(builder)
    }

    /// Builds `name` from a Dockerfile and the files of a directory, and writes it as an archive
    /// for [`Cluster::import_image`](crate::Cluster::import_image).
    ///
    /// # Errors
    /// A step of the Dockerfile failed: the end of what it printed.
    pub fn build(
        &self,
        name: &str,
        dockerfile: &Path,
        context: &Path,
        archive: &Path,
    ) -> Result<()> {
        let _lock = self.lock()?;
        self.buildah(&[
            "build",
            "--pull=never",
            "--isolation=chroot",
            "--network=host",
        ])
        .args(["--layers", "--tag", name, "--file"])
        .arg(dockerfile)
        .arg(context)
        .read()
        .with_context(|| format!("cannot build {name} from {}", dockerfile.display()))?;
        if archive.exists() {
            // buildah does not add to what is there
            fs::remove_file(archive).context("cannot replace an image's archive")?;
        }
        let target = format!("docker-archive:{}:{name}", archive.display());
        self.buildah(&["push", "--quiet", name, &target])
            .read()
            .with_context(|| format!("cannot write {}", archive.display()))?;
        // what the image was before: this store keeps whole copies
        self.buildah(&["rmi", "--prune"]).read().map(drop)
    }

    /// Keeps another process from pruning what a build has made so far.
    fn lock(&self) -> Result<File> {
        let path = self.store.join("lock");
        let file = File::create(&path);
        let locked = file.and_then(|file| file.lock().map(|()| file));
        locked.with_context(|| format!("cannot lock {}", path.display()))
    }

    /// Makes an image of the base's files, once.
    fn import_base(&self) -> Result<()> {
        let images = self.buildah(&["images", "--quiet", "--filter"]);
        if !images.arg(format!("reference={BASE}")).read()?.is_empty() {
            return Ok(());
        }
        let container = self.buildah(&["from", "scratch"]).read()?;
        let made = self
            .buildah(&["add", "--quiet", &container])
            .arg(assets::slim_archive()?)
            .arg("/")
            .read()
            .and_then(|_digest| {
                let commit = self.buildah(&["commit", "--quiet", &container, BASE]);
                commit.read()
            });
        self.buildah(&["rm", &container]).read()?;
        made.context("cannot make the base image").map(drop)
    }

    /// Without overlay mounts, which a container may not have.
    fn buildah(&self, arguments: &[&str]) -> Invocation {
        Invocation::new("buildah")
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.store.join("store"))
            .arg("--runroot")
            .arg(self.store.join("run"))
            .args(arguments)
            .deadline(PATIENCE)
    }
}
