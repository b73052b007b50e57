//! Network namespaces by path.
//!
//! No thread of the runtime ever changes its namespace: work runs on a thread of its own that
//! enters the namespace and then ends. A socket stays for life in the namespace that it was born
//! in, so sockets are born on such a thread and handed back (netns(7), setns(2)).

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use crate::Error;

/// An open network namespace; it lives at least as long as this value.
#[derive(Debug, Clone)]
pub struct Namespace {
    path: PathBuf,
    file: Arc<File>,
}

// === impl Namespace ===

impl Namespace {
    /// Where a process finds the namespace that it is in.
    const OWN: &str = "/proc/thread-self/ns/net";

    /// # Errors
    /// [`Error::NoNamespace`] when nothing can be opened at `path`. Whether the file is a network
    /// namespace shows when it is first entered.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        // whatever the path names, opening it must not wait, as a pipe without a writer would
        let nonblocking = OFlag::O_NONBLOCK.bits();
        let opened = File::options()
            .read(true)
            .custom_flags(nonblocking)
            .open(&path);
        match opened {
            Ok(file) => Ok(Self {
                path,
                file: Arc::new(file),
            }),
            Err(source) => Err(Error::NoNamespace { path, source }),
        }
    }

    /// The namespace of the calling thread: the node's.
    pub fn own() -> Result<Self, Error> {
        Self::open(Self::OWN)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// What `work` returns, run on a thread of its own inside this namespace.
    ///
    /// # Errors
    /// [`Error::Namespace`] when the namespace cannot be entered.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        let file = Arc::clone(&self.file);
        let enter_and_work = move || {
            let entered = setns(file.as_ref(), CloneFlags::CLONE_NEWNET);
            let result = entered.map(|()| work()).map_err(io::Error::from);
            // nobody waits any more: the caller ran out of time, and the result with it
            drop(sender.send(result));
        };
        let cannot_enter = |source| Error::Namespace {
            path: self.path.clone(),
            source,
        };
        let thread = thread::Builder::new().name("netns".to_owned());
        thread.spawn(enter_and_work).map_err(cannot_enter)?;
        let result = receiver
            .await
            .unwrap_or_else(|lost| Err(io::Error::other(lost)));
        result.map_err(cannot_enter)
    }
}
