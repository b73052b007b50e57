//! Images: made of a few files without any builder, and given to nodes.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use assets::versions::COREDNS;
use serde_json::{Value, json};
use testkit::command::Invocation;

use crate::{
    directory::{Directory, create, write},
    node::Node,
};

/// What holds the namespaces of a pod.
pub const PAUSE: &str = "docker.io/kubeovn-rs/pause:v0.1.0";
/// A shell and small tools, for pods of tests.
pub const BUSYBOX: &str = "docker.io/kubeovn-rs/busybox:v0.1.0";

/// An image of some hundred megabytes on a busy host.
const PATIENCE: Duration = Duration::from_mins(3);

const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// An image of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// With registry and tag, as `docker.io/kubeovn-rs/busybox:v0.1.0`.
    pub name: String,
    /// What a container runs.
    pub entrypoint: Vec<String>,
    /// A file of the host, and its place in the image.
    pub program: (PathBuf, &'static str),
    /// Other names of the program, in its directory.
    pub links: Vec<String>,
}

// === impl Image ===

impl Image {
    /// Writes it as an OCI archive.
    ///
    /// # Errors
    /// The program cannot be read, or the disk is full.
    pub fn write(&self, archive: &Path) -> Result<()> {
        let scratch = tempfile::tempdir().context("no temporary directory")?;
        let root = scratch.path().join("root");
        self.write_root(&root)?;
        let layout = scratch.path().join("layout");
        create(&layout.join("blobs/sha256"))?;
        let layer = scratch.path().join("layer");
        pack(&root, &layer)?;
        let layer = Blob::keep(&layout, &layer, LAYER_TYPE)?;
        let config = Blob::of(&layout, &self.config(&layer), CONFIG_TYPE)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
        });
        let mut manifest = Blob::of(&layout, &manifest, MANIFEST_TYPE)?.descriptor();
        if let Some(fields) = manifest.as_object_mut() {
            let names = json!({ "io.containerd.image.name": self.name });
            fields.insert("annotations".to_owned(), names);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [manifest] });
        write(&layout.join("index.json"), index.to_string())?;
        let version = json!({ "imageLayoutVersion": "1.0.0" });
        write(&layout.join("oci-layout"), version.to_string())?;
        pack(&layout, archive)
    }

    fn write_root(&self, root: &Path) -> Result<()> {
        let (source, place) = &self.program;
        let program = root.join(place);
        let parent = program.parent().context("a program has a directory")?;
        create(parent)?;
        create(&root.join("tmp"))?;
        create(&root.join("etc"))?;
        fs::copy(source, &program).with_context(|| format!("cannot copy {}", source.display()))?;
        let target = program.file_name().unwrap_or_default();
        for link in &self.links {
            symlink(target, parent.join(link)).with_context(|| format!("cannot link {link}"))?;
        }
        Ok(())
    }

    fn config(&self, layer: &Blob) -> Value {
        json!({
            "architecture": architecture(),
            "os": "linux",
            "config": { "Entrypoint": self.entrypoint, "Env": ["PATH=/bin"] },
            "rootfs": { "type": "layers", "diff_ids": [layer.digest()] },
        })
    }
}

/// A file of an image layout, named by its hash.
#[derive(Debug)]
struct Blob {
    sha256: String,
    size: u64,
    media_type: &'static str,
}

// === impl Blob ===

impl Blob {
    /// Moves a file into the layout.
    fn keep(layout: &Path, file: &Path, media_type: &'static str) -> Result<Self> {
        let sha256 = sha256(file)?;
        let size = fs::metadata(file)?.len();
        fs::rename(file, layout.join("blobs/sha256").join(&sha256))
            .context("cannot keep a blob")?;
        Ok(Self {
            sha256,
            size,
            media_type,
        })
    }

    fn of(layout: &Path, value: &Value, media_type: &'static str) -> Result<Self> {
        let file = layout.join("blob");
        write(&file, value.to_string())?;
        Self::keep(layout, &file, media_type)
    }

    fn digest(&self) -> String {
        format!("sha256:{}", self.sha256)
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.size })
    }
}

/// What became of an image that was to be given to the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    /// The nodes have it now.
    Done,
    /// They had it from before.
    Unchanged,
}

/// Gives an image to every node, unless the last archive of this name had the same contents.
pub(crate) fn import(directory: &Directory, nodes: &[Node], archive: &Path) -> Result<Import> {
    let name = archive.file_name().unwrap_or_else(|| OsStr::new("image"));
    let sum = sha256(archive)?;
    let stamp = directory.archives().join(name).with_extension("sha256");
    if fs::read_to_string(&stamp).is_ok_and(|imported| imported == sum) {
        return Ok(Import::Unchanged);
    }
    let shared = directory.archives().join(name);
    let is_elsewhere = shared != archive;
    if is_elsewhere {
        fs::copy(archive, &shared)
            .with_context(|| format!("cannot copy the image {}", archive.display()))?;
    }
    let imported = nodes
        .iter()
        .try_for_each(|node| import_on(node, name, archive));
    if is_elsewhere {
        fs::remove_file(&shared).context("cannot remove a copy of an image")?;
    }
    imported?;
    write(&stamp, sum)?;
    Ok(Import::Done)
}

/// From the directory of archives, as the node sees it.
fn import_on(node: &Node, name: &OsStr, archive: &Path) -> Result<()> {
    let import = node
        .command("ctr")?
        .args(["--namespace", "k8s.io", "images", "import"])
        .arg(Path::new("/mnt").join(name));
    import.deadline(PATIENCE).read().map(drop).with_context(|| {
        let archive = archive.display();
        format!("{} refuses the image {archive}: build it anew", node.name())
    })
}

fn sha256(file: &Path) -> Result<String> {
    let sum = Invocation::new("sha256sum").arg(file).read()?;
    Ok(sum.split_whitespace().next().unwrap_or_default().to_owned())
}

/// Writes the images that every cluster needs, and returns their archives.
pub(crate) fn make_own(directory: &Directory) -> Result<Vec<PathBuf>> {
    let images = [pause()?, busybox()?, coredns()?];
    let archives = images.iter().enumerate().map(|(number, image)| {
        let archive = directory.archives().join(format!("own-{number}.tar"));
        image.write(&archive)?;
        Ok(archive)
    });
    archives.collect()
}

/// The name of CoreDNS's image.
pub(crate) fn coredns_name() -> String {
    format!("docker.io/kubeovn-rs/coredns:{}", COREDNS.version)
}

fn pause() -> Result<Image> {
    let entrypoint = ["/bin/busybox", "tail", "-f", "/dev/null"];
    Ok(Image {
        name: PAUSE.to_owned(),
        entrypoint: entrypoint.map(str::to_owned).to_vec(),
        program: (busybox_program()?, "bin/busybox"),
        links: Vec::new(),
    })
}

fn busybox() -> Result<Image> {
    let program = busybox_program()?;
    let applets = Invocation::new(&program).arg("--list").read()?;
    let applets = applets.lines().filter(|name| *name != "busybox");
    Ok(Image {
        name: BUSYBOX.to_owned(),
        entrypoint: vec!["/bin/sh".to_owned()],
        links: applets.map(str::to_owned).collect(),
        program: (program, "bin/busybox"),
    })
}

fn coredns() -> Result<Image> {
    Ok(Image {
        name: coredns_name(),
        entrypoint: vec!["/coredns".to_owned()],
        program: (assets::go_tool(COREDNS)?, "coredns"),
        links: Vec::new(),
    })
}

/// Debian's static busybox, which runs in any root.
pub(crate) fn busybox_program() -> Result<PathBuf> {
    Ok(assets::node_root()?.path().join("usr/bin/busybox"))
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn pack(directory: &Path, archive: &Path) -> Result<()> {
    Invocation::new("tar")
        .args([
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "-cf",
        ])
        .arg(archive)
        .arg("-C")
        .arg(directory)
        .arg(".")
        .read()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_an_oci_archive_whose_blobs_are_named_by_their_hashes() {
        let scratch = tempfile::tempdir().unwrap();
        let program = scratch.path().join("program");
        write(&program, "#!/bin/sh\n").unwrap();
        let image = Image {
            name: "docker.io/test/image:v1".to_owned(),
            entrypoint: vec!["/program".to_owned()],
            program: (program, "bin/program"),
            links: vec!["other".to_owned()],
        };
        let archive = scratch.path().join("image.tar");
        image.write(&archive).unwrap();

        let tar = |arguments: &[&str]| {
            let tar = Invocation::new("tar").args(arguments).arg(&archive);
            tar.args(["./index.json"]).read().unwrap()
        };
        let index: Value = serde_json::from_str(&tar(&["-xOf"])).unwrap();
        let manifest = &index["manifests"][0];
        assert_eq!(
            manifest["annotations"]["io.containerd.image.name"],
            "docker.io/test/image:v1"
        );
        let digest = manifest["digest"].as_str().unwrap();
        let blob = format!("./blobs/{}", digest.replace(':', "/"));
        let listed = Invocation::new("tar")
            .arg("-tf")
            .arg(&archive)
            .read()
            .unwrap();
        assert!(listed.lines().any(|line| line == blob), "{listed}");
    }
}
