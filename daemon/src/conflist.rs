//! The network configuration that tells the runtime that this node is ready for pods.
//!
//! Its absence is the gate: kubelet calls a node without one NotReady.

use std::path::{Path, PathBuf};
use std::{fs, io};

use kit::readiness::{Missing, Readiness};
use serde_json::json;

/// Sorted before other configurations, so that the runtime takes this one.
const FILE: &str = "01-kube-ovn.conflist";
/// The newest version that the runtimes of today know.
const VERSION: &str = "1.0.0";

/// The file cannot be put in its place.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the network configuration {}", path.display())]
pub(crate) struct Error {
    path: PathBuf,
    source: io::Error,
}

/// Waits until everything is ready, then puts the file into `folder`.
///
/// # Errors
/// When it cannot be written.
pub(crate) async fn install(
    folder: &Path,
    socket: &Path,
    readiness: &Readiness,
) -> Result<(), Error> {
    let mut missing = readiness.watch();
    if missing.wait_for(Missing::is_empty).await.is_err() {
        return Ok(());
    }
    let path = folder.join(FILE);
    let result = write(&path, &configuration(socket));
    result.map_err(|source| Error {
        path: path.clone(),
        source,
    })?;
    tracing::info!(path = %path.display(), "Node is ready for pods");
    Ok(())
}

/// Takes the file away. Succeeds when there is none.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
    let path = folder.join(FILE);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error { path, source }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Readers see the old file or the new one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("draft");
    fs::write(&draft, text)?;
    fs::rename(&draft, path)
}

fn configuration(socket: &Path) -> String {
    let ours = json!({ "type": "kube-ovn", "server_socket": socket });
    let ports = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    let list = json!({ "cniVersion": VERSION, "name": "kube-ovn", "plugins": [ours, ports] });
    format!("{list:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn r21_the_configuration_appears_only_when_all_is_ready() {
        let folder = tempfile::tempdir().unwrap();
        let readiness = Readiness::new();
        let condition = readiness.condition("ovn0");
        let socket = Path::new("/run/x.sock");
        let install = install(folder.path(), socket, &readiness);
        let check = async {
            assert!(!folder.path().join(FILE).exists());
            condition.met();
        };
        tokio::join!(async { install.await.unwrap() }, check);
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list["plugins"][0]["server_socket"], "/run/x.sock");
    }
}
