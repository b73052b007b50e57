//! Performs the steps of an ADD, and takes them back when one fails.

use std::time::Duration;

use daemon_plan::{Attachment, Step, Undo, attach};
use kit::error::Chain;
use linux::link::InvalidLinkName;
use linux::{LinkName, Namespace, netlink};
use model::PodKey;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cni::Failure;
use crate::host::{Host, Kernel};
use crate::ovs;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {aim} for pod {pod}; the kernel's reason is in the details")]
    Kernel {
        aim: &'static str,
        pod: PodKey,
        source: linux::Error,
    },
    #[error("cannot {aim} for pod {pod}; see that Open vSwitch runs on this node")]
    Ovs {
        aim: &'static str,
        pod: PodKey,
        source: Box<ovs::Error>,
    },
    #[error("ran out of time to {aim} for pod {pod}; see that Open vSwitch runs on this node")]
    Deadline { aim: &'static str, pod: PodKey },
    #[error(
        "OVN did not install port {port} of pod {pod} in time{hint}; see that ovn-controller runs \
         on this node and kube-ovn-controller has made the logical switch port"
    )]
    NotInstalled {
        port: LinkName,
        pod: PodKey,
        hint: String,
    },
    #[error("no link can be named for the sandbox")]
    Name(#[from] InvalidLinkName),
}

/// Time for taking one step back, beyond the deadline of the command.
const UNDO_LIMIT: Duration = Duration::from_secs(5);

/// One attachment in the making.
struct Execution<'a> {
    host: &'a Host,
    pod: Kernel,
    name: &'a PodKey,
}

/// Attaches the pod. When that fails, what was made is taken back; what was there before stays.
///
/// # Errors
/// When a step fails, or is not done at `deadline`.
pub(super) async fn execute(
    host: &Host,
    attachment: &Attachment,
    namespace: Namespace,
    deadline: Instant,
) -> Result<(), Failure> {
    let steps = attach(attachment).map_err(|error| Box::new(Error::from(error)))?;
    let (netlink, driver) = netlink::connect(&namespace).await?;
    let execution = Execution {
        host,
        pod: Kernel::new(namespace, netlink, host.metrics.clone()),
        name: &attachment.port.pod,
    };
    let result = driver.until(execution.run(&steps, deadline)).await;
    Ok(result?.map_err(Box::new)?)
}

impl Execution<'_> {
    async fn run(&self, steps: &[Step], deadline: Instant) -> Result<(), Error> {
        let mut undo = Vec::new();
        for step in steps {
            match self.perform_in_time(step, deadline).await {
                Ok(0) => {}
                Ok(_) => undo.extend(step.undo()),
                Err(error) => {
                    undo.extend(step.undo().filter(|_| may_be_half_done(step, &error)));
                    self.take_back(undo).await;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn perform_in_time(&self, step: &Step, deadline: Instant) -> Result<usize, Error> {
        let started = Instant::now();
        let performed = timeout_at(deadline, self.perform(step)).await;
        let took = started.elapsed();
        tracing::debug!(pod = %self.name, step = aim(step), ?took, "Step ended");
        performed.unwrap_or_else(|_elapsed| Err(self.late(step)))
    }

    /// Brings about what the step says. Returns the number of changes; none when it was so.
    async fn perform(&self, step: &Step) -> Result<usize, Error> {
        let Self { host, pod, .. } = self;
        let done = match step {
            Step::Port(port) => {
                let result = host.port(port).await;
                return result.map_err(|source| self.ovs_error(step, source));
            }
            Step::Installed(name) => {
                let result = host.ovs.installed(name).await.map(|()| 0);
                return result.map_err(|source| self.ovs_error(step, source));
            }
            Step::Pair(veth) => host.kernel.pair(veth, pod).await,
            Step::NodeLink(end) => host.kernel.link(end).await,
            Step::Settings(settings) => pod.settings(settings).await,
            Step::PodLink(end) => pod.link(end).await,
            Step::TxChecksum(name, setting) => pod.tx_checksum(name, *setting).await,
            Step::Addresses(name, addresses) => pod.addresses(name, addresses).await,
            Step::Routes(routes) => pod.routes(routes).await,
        };
        done.map_err(|source| Error::Kernel {
            aim: aim(step),
            pod: self.name.clone(),
            source,
        })
    }

    fn ovs_error(&self, step: &Step, source: ovs::Error) -> Error {
        Error::Ovs {
            aim: aim(step),
            pod: self.name.clone(),
            source: Box::new(source),
        }
    }

    fn late(&self, step: &Step) -> Error {
        let pod = self.name.clone();
        let Step::Installed(port) = step else {
            return Error::Deadline {
                aim: aim(step),
                pod,
            };
        };
        let interface = self.host.ovs.interface(port).ok().flatten();
        let error = interface.and_then(|interface| interface.error);
        Error::NotInstalled {
            port: port.clone(),
            pod,
            hint: error.map_or_else(String::new, |error| format!(" ({error})")),
        }
    }

    /// The last step first. What cannot be taken back is left to DEL, which the runtime sends.
    async fn take_back(&self, undo: Vec<Undo>) {
        for undo in undo.into_iter().rev() {
            match timeout(UNDO_LIMIT, self.host.undo(&undo)).await {
                Ok(Ok(())) => tracing::debug!(?undo, "Took a step back"),
                Ok(Err(error)) => {
                    tracing::warn!(?undo, error = %Chain(&error), "Cannot take a step back");
                }
                Err(_elapsed) => tracing::warn!(?undo, "Ran out of time to take a step back"),
            }
        }
    }
}

/// Whether a step that failed may have left something. The kernel makes a pair whole or not at all,
/// and one that was in the way is not ours to delete.
const fn may_be_half_done(step: &Step, error: &Error) -> bool {
    !matches!((step, error), (Step::Pair(_), Error::Kernel { .. }))
}

/// What a step is for, to go after "cannot".
const fn aim(step: &Step) -> &'static str {
    match step {
        Step::Pair(_) => "make the veth pair",
        Step::NodeLink(_) => "set up the node's end of the veth pair",
        Step::Port(_) => "plug the port into br-int",
        Step::Settings(_) => "switch on IPv6",
        Step::PodLink(_) => "set up the pod's end of the veth pair",
        Step::TxChecksum(..) => "switch off checksum offload",
        Step::Addresses(..) => "set the addresses",
        Step::Routes(_) => "set the routes",
        Step::Installed(_) => "learn that OVN has installed the port",
    }
}
