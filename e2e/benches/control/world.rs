//! The objects among which pods are made: nodes, and subnets with a namespace each.

use std::net::IpAddr;

use anyhow::{Context, Result};
use api::{Subnet, SubnetSpec};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use model::DualStack;
use testkit::{ApiServer, Lab, objects};

const NODES: usize = 100;
const SUBNETS: usize = 50;
/// So many calls are under way at once.
pub(crate) const AT_ONCE: usize = 64;

/// Who makes the objects.
#[derive(Clone, Copy)]
pub(crate) struct World<'lab> {
    api_server: &'lab ApiServer,
}

// === impl World ===

impl<'lab> World<'lab> {
    pub(crate) fn new(lab: &'lab Lab) -> Result<Self> {
        Ok(Self {
            api_server: lab.api_server()?,
        })
    }

    pub(crate) fn client(self) -> Result<Client> {
        self.api_server.client()
    }

    /// Creates nodes, namespaces and subnets.
    pub(crate) async fn create(self) -> Result<()> {
        let nodes = stream::iter(0..NODES).map(|number| self.create_node(number));
        nodes.buffered(AT_ONCE).try_collect::<()>().await?;
        let subnets = stream::iter(0..SUBNETS).map(async |number| {
            self.api_server.create_namespace(&namespace(number)).await?;
            self.create_subnet(number).await
        });
        subnets.buffered(AT_ONCE).try_collect::<()>().await
    }

    pub(crate) async fn create_node(self, number: usize) -> Result<()> {
        let number_of = u32::try_from(number)?;
        let address = u32::from_be_bytes([192, 168, 0, 1]) + number_of;
        let address = IpAddr::from(address.to_be_bytes());
        let addresses = DualStack {
            v4: Some(address),
            v6: None,
        };
        let node = objects::node(&node(number), &addresses);
        self.api_server.create_node(&node).await
    }

    pub(crate) async fn delete_node(self, number: usize) -> Result<()> {
        let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(self.client()?);
        nodes
            .delete(&node(number), &DeleteParams::default())
            .await?;
        Ok(())
    }

    /// A /20 for each, in the order of their numbers.
    pub(crate) async fn create_subnet(self, number: usize) -> Result<()> {
        let first = u32::from_be_bytes([10, 128, 0, 0]) + (u32::try_from(number)? << 12);
        let spec = SubnetSpec {
            cidr_block: format!("{}/20", IpAddr::from(first.to_be_bytes())),
            protocol: "IPv4".to_owned(),
            namespaces: vec![namespace(number)],
            ..SubnetSpec::default()
        };
        let subnets: Api<Subnet> = Api::all(self.client()?);
        let subnet = Subnet::new(&subnet(number), spec);
        subnets.create(&PostParams::default(), &subnet).await?;
        Ok(())
    }

    /// The pod of that name and number, on one of the nodes and in one of the namespaces.
    pub(crate) async fn create_pod(self, name: &str, number: usize) -> Result<()> {
        let namespace = namespace(number % SUBNETS);
        let pod = objects::pod(name)
            .in_namespace(&namespace)
            .on(&node(number / SUBNETS % NODES));
        let pods: Api<Pod> = Api::namespaced(self.client()?, &namespace);
        let created = pods.create(&PostParams::default(), &pod.build()).await;
        created.map(drop).with_context(|| format!("pod {name}"))
    }

    /// Deletes all pods.
    pub(crate) async fn delete_pods(self) -> Result<()> {
        let parameters = DeleteParams::default().grace_period(0);
        for number in 0..SUBNETS {
            let pods: Api<Pod> = Api::namespaced(self.client()?, &namespace(number));
            let all = ListParams::default();
            pods.delete_collection(&parameters, &all).await?;
        }
        Ok(())
    }
}

/// The name of a node.
pub(crate) fn node(number: usize) -> String {
    format!("node-{number}")
}

/// The name of a subnet, and of its logical switch.
pub(crate) fn subnet(number: usize) -> String {
    format!("subnet-{number}")
}

fn namespace(number: usize) -> String {
    format!("namespace-{number}")
}

/// The name of the port of the pod of that name and number.
pub(crate) fn port(name: &str, number: usize) -> String {
    format!("{name}.{}", namespace(number % SUBNETS))
}
