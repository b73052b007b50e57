//! The objects that exist in every cluster: the default VPC, its default subnet, the join subnet.
//!
//! Those that exist are left as they are, with one exception: a subnet of one family gets the other
//! when the program is started with networks of both.

use std::net::IpAddr;

use api::{Subnet, SubnetSpec, Vpc, VpcSpec};
use controller_index::protocol;
use controller_ipam::slot_range;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use model::{AddressRange, CidrPair, DualStack, IpFamily, SubnetName, VpcName};
use serde_json::{Value, json};

/// The objects to create where they are missing.
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
    /// Creates what is missing, and gives subnets a family that they lack.
    ///
    /// # Errors
    /// When the API server refuses, for one because the CRDs are not installed.
    pub async fn ensure(&self, client: &Client) -> Result<(), kube::Error> {
        create(client, &self.vpc_object()).await?;
        for subnet in [self.join_subnet(), self.pod_subnet()] {
            if create(client, &subnet).await? == Created::Before {
                widen(client, &subnet).await?;
            }
        }
        Ok(())
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

/// When an object was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Created {
    Now,
    Before,
}

async fn create<K>(client: &Client, object: &K) -> Result<Created, kube::Error>
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
            Ok(Created::Now)
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Created::Before),
        Err(error) => Err(error),
    }
}

/// Gives the subnet of that name the family that it lacks. Where somebody edits it meanwhile, the
/// next attempt does.
async fn widen(client: &Client, wanted: &Subnet) -> Result<(), kube::Error> {
    let subnets: Api<Subnet> = Api::all(client.clone());
    let name = wanted.name_any();
    let found = subnets.get_opt(&name).await?;
    let Some(patch) = found.and_then(|found| widened(&found, wanted)) else {
        return Ok(());
    };
    tracing::info!(name, %patch, "Giving a subnet its second family");
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    subnets.patch(&name, &params, &patch).await.map(drop)
}

/// What to write into a subnet that has one of the networks that are wanted and not the other.
fn widened(found: &Subnet, wanted: &Subnet) -> Option<Value> {
    let (found, version) = (&found.spec, found.metadata.resource_version.as_deref());
    let cidrs: CidrPair = found.cidr_block.parse().ok()?;
    let all: CidrPair = wanted.spec.cidr_block.parse().ok()?;
    let (family, _) = cidrs.iter().next().filter(|_| !cidrs.is_dual_stack())?;
    let is_a_part = all.is_dual_stack() && cidrs.get(family) == all.get(family);
    let former: DualStack<IpAddr> = found.gateway.parse().ok().unwrap_or_default();
    let mut gateways: DualStack<IpAddr> = wanted.spec.gateway.parse().ok()?;
    if let Some(gateway) = former.get(family) {
        *gateways.get_mut(family) = Some(*gateway);
    }
    let of_other = |text: &&String| {
        let range: Option<AddressRange> = text.parse().ok();
        range.is_some_and(|range| IpFamily::of(range.start()) != family)
    };
    let added = wanted.spec.exclude_ips.iter().filter(of_other);
    let excludes: Vec<&String> = found.exclude_ips.iter().chain(added).collect();
    let patch = || {
        json!({
            "metadata": {"resourceVersion": version},
            "spec": {
                "protocol": protocol(&all),
                "cidrBlock": all.to_string(),
                "gateway": gateways.to_string(),
                "excludeIps": excludes,
            },
        })
    };
    is_a_part.then(patch)
}

#[cfg(test)]
mod tests;
