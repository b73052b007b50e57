//! Objects of any kind, to and from the API server.

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use api::{IpPool, Subnet, Vip, Vpc};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Namespace, Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::timeout;

/// An API server that takes longer is gone.
const LIMIT: Duration = Duration::from_secs(5);

/// An object: its namespace, empty for kinds without, and its name.
pub(crate) type Name = (String, String);

/// What the API server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// As when there is no such object, or its namespace is being deleted.
    No,
}

/// Who writes objects.
#[derive(Clone)]
pub(crate) struct Hand(pub(crate) Client);

/// A kind of objects, with namespaces or without.
pub(crate) trait Object:
    Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + fmt::Debug
{
    fn within(client: Client, namespace: &str) -> Api<Self>;
}

// === impl Hand ===

impl Hand {
    /// Creates the object; what `object` lacks is its name.
    pub(crate) async fn post<K: Object>(
        &self,
        (namespace, name): &Name,
        mut object: Value,
    ) -> Result<Taken> {
        let map = object.as_object_mut().context("an object is a map")?;
        let metadata = map.entry("metadata").or_insert_with(|| json!({}));
        let metadata = metadata.as_object_mut().context("metadata is a map")?;
        metadata.insert("name".to_owned(), json!(name));
        let object: K = serde_json::from_value(object)?;
        let api = K::within(self.0.clone(), namespace);
        taken(timeout(LIMIT, api.create(&PostParams::default(), &object)).await?)
    }

    /// Merges the patch into the object.
    pub(crate) async fn patch<K: Object>(
        &self,
        (namespace, name): &Name,
        patch: Value,
    ) -> Result<Taken> {
        let api = K::within(self.0.clone(), namespace);
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        taken(timeout(LIMIT, api.patch(name, &parameters, &patch)).await?)
    }

    /// Deletes the object without grace.
    pub(crate) async fn remove<K: Object>(&self, (namespace, name): &Name) -> Result<Taken> {
        let api = K::within(self.0.clone(), namespace);
        let at_once = DeleteParams::default().grace_period(0);
        taken(timeout(LIMIT, api.delete(name, &at_once)).await?)
    }

    /// The object, if it is there.
    pub(crate) async fn find<K: Object>(&self, (namespace, name): &Name) -> Result<Option<K>> {
        let api = K::within(self.0.clone(), namespace);
        Ok(timeout(LIMIT, api.get_opt(name)).await??)
    }

    /// Lets a namespace go that is being deleted, as its controller would when it is empty, whoever
    /// writes annotations into it meanwhile.
    pub(crate) async fn finalize(&self, name: &Name) -> Result<()> {
        let Some(mut object) = self.find::<Namespace>(name).await? else {
            return Ok(());
        };
        object.spec = None;
        object.metadata.resource_version = None;
        let api = Namespace::within(self.0.clone(), "");
        let parameters = PostParams::default();
        let finalized = api.replace_subresource("finalize", &name.1, &parameters, &object);
        taken(timeout(LIMIT, finalized).await?).map(drop)
    }
}

/// An answer is one, even if it is no.
fn taken<T>(answer: Result<T, kube::Error>) -> Result<Taken> {
    match answer {
        Ok(_) => Ok(Taken::Yes),
        Err(kube::Error::Api(status)) if status.code < 500 => Ok(Taken::No),
        Err(error) => Err(error.into()),
    }
}

macro_rules! objects {
    ($($kind:ty: $place:ident),* $(,)?) => {
        $(impl Object for $kind {
            fn within(client: Client, namespace: &str) -> Api<Self> {
                objects!(@$place client, namespace)
            }
        })*
    };
    (@cluster $client:ident, $namespace:ident) => {{
        debug_assert!($namespace.is_empty());
        Api::all($client)
    }};
    (@namespace $client:ident, $namespace:ident) => { Api::namespaced($client, $namespace) };
}

objects! {
    Pod: namespace,
    Service: namespace,
    EndpointSlice: namespace,
    StatefulSet: namespace,
    Namespace: cluster,
    Node: cluster,
    Subnet: cluster,
    Vpc: cluster,
    Vip: cluster,
    IpPool: cluster,
}
