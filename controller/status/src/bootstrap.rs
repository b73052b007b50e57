//! The objects that exist in every cluster: the default VPC, its default subnet, the join subnet.

use std::net::IpAddr;

use api::{Subnet, SubnetSpec, Vpc, VpcSpec};
use controller_index::protocol;
use controller_ipam::slot_range;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use model::{AddressRange, CidrPair, DualStack, SubnetName, VpcName};

/// The objects to create where they are missing. Those that exist are left as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    pub vpc: VpcName,
    /// For pods of namespaces that no subnet names.
    pub pods: Network,
    /// Connects the nodes to the VPC.
    pub join: Network,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub name: SubnetName,
    pub cidrs: CidrPair,
    /// The first host of each CIDR where it is not given.
    pub gateways: DualStack<IpAddr>,
    pub excludes: Vec<AddressRange>,
}

// === impl Bootstrap ===

impl Bootstrap {
    /// Creates what is missing.
    ///
    /// # Errors
    /// When the API server refuses, for one because the CRDs are not installed.
    pub async fn ensure(&self, client: &Client) -> Result<(), kube::Error> {
        create(client, &self.vpc_object()).await?;
        create(client, &self.join_subnet()).await?;
        create(client, &self.pod_subnet()).await
    }

    fn vpc_object(&self) -> Vpc {
        Vpc::new(self.vpc.as_str(), VpcSpec::default())
    }

    fn pod_subnet(&self) -> Subnet {
        let spec = SubnetSpec {
            default: true,
            nat_outgoing: true,
            ..self.spec(&self.pods, vec![])
        };
        Subnet::new(self.pods.name.as_str(), spec)
    }

    /// The addresses for gateway slots are excluded from the start, so that no node's `ovn0` has
    /// one when they are needed.
    fn join_subnet(&self) -> Subnet {
        let slots = self
            .join
            .cidrs
            .values()
            .filter_map(|cidr| slot_range(*cidr))
            .collect();
        let spec = SubnetSpec {
            disable_inter_connection: true,
            ..self.spec(&self.join, slots)
        };
        Subnet::new(self.join.name.as_str(), spec)
    }

    fn spec(&self, network: &Network, reserved: Vec<AddressRange>) -> SubnetSpec {
        let gateways = network.gateways();
        let excluded = gateways.values().copied().map(AddressRange::single);
        let excluded = excluded
            .chain(network.excludes.iter().copied())
            .chain(reserved);
        SubnetSpec {
            vpc: self.vpc.to_string(),
            protocol: protocol(&network.cidrs).to_owned(),
            cidr_block: network.cidrs.to_string(),
            gateway: gateways.to_string(),
            exclude_ips: excluded.map(|range| range.to_string()).collect(),
            provider: api::subnet::OVN.to_owned(),
            gateway_type: api::subnet::DISTRIBUTED.to_owned(),
            ..SubnetSpec::default()
        }
    }
}

// === impl Network ===

impl Network {
    fn gateways(&self) -> DualStack<IpAddr> {
        let mut gateways = DualStack::NONE;
        for (family, cidr) in self.cidrs.iter() {
            let first = cidr.hosts().map(AddressRange::start);
            *gateways.get_mut(family) = self.gateways.get(family).copied().or(first);
        }
        gateways
    }
}

async fn create<K>(client: &Client, object: &K) -> Result<(), kube::Error>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let objects: Api<K> = Api::all(client.clone());
    match objects.create(&PostParams::default(), object).await {
        Ok(_) => {
            tracing::info!(kind = %K::kind(&()), name = object.name_any(), "Created a default object");
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}
