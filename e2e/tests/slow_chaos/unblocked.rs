//! Deletions that wait for others, when these are gone.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use api::{Subnet, Vip, Vpc};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta},
};
use serde::de::DeserializeOwned;
use testkit::{Lab, audit::deletions_ended, wait_until};

const PATIENCE: Duration = Duration::from_mins(2);
const SUBNET: &str = "ovn.kubernetes.io/logical_switch";

/// Deletes the subnets of VPCs that are being deleted or gone, and the pods and VIPs of such
/// subnets; then every deletion ends.
pub(crate) async fn deletions(lab: &Lab) -> Result<()> {
    wait_until("nothing blocks a deletion", PATIENCE, async || {
        let vpcs = living(list::<Vpc>(lab).await?);
        let subnets = list::<Subnet>(lab).await?;
        let (kept, lost) = subnets
            .into_iter()
            .partition::<Vec<_>, _>(|subnet| vpcs.contains(vpc(subnet)));
        for subnet in &lost {
            delete(lab, subnet).await?;
        }
        let kept = living(kept);
        for vip in list::<Vip>(lab).await? {
            if !kept.contains(&vip.spec.subnet) {
                delete(lab, &vip).await?;
            }
        }
        let pods = list::<Pod>(lab).await?;
        let blocking = pods.iter().filter(|pod| {
            let subnet = pod.annotations().get(SUBNET);
            subnet.is_some_and(|subnet| !kept.contains(subnet))
        });
        let blocking: Vec<&Pod> = blocking.collect();
        for pod in &blocking {
            lab.api_server()?.ensure_no_pod(pod).await?;
        }
        let count = blocking.len();
        ensure!(count == 0, "{count} pods were in the way");
        Ok(())
    })
    .await?;
    wait_until("every deletion has ended", PATIENCE, async || {
        deletions_ended(lab).await
    })
    .await
}

fn vpc(subnet: &Subnet) -> &str {
    match subnet.spec.vpc.as_str() {
        "" => api::vpc::DEFAULT,
        name => name,
    }
}

async fn delete<K>(lab: &Lab, object: &K) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let objects: Api<K> = Api::all(lab.api_server()?.client()?);
    let (name, parameters) = (object.name_any(), DeleteParams::default());
    match objects.delete(&name, &parameters).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        deleted => Ok(deleted.map(drop)?),
    }
}

/// The names of those that are not being deleted.
fn living<K: Resource>(objects: Vec<K>) -> BTreeSet<String> {
    let is_alive = |meta: &ObjectMeta| meta.deletion_timestamp.is_none();
    let living = objects.into_iter().filter(|object| is_alive(object.meta()));
    living.map(|object| object.name_any()).collect()
}

async fn list<K>(lab: &Lab) -> Result<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let objects: Api<K> = Api::all(lab.api_server()?.client()?);
    Ok(objects.list(&ListParams::default()).await?.items)
}
