//! DEL and GC: undo attachments, by what the OVS rows say. Needs no API server.

use std::collections::BTreeSet;

use daemon_plan::host_link;
use daemon_plan::port::{VENDOR, key};
use kit::error::Chain;
use linux::LinkName;
use tokio::time::{Instant, timeout_at};

use super::request::{self, Config, Sandbox};
use super::{Agent, Answer, Failure};

impl Agent {
    /// Removes the port and the link of one interface of a sandbox. Succeeds when nothing is left
    /// of it. All is tried, whatever fails.
    pub(super) async fn release(&self, sandbox: &Sandbox, deadline: Instant) -> Answer {
        let mut errors = Vec::new();
        let mut names: BTreeSet<LinkName> = host_link(&sandbox.id, &sandbox.ifname)
            .into_iter()
            .collect();
        match self.recorded(sandbox, deadline).await {
            Ok(recorded) => names.extend(recorded),
            Err(error) => errors.push(Chain(&error).to_string()),
        }
        for name in &names {
            // another's, whose id begins alike; unknown without Open vSwitch
            let holder = self.holder(name).ok().flatten();
            if holder.is_some_and(|holder| holder != sandbox.to_string()) {
                continue;
            }
            match timeout_at(deadline, self.host.no_port(name)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => errors.push(Chain(&error).to_string()),
                Err(_elapsed) => errors.push(format!("ran out of time to remove port {name}")),
            }
            if let Err(error) = self.host.kernel.no_link(name).await {
                errors.push(Chain(&error).to_string());
            }
        }
        if errors.is_empty() {
            Ok(Vec::new())
        } else {
            Err(Failure::Release(errors.join("; ")))
        }
    }

    /// The ports that were recorded for the interface of the sandbox.
    async fn recorded(
        &self,
        sandbox: &Sandbox,
        deadline: Instant,
    ) -> Result<Vec<LinkName>, Failure> {
        self.connected(deadline).await?;
        let ids = [
            (key::CONTAINER_ID, sandbox.id.as_str()),
            (key::IFNAME, sandbox.ifname.as_str()),
        ];
        let interfaces = self.host.ovs.interfaces(&ids)?;
        Ok(interfaces
            .into_iter()
            .map(|interface| interface.name)
            .collect())
    }

    /// Releases every attachment of the network that the runtime does not list.
    pub(super) async fn collect(&self, config: &Config, deadline: Instant) -> Answer {
        let valid = config.valid.as_ref().ok_or(request::Error::NoAttachments)?;
        self.connected(deadline).await?;
        let ids = [
            (key::VENDOR, VENDOR),
            (key::NETWORK, config.network.as_str()),
        ];
        let mut errors = Vec::new();
        for interface in self.host.ovs.interfaces(&ids)? {
            let (id, ifname) = (interface.id(key::CONTAINER_ID), interface.id(key::IFNAME));
            if valid
                .iter()
                .any(|(container, name)| container == id && name == ifname)
            {
                continue;
            }
            // a row without them is not an attachment
            let (Ok(id), Ok(ifname)) = (id.parse(), ifname.parse()) else {
                continue;
            };
            let sandbox = Sandbox { id, ifname };
            tracing::info!(%sandbox, "Releasing an attachment that is not in use");
            if let Err(error) = self.release(&sandbox, deadline).await {
                errors.push(error.to_string());
            }
        }
        if errors.is_empty() {
            Ok(Vec::new())
        } else {
            Err(Failure::Release(errors.join("; ")))
        }
    }
}
