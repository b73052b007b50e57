//! Pods that come and go, so many at once.

use std::{iter, thread, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use serde_json::Value;
use testkit::{Cluster, Lab, Netns, Sandbox, objects, wait_until};
use tokio::runtime::Handle;

use crate::{
    NODE,
    call::{Call, Memory, call},
    line::tell,
    times::Times,
    usage::Process,
};

/// How long northd may take.
const PATIENCE: Duration = Duration::from_secs(30);
const CLEANERS: usize = 4;

/// How many pods, and how many of them at once.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    /// What its keys begin with.
    pub(crate) prefix: &'static str,
    pub(crate) at_once: usize,
    pods: usize,
    ports: Ports,
}

/// When the logical ports of pods are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// While ADD waits.
    Awaited,
    /// Before ADD is called.
    Plugged,
}

/// The times of a level.
pub(crate) struct Measured {
    pub(crate) add: Times,
    pub(crate) del: Times,
    /// ADDs that failed, or after which the ping got no answer.
    pub(crate) failed: usize,
    /// Time of the daemon's threads over the ADDs.
    pub(crate) daemon_ms: f64,
}

/// The laboratory under load.
pub(crate) struct Load<'lab> {
    lab: &'lab Lab,
    cluster: &'lab Cluster<'lab>,
    daemon: Process,
    runtime: Handle,
}

/// A namespace whose pod is not attached.
struct Waiting {
    netns: Netns,
    name: String,
    /// The pod, where it was created before.
    object: Option<Pod>,
}

/// A pod that ADD was called for.
struct Attached {
    object: Pod,
    sandbox: Sandbox,
    /// How long ADD took; `None` when it failed, or the ping after it.
    took: Option<f64>,
}

// === impl Level ===

impl Level {
    /// Pods that are created when ADD is called.
    pub(crate) const fn new(prefix: &'static str, at_once: usize, pods: usize) -> Self {
        Self {
            prefix,
            at_once,
            pods,
            ports: Ports::Awaited,
        }
    }

    fn namespaces(self) -> Result<Vec<Waiting>> {
        let prefix = self.prefix.replace('_', "-");
        let name = |number| format!("{prefix}c{}-{number}", self.at_once);
        let waiting = (0..self.pods).map(name).map(|name| {
            Ok(Waiting {
                netns: Netns::create(&name)?,
                name,
                object: None,
            })
        });
        waiting.collect()
    }

    /// Pods that have their ports when ADD is called.
    pub(crate) const fn plugged(prefix: &'static str, at_once: usize, pods: usize) -> Self {
        Self {
            ports: Ports::Plugged,
            ..Self::new(prefix, at_once, pods)
        }
    }
}

// === impl Load ===

impl<'lab> Load<'lab> {
    /// Called inside of the runtime that carries the connections to the API server.
    pub(crate) fn new(lab: &'lab Lab, cluster: &'lab Cluster<'lab>) -> Result<Self> {
        let daemon = cluster.daemon_id(lab.node(NODE)?)?;
        Ok(Self {
            lab,
            cluster,
            daemon: Process::new(daemon),
            runtime: Handle::current(),
        })
    }

    /// Attaches and releases the pods of a level.
    pub(crate) async fn run(&self, level: Level) -> Result<Measured> {
        let mut waiting = level.namespaces()?;
        if level.ports == Ports::Plugged {
            waiting = at_once(level.at_once, waiting, |pod| self.bind(pod))?;
            self.known(&waiting).await?;
        }
        let before = self.daemon.cpu_ms()?;
        let attached = at_once(level.at_once, waiting, |pod| self.add(pod))?;
        let daemon_ms = self.daemon.cpu_ms()? - before;
        let add: Times = attached.iter().filter_map(|pod| pod.took).collect();

        let released = at_once(level.at_once, attached, del)?;
        let del = released.iter().filter_map(|pod| pod.took).collect();
        at_once(CLEANERS, released, |pod| self.remove(pod))?;
        self.lab.sync()?;
        let measured = Measured {
            failed: level.pods - add.count(),
            add,
            del,
            daemon_ms,
        };
        measured.tell(level);
        Ok(measured)
    }

    /// Creates the pod on the node, as a scheduler that bound it.
    fn bind(&self, waiting: Waiting) -> Result<Waiting> {
        let pod = objects::pod(&waiting.name).on(NODE).build();
        let created = self.lab.api_server()?.create_pod(&pod);
        Ok(Waiting {
            object: Some(self.runtime.block_on(created)?),
            ..waiting
        })
    }

    /// Waits until northd has made the ports of all.
    async fn known(&self, waiting: &[Waiting]) -> Result<()> {
        wait_until("OVN knows the ports", PATIENCE, async || {
            let arguments = ["--bare", "--columns=logical_port", "list", "Port_Binding"];
            let ports = self.lab.sbctl(arguments)?;
            let missing = waiting.iter().find(|pod| !ports.contains(&pod.name));
            missing.map_or(Ok(()), |pod| Err(anyhow!("{} has none", pod.name)))
        })
        .await
    }

    /// Calls ADD and pings. A pod that does not exist yet is created first.
    fn add(&self, waiting: Waiting) -> Result<Attached> {
        let waiting = match &waiting.object {
            Some(_) => waiting,
            None => self.bind(waiting)?,
        };
        let object = waiting.object.context("the pod was created")?;
        let sandbox = self.cluster.sandbox_within(waiting.netns, &object, NODE)?;
        let called = call(&sandbox.invocation("ADD")?, Memory::Unseen)?;
        let took = match counts(&called, &sandbox) {
            Ok(()) => Some(called.milliseconds),
            Err(error) => {
                tell(&format!("{}: {error:#}", waiting.name));
                None
            }
        };
        Ok(Attached {
            object,
            sandbox,
            took,
        })
    }

    /// Removes what DEL leaves: namespace and object.
    fn remove(&self, released: Attached) -> Result<()> {
        drop(released.sandbox);
        let deleted = self.lab.api_server()?.delete_pod(&released.object);
        self.runtime.block_on(deleted)
    }
}

// === impl Measured ===

impl Measured {
    fn tell(&self, level: Level) {
        let Level {
            prefix, at_once, ..
        } = level;
        let (add, del) = (self.add.percentile(50), self.del.percentile(50));
        let count = self.add.count();
        tell(&format!(
            "{prefix}{at_once} at a time: {count} of {} pods, ADD {add:.1} ms, DEL {del:.1} ms",
            level.pods
        ));
    }
}

/// Whether ADD succeeded and the gateway answers within three seconds.
fn counts(called: &Call, sandbox: &Sandbox) -> Result<()> {
    let output = &called.output;
    ensure!(called.success, "ADD failed: {output}");
    let gateway = output.pointer("/ips/0/gateway").and_then(Value::as_str);
    let gateway = gateway.with_context(|| format!("no gateway in {output}"))?;
    let ping = sandbox.netns().command("ping");
    let ping = ping.args(["-n", "-c", "1", "-w", "3", "-i", "0.2", gateway]);
    ensure!(ping.finish()?.success, "{gateway} does not answer");
    Ok(())
}

/// Calls DEL.
fn del(attached: Attached) -> Result<Attached> {
    let called = call(&attached.sandbox.invocation("DEL")?, Memory::Unseen)?;
    ensure!(called.success, "DEL failed: {}", called.output);
    Ok(Attached {
        took: Some(called.milliseconds),
        ..attached
    })
}

/// What `one` makes of each, by so many threads.
fn at_once<T: Send, R: Send>(
    threads: usize,
    all: Vec<T>,
    one: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let queue = Mutex::new(all.into_iter());
    let next = || queue.lock().next();
    let work = || iter::from_fn(next).map(&one).collect::<Result<Vec<R>>>();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut made = Vec::new();
        for thread in threads {
            made.extend(
                thread
                    .join()
                    .map_err(|_panic| anyhow!("a thread panicked"))??,
            );
        }
        Ok(made)
    })
}
