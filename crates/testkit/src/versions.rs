//! Who has written into Kubernetes: the versions of all objects that a controller writes.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail, ensure};
use api::{Ip, IpPool, Subnet, Vip, Vpc};
use k8s_openapi::api::{
    core::v1::{Namespace, Node, Pod},
    events::v1::Event,
};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{Lab, wait_until};

const PATIENCE: Duration = Duration::from_mins(1);

/// The versions of objects, by kind, namespace and name: each write changes one.
pub type Versions = BTreeMap<String, String>;

/// The versions of pods, nodes, namespaces, events, and of our own kinds.
///
/// # Errors
/// The API server does not answer.
pub async fn versions(lab: &Lab) -> Result<Versions> {
    let mut all = Versions::new();
    all.extend(of_kind::<Pod>(lab).await?);
    all.extend(of_kind::<Node>(lab).await?);
    all.extend(of_kind::<Namespace>(lab).await?);
    all.extend(of_kind::<Event>(lab).await?);
    all.extend(of_kind::<Ip>(lab).await?);
    all.extend(of_kind::<Subnet>(lab).await?);
    all.extend(of_kind::<Vpc>(lab).await?);
    all.extend(of_kind::<IpPool>(lab).await?);
    all.extend(of_kind::<Vip>(lab).await?);
    Ok(all)
}

/// The same once nobody has written for so long.
///
/// # Errors
/// Somebody goes on and on: what was written last.
pub async fn settled_versions(lab: &Lab, quiet: Duration) -> Result<Versions> {
    let mut known = (versions(lab).await?, Instant::now());
    wait_until("nobody writes", PATIENCE, async || {
        let now = versions(lab).await?;
        if now != known.0 {
            let objects = changed(&known.0, &now);
            known = (now, Instant::now());
            bail!("written were {objects:?}");
        }
        ensure!(known.1.elapsed() >= quiet, "it is quiet but for a moment");
        Ok(known.0.clone())
    })
    .await
}

/// The objects that were written, made or deleted in between.
pub fn changed(before: &Versions, after: &Versions) -> Vec<String> {
    let of = |these: &Versions, those: &Versions| -> Vec<String> {
        let differs = |(name, version): &(&String, &String)| those.get(*name) != Some(*version);
        let names = these.iter().filter(differs);
        names.map(|(name, _)| name.clone()).collect()
    };
    let mut all = [of(before, after), of(after, before)].concat();
    all.sort();
    all.dedup();
    all
}

async fn of_kind<K>(lab: &Lab) -> Result<Vec<(String, String)>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(lab.api_server()?.client()?);
    let listed = api.list(&ListParams::default()).await?.into_iter();
    let version = |object: K| {
        let namespace = object.namespace().unwrap_or_default();
        let name = format!("{} {namespace}/{}", K::kind(&()), object.name_any());
        (name, object.resource_version().unwrap_or_default())
    };
    Ok(listed.map(version).collect())
}
