//! Disks without space, and files with other bytes.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::statvfs::statvfs,
};

/// A disk with so much space left is not a small one, and never filled.
const LARGEST: u64 = 256 << 20;
const CHUNK: [u8; 4096] = [0; 4096];
const WRONG: [u8; 64] = [0xa5; 64];

/// A small disk of its own for one directory; unmounted when dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

/// The file that takes the space.
#[derive(Debug)]
pub(super) struct Filler(PathBuf);

/// What a file held in its middle.
#[derive(Debug)]
pub(super) struct Overwritten {
    file: File,
    offset: u64,
    bytes: [u8; WRONG.len()],
}

// === impl Disk ===

impl Disk {
    /// Mounts a memory disk at an empty directory.
    ///
    /// # Errors
    /// Not root.
    pub fn mount(directory: &Path, bytes: u64) -> Result<Self> {
        let options = format!("size={bytes}");
        let kind = Some("tmpfs");
        mount(kind, directory, kind, MsFlags::empty(), Some(&*options))
            .with_context(|| format!("cannot mount a disk at {}", directory.display()))?;
        Ok(Self(directory.to_owned()))
    }

    /// Unmounts what a killed test left at a directory.
    pub(crate) fn forget(directory: &Path) {
        // where nothing is mounted there is nothing to do
        umount2(directory, MntFlags::MNT_DETACH).unwrap_or_default();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Self::forget(&self.0);
    }
}

/// Writes until nothing fits any more.
pub(super) fn fill(directory: &Path) -> Result<Filler> {
    let space = statvfs(directory)?;
    let left = space.blocks_available() * space.fragment_size();
    ensure!(
        left < LARGEST,
        "{} is no small disk: it has {left} bytes left",
        directory.display()
    );
    let filler = Filler(directory.join("filler"));
    let mut file = File::create(&filler.0)?;
    loop {
        match file.write(&CHUNK) {
            Ok(_written) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(filler),
            Err(error) => bail!("cannot fill {}: {error}", directory.display()),
        }
    }
}

// === impl Filler ===

impl Filler {
    pub(super) fn remove(self) -> Result<()> {
        fs::remove_file(&self.0).context("the filler is gone")
    }
}

/// Puts other bytes into the middle of a file.
pub(super) fn overwrite(path: &Path) -> Result<Overwritten> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    let offset = file.metadata()?.len() / 2;
    let mut bytes = [0; WRONG.len()];
    file.read_exact_at(&mut bytes, offset)
        .context("it is too short")?;
    file.write_all_at(&WRONG, offset)?;
    Ok(Overwritten {
        file,
        offset,
        bytes,
    })
}

// === impl Overwritten ===

impl Overwritten {
    pub(super) fn restore(self) -> Result<()> {
        self.file.write_all_at(&self.bytes, self.offset)?;
        Ok(())
    }
}
