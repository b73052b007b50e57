//! Puts the CNI plugin where the runtime looks for it: what the init container does.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Whether anything had to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    Written,
    Same,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read the plugin {}; see that the image has it, or set --from", path.display())]
    Source { path: PathBuf, source: io::Error },
    #[error("the plugin {} has no file name; name a file in --from", .0.display())]
    Nameless(PathBuf),
    #[error(
        "cannot write the plugin {}; see that the folder is mounted and writable", path.display()
    )]
    Target { path: PathBuf, source: io::Error },
}

/// Everybody may run it, only its owner may change it.
const MODE: u32 = 0o755;

/// Copies the file `from` into the folder `to` under its own name, unless the same is there. The
/// runtime, which may call the plugin at any time, finds the old file or the new one, whole.
///
/// # Errors
/// When `from` cannot be read or the folder cannot be written.
pub(crate) fn install(from: &Path, to: &Path) -> Result<Installed, Error> {
    let unreadable = |source| Error::Source {
        path: from.to_owned(),
        source,
    };
    let plugin = fs::read(from).map_err(unreadable)?;
    let name = from.file_name();
    let name = name.ok_or_else(|| Error::Nameless(from.to_owned()))?;
    let path = to.join(name);
    if is_there(&path, &plugin) {
        return Ok(Installed::Same);
    }
    let written = replace(&path, &plugin);
    written.map_err(|source| Error::Target { path, source })?;
    Ok(Installed::Written)
}

fn is_there(path: &Path, plugin: &[u8]) -> bool {
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o7777);
    let bytes = fs::read(path);
    matches!((mode, bytes), (Ok(MODE), Ok(bytes)) if bytes == plugin)
}

/// A draft of its own for each process: two init containers may run at once.
fn replace(path: &Path, plugin: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let renamed = write(&draft, plugin).and_then(|()| fs::rename(&draft, path));
    if renamed.is_err() {
        // the reason for the failure is what counts; there may be no draft
        drop(fs::remove_file(&draft));
    }
    renamed
}

/// On the disk before it gets its name, so that no power cut leaves half of it.
fn write(path: &Path, plugin: &[u8]) -> io::Result<()> {
    fs::write(path, plugin)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(bytes: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (image, host) = (folder.path().join("image"), folder.path().join("host"));
        fs::create_dir(&image).unwrap();
        fs::create_dir(&host).unwrap();
        let from = image.join("kube-ovn");
        fs::write(&from, bytes).unwrap();
        (folder, from, host)
    }

    #[test]
    fn the_plugin_is_written_once_and_can_be_run() {
        let (_folder, from, host) = plugin("new");
        let target = host.join("kube-ovn");
        assert_eq!(install(&from, &host).unwrap(), Installed::Written);
        assert_eq!(install(&from, &host).unwrap(), Installed::Same);
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, MODE);
    }

    #[test]
    fn another_version_is_replaced_and_no_draft_stays() {
        let (_folder, from, host) = plugin("new");
        fs::write(host.join("kube-ovn"), "old").unwrap();
        assert_eq!(install(&from, &host).unwrap(), Installed::Written);
        assert_eq!(fs::read_to_string(host.join("kube-ovn")).unwrap(), "new");
        assert_eq!(fs::read_dir(&host).unwrap().count(), 1);
    }

    #[test]
    fn a_program_that_runs_can_be_replaced() {
        let (_folder, from, host) = plugin("new");
        let target = host.join("kube-ovn");
        fs::write(&target, "old").unwrap();
        let open = File::open(&target).unwrap();
        install(&from, &host).unwrap();
        assert_eq!(io::read_to_string(open).unwrap(), "old");
    }

    #[test]
    fn what_is_missing_is_named() {
        let (_folder, from, host) = plugin("new");
        let missing = install(&host.join("none"), &host).unwrap_err();
        assert!(missing.to_string().contains("--from"), "{missing}");
        let unmounted = install(&from, &host.join("none")).unwrap_err();
        assert!(unmounted.to_string().contains("mounted"), "{unmounted}");
    }
}
