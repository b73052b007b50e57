//! A network namespace as a guard.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use crate::command::Invocation;

const DIRECTORY: &str = "/run/netns";
/// Every namespace of a lab starts with this and the id of the process that made it.
const PREFIX: &str = "kubeovnlab";

static MADE: AtomicU32 = AtomicU32::new(0);

/// A named network namespace with `lo` up; deleted when dropped, unless it is made to last.
///
/// Sockets belong to the namespace they were born in: make them inside [`Netns::run`] and use
/// them anywhere.
#[derive(Debug)]
pub struct Netns {
    name: String,
    path: PathBuf,
    lifetime: Lifetime,
}

/// Who deletes a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifetime {
    /// The guard, when it is dropped.
    Guard,
    /// Whoever calls [`Netns::delete`], perhaps another process.
    Lasting,
}

// === impl Netns ===

impl Netns {
    /// Makes a namespace whose name ends in `label`.
    ///
    /// # Errors
    /// Not root, or `ip` is missing.
    pub fn create(label: &str) -> Result<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{label}", process::id());
        Self::new(name, Lifetime::Guard).made()
    }

    /// Makes a namespace of exactly this name, which outlives this process.
    ///
    /// # Errors
    /// As [`Netns::create`], or it exists.
    pub fn create_lasting(name: &str) -> Result<Self> {
        Self::lasting(name).made()
    }

    /// The namespace that [`Netns::create_lasting`] made, perhaps in another process.
    pub fn lasting(name: &str) -> Self {
        Self::new(name.to_owned(), Lifetime::Lasting)
    }

    fn new(name: String, lifetime: Lifetime) -> Self {
        Self {
            path: Path::new(DIRECTORY).join(&name),
            name,
            lifetime,
        }
    }

    fn made(self) -> Result<Self> {
        Invocation::new("ip")
            .args(["netns", "add", &self.name])
            .read()
            .context("cannot make a network namespace: tests on real parts run as root")?;
        self.ip(["link set lo up"])?;
        Ok(self)
    }

    /// Deletes a lasting namespace with the links that nobody else holds.
    ///
    /// # Errors
    /// It does not exist.
    pub fn delete(&self) -> Result<()> {
        Invocation::new("ip")
            .args(["netns", "delete", &self.name])
            .read()
            .map(drop)
    }

    /// Its name for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path, as the runtime passes it in `CNI_NETNS`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A program that will run in this namespace.
    pub fn command(&self, program: &str) -> Invocation {
        Invocation::new(program).in_netns(&self.path)
    }

    /// Runs commands of `ip`, one per item and without the word `ip`, as one batch.
    ///
    /// # Errors
    /// The first command that fails, with what `ip` wrote.
    pub fn ip<S: AsRef<str>>(&self, commands: impl IntoIterator<Item = S>) -> Result<()> {
        let batch: Vec<String> = commands
            .into_iter()
            .map(|command| command.as_ref().to_owned())
            .collect();
        let batch = batch.join("\n");
        self.command("ip")
            .args(["-batch", "-"])
            .input(batch.clone())
            .read()
            .with_context(|| format!("in {}: {batch}", self.name))?;
        Ok(())
    }

    /// Loads an nftables ruleset.
    ///
    /// # Errors
    /// What `nft` says.
    pub fn nft(&self, ruleset: &str) -> Result<()> {
        self.command("nft")
            .args(["-f", "-"])
            .input(ruleset)
            .read()
            .map(drop)
    }

    /// Lets the kernel compute checksums itself: OVS in userspace takes frames by `AF_PACKET` and
    /// would forward what a veth left to an offload that never happens.
    ///
    /// # Errors
    /// What `ethtool` says.
    pub fn disable_tx_offload(&self, link: &str) -> Result<()> {
        self.command("ethtool")
            .args(["-K", link, "tx", "off"])
            .read()
            .map(drop)
    }

    /// Moves the calling thread into this namespace for good.
    ///
    /// Threads that it starts later are born there: call it before a runtime is built, never on a
    /// thread of a running one.
    ///
    /// # Errors
    /// The namespace is gone, or this is not root.
    pub fn enter(&self) -> Result<()> {
        let file = File::open(&self.path).with_context(|| format!("no namespace {}", self.name))?;
        setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {}", self.name))
    }

    /// Runs `work` on a throw-away thread in this namespace and waits for it.
    ///
    /// # Errors
    /// The namespace cannot be entered, `work` fails or panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| self.enter().and_then(|()| work()));
            inside
                .join()
                .map_err(|_panic| anyhow!("panicked inside {}", self.name))?
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Guard {
            drop(self.delete());
        }
    }
}

/// The names of all network namespaces of the host that start with `prefix`.
///
/// # Errors
/// The directory of namespaces cannot be read.
pub fn named(prefix: &str) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(DIRECTORY) else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Deletes the namespaces whose makers were killed.
///
/// # Errors
/// A namespace cannot be deleted.
pub fn sweep() -> Result<()> {
    for name in named(PREFIX)? {
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').nth(1));
        if maker.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // another lab may have deleted it meanwhile
            drop(Netns::lasting(&name).delete());
        }
    }
    Ok(())
}
