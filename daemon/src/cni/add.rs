//! ADD: wait for what it needs, plan, execute, answer.

use std::net::IpAddr;
use std::time::Duration;

use daemon_plan::port::key;
use daemon_plan::{Attachment, host_link};
use linux::{LinkName, Namespace};
use model::{DualStack, PodKey};
use tokio::time::{Instant, timeout, timeout_at};

use super::request::{Attach, Sandbox};
use super::{Agent, Answer, Failure, answer, execute};
use crate::node::Facts;
use crate::ovs;

/// How long a pod waits for its traffic to be redirected.
const PATIENCE: Duration = Duration::from_secs(2);

impl Agent {
    /// Attaches the interface. The same again gives the same result, and changes nothing that is
    /// right.
    pub(super) async fn attach(&self, request: &Attach, deadline: Instant) -> Answer {
        let namespace = Namespace::open(&request.netns)?;
        let uid = request.pod_uid.as_deref();
        let allocated = self.pods.allocated(&request.port, uid, deadline).await?;
        let mtu = self.subnet_mtu(&allocated.subnet, &request.port.pod, deadline);
        let mtu = mtu.await?;
        let facts = self.facts(deadline).await?;
        self.refuse_taken(&request.sandbox)?;
        let attachment = Attachment {
            container_id: request.sandbox.id.clone(),
            ifname: request.sandbox.ifname.clone(),
            network: request.network.clone(),
            netns: request.netns.clone(),
            port: request.port.clone(),
            pod_uid: allocated.uid,
            allocation: allocated.allocation,
            datapath: facts.datapath,
            mtu: mtu.unwrap_or(facts.mtu),
        };
        execute::execute(&self.host, &attachment, namespace, deadline).await?;
        let addresses = &attachment.allocation.addresses;
        self.redirected(&allocated.subnet, addresses).await;
        answer::result(request.version, &attachment).map_err(Failure::Encode)
    }

    /// The name of the link holds only a part of the container id.
    fn refuse_taken(&self, sandbox: &Sandbox) -> Result<(), Failure> {
        let name = host_link(&sandbox.id, &sandbox.ifname);
        let link = name.map_err(|error| Box::new(execute::Error::from(error)))?;
        match self.holder(&link)? {
            Some(holder) if holder != sandbox.to_string() => Err(Failure::Taken {
                link,
                sandbox: sandbox.to_string(),
                holder,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// The sandbox that the port `name` was plugged for, if any.
    pub(super) fn holder(&self, name: &LinkName) -> Result<Option<String>, ovs::Error> {
        let interface = self.host.ovs.interface(name)?;
        let sandbox = interface.and_then(|interface| {
            let id = interface.id(key::CONTAINER_ID).parse().ok()?;
            let ifname = interface.id(key::IFNAME).parse().ok()?;
            Some(Sandbox { id, ifname }.to_string())
        });
        Ok(sandbox)
    }

    /// What the subnet says of its pods' MTU. A pod may be known before its subnet is.
    async fn subnet_mtu(
        &self,
        subnet: &str,
        pod: &PodKey,
        deadline: Instant,
    ) -> Result<Option<u32>, Failure> {
        if subnet.is_empty() {
            return Ok(None);
        }
        let mut table = self.subnets.clone();
        let known = table.wait_for(|table| table.cluster(subnet).is_some());
        let known = timeout_at(deadline, known).await.ok().and_then(Result::ok);
        let found = known.and_then(|table| Some(table.cluster(subnet)?.mtu));
        found.ok_or_else(|| Failure::Subnet {
            subnet: subnet.to_owned(),
            pod: pod.clone(),
        })
    }

    /// Waits until packets from these addresses go where the subnet redirects them to: the first ones
    /// would else take another way. Not for ever: what keeps them from it is told elsewhere.
    async fn redirected(&self, subnet: &str, addresses: &DualStack<IpAddr>) {
        let sources = self.redirected_sources(subnet, addresses);
        if sources.is_empty() {
            return;
        }
        let mut redirection = self.redirection.clone();
        let applied = redirection.wait_for(|it| it.is_settled(subnet, &sources));
        if timeout(PATIENCE, applied).await.is_err() {
            tracing::warn!(subnet, "Traffic of a pod is not redirected yet");
        }
    }

    fn redirected_sources(&self, subnet: &str, addresses: &DualStack<IpAddr>) -> Vec<IpAddr> {
        let table = self.subnets.borrow();
        let subnet = table.cluster(subnet);
        subnet.map_or_else(Vec::new, |subnet| subnet.redirected_of(addresses))
    }

    async fn facts(&self, deadline: Instant) -> Result<Facts, Failure> {
        self.connected(deadline).await?;
        let mut facts = self.facts.clone();
        let known = facts.wait_for(Option::is_some);
        let known = timeout_at(deadline, known).await;
        let known = known.ok().and_then(Result::ok).and_then(|facts| *facts);
        known.ok_or_else(|| self.not_ready())
    }

    /// Waits until Open vSwitch answers.
    pub(super) async fn connected(&self, deadline: Instant) -> Result<(), Failure> {
        match timeout_at(deadline, self.host.ovs.connected()).await {
            Ok(connected) => Ok(connected?),
            Err(_elapsed) => Err(self.host.ovs.disconnected().into()),
        }
    }
}
