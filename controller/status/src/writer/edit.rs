//! Edits of objects that users write, too.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::edits;

use super::{WriteError, Writer, failed, gone_is_fine, is_status};

/// So often an object may change under an edit before that counts as a failure.
const ATTEMPTS: u8 = 5;

impl Writer {
    /// Patches the object as `wanted` says. Where somebody changes it meanwhile, it is asked again.
    /// One that is gone needs no edit.
    pub(crate) async fn edit<K>(
        &self,
        name: &str,
        wanted: impl Fn(&K) -> Option<Value>,
    ) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let objects: Api<K> = Api::all(self.client.clone());
        let mut attempts = ATTEMPTS;
        loop {
            let found = objects.get_opt(name).await;
            let found = found.map_err(failed("read", &name))?;
            let Some((patch, object)) = found.and_then(|it| Some((wanted(&it)?, it))) else {
                return Ok(());
            };
            attempts -= 1;
            match patch_at(&objects, &object, patch).await {
                Err(error) if is_status(&error, 404) => return Ok(()),
                Err(error) if is_status(&error, 409) && attempts > 0 => {}
                result => return result.map_err(failed("edit", &name)),
            }
        }
    }

    /// Writes annotations of a namespace, unless it is another one of that name by now.
    pub(crate) async fn annotate_namespace(
        &self,
        name: &str,
        patch: &Value,
    ) -> Result<(), WriteError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let params = PatchParams::default();
        let patched = namespaces.patch(name, &params, &Patch::Merge(patch)).await;
        gone_is_fine(patched.map(drop)).map_err(failed("annotate namespace", &name))
    }
}

/// Patches the object if it is still the one that was read.
async fn patch_at<K>(objects: &Api<K>, object: &K, patch: Value) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let name = object.name_any();
    tracing::info!(kind = %K::kind(&()), name, %patch, "Editing");
    let patch = edits::at_version(patch, object.meta().resource_version.as_deref());
    let params = PatchParams::default();
    objects.patch(&name, &params, &Patch::Merge(patch)).await?;
    Ok(())
}
