//! The pod that a sandbox belongs to, and the wait for its addresses.

use std::fmt;
use std::time::Duration;

use daemon_plan::{Allocation, InvalidAllocation};
use k8s_openapi::api::core::v1;
use kube::{Api, Client};
use model::{NodeName, PodKey, PortKey};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::object::Pod;
use crate::table::Table;

/// The pods of this node.
#[derive(Clone)]
pub(crate) struct Pods {
    table: watch::Receiver<Table<Pod>>,
    client: Client,
    node: NodeName,
}

/// A pod that has its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allocated {
    pub(super) uid: String,
    /// The name of its subnet; empty where it is not told.
    pub(super) subnet: String,
    pub(super) allocation: Allocation,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the API server knows no pod {pod}; its sandbox is left over and will be removed")]
    Unknown { pod: PodKey },
    #[error("pod {pod} is not on node {node}; see that --node-name is this node's")]
    Elsewhere { pod: PodKey, node: NodeName },
    #[error("pod {pod} has no address yet; see its events, and that kube-ovn-controller runs")]
    Unallocated { pod: PodKey },
    #[error("pod {pod} cannot be looked up; see that this node reaches the API server")]
    Unsynced { pod: PodKey },
    #[error("the addresses of pod {pod} cannot be used; delete the pod to have it get new ones")]
    Invalid {
        pod: PodKey,
        source: InvalidAllocation,
    },
}

/// What the table says about a pod.
#[derive(Debug)]
enum Look {
    Ready(Box<Allocated>),
    /// Nothing yet that could be used.
    Wait(Error),
    /// The table is complete and the pod is not in it.
    Absent,
}

const LOGICAL_SWITCH: &str = "logical_switch";
/// The client sets no limit of its own.
const LIMIT: Duration = Duration::from_secs(5);

// === impl Pods ===

impl Pods {
    pub(crate) const fn new(
        table: watch::Receiver<Table<Pod>>,
        client: Client,
        node: NodeName,
    ) -> Self {
        Self {
            table,
            client,
            node,
        }
    }

    /// Waits until the port has its addresses. A pod that is not in the table yet is looked up
    /// once: the watch may be late.
    ///
    /// # Errors
    /// When the pod does not exist, or at `deadline` with what was missing.
    pub(super) async fn allocated(
        &self,
        port: &PortKey,
        uid: Option<&str>,
        deadline: Instant,
    ) -> Result<Allocated, Error> {
        let mut table = self.table.clone();
        let mut is_known = false;
        loop {
            let look = look(&table.borrow_and_update(), port, uid);
            let missing = match look {
                Look::Ready(allocated) => return Ok(*allocated),
                Look::Wait(missing) => missing,
                Look::Absent if is_known => unsynced(port),
                Look::Absent => {
                    self.look_up(&port.pod, deadline).await?;
                    is_known = true;
                    continue;
                }
            };
            match timeout_at(deadline, table.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(missing),
            }
        }
    }

    /// Succeeds when the API server has the pod on this node.
    async fn look_up(&self, pod: &PodKey, deadline: Instant) -> Result<(), Error> {
        let api: Api<v1::Pod> = Api::namespaced(self.client.clone(), &pod.namespace);
        let request = timeout(LIMIT, api.get_opt(&pod.name));
        let unsynced = || Error::Unsynced { pod: pod.clone() };
        let answer = timeout_at(deadline, request).await;
        let Ok(Ok(Ok(found))) = answer else {
            return Err(unsynced());
        };
        let found = found.ok_or_else(|| Error::Unknown { pod: pod.clone() })?;
        let node = found.spec.and_then(|spec| spec.node_name);
        if node.as_deref() == Some(self.node.as_str()) {
            return Ok(());
        }
        Err(Error::Elsewhere {
            pod: pod.clone(),
            node: self.node.clone(),
        })
    }
}

impl fmt::Debug for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table.borrow();
        f.debug_struct("Pods")
            .field("table", &*table)
            .finish_non_exhaustive()
    }
}

fn unsynced(port: &PortKey) -> Error {
    Error::Unsynced {
        pod: port.pod.clone(),
    }
}

fn look(table: &Table<Pod>, port: &PortKey, uid: Option<&str>) -> Look {
    let key = (port.pod.namespace.clone(), port.pod.name.clone());
    let pod = table.rows.get(&key);
    // an earlier pod of the same name is not this one
    let pod = pod.filter(|pod| uid.is_none_or(|uid| pod.is(uid)));
    let Some(pod) = pod else {
        return if table.is_synced {
            Look::Absent
        } else {
            Look::Wait(unsynced(port))
        };
    };
    let name = || port.pod.clone();
    let subnet = port.provider.annotation(LOGICAL_SWITCH);
    match Allocation::read(&port.provider, &pod.annotations) {
        Ok(Some(allocation)) => Look::Ready(Box::new(Allocated {
            uid: pod.uid.clone(),
            subnet: pod.annotations.get(&subnet).cloned().unwrap_or_default(),
            allocation,
        })),
        Ok(None) => Look::Wait(Error::Unallocated { pod: name() }),
        Err(source) => Look::Wait(Error::Invalid {
            pod: name(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests;
