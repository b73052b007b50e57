//! Objects and patches, and their way to the API server.
//!
//! Only our own keys are written: merge patches of single annotations, never whole maps.

use std::fmt::Display;

use api::annotation;
use api::{Ip, Subnet, SubnetStatus, Vpc, VpcStatus};
use controller_index::{Claimant, Kind, ObjectName, Rejection};
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
    ValidationDirective,
};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, ResourceExt};
use model::{MacAddr, NodeName, PodKey, SubnetName, VpcName, mac::fnv1a};
use serde_json::{Value, json};

use crate::complaints::Complaint;
use crate::ledger::{Recorded, Refusal};
use crate::reporter::Written;

mod edit;
pub(crate) mod mend;
mod node_event;
pub(crate) mod objects;
pub(crate) mod reserve;

use objects::{annotation_patch, ip_object, is_same_record, renewal_patch};
use reserve::vip_patch;

pub use node_event::{NodeEvent, Tone};

/// A write that the API server did not take.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct WriteError {
    what: String,
    source: kube::Error,
}

/// Writes what the ledger decided.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    events: Recorder,
}

// === impl Writer ===

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    pub fn new(client: Client) -> Self {
        let reporter = Reporter {
            controller: "kube-ovn-controller".to_owned(),
            instance: None,
        };
        Self {
            events: Recorder::new(client.clone(), reporter),
            client,
        }
    }

    /// Creates the record. One that is there already may stand when it says the same.
    ///
    /// # Errors
    /// When there is another record of the name: the watch tells of it, and then is to be decided
    /// anew.
    pub async fn record(&self, recorded: &Recorded) -> Result<(), WriteError> {
        let object = ip_object(recorded);
        let name = object.name_any();
        match self.ips().create(&PostParams::default(), &object).await {
            Err(error) if is_status(&error, 409) && self.is_recorded(&object).await? => Ok(()),
            result => result.map(drop).map_err(failed("create IP", &name)),
        }
    }

    /// Whether there is such a record of the same claimant with the same addresses.
    async fn is_recorded(&self, object: &Ip) -> Result<bool, WriteError> {
        let name = object.name_any();
        let found = self.ips().get_opt(&name).await;
        let found = found.map_err(failed("read IP", &name))?;
        Ok(found.is_some_and(|it| is_same_record(&it, object)))
    }

    /// Writes down the MAC of the router's port in a subnet. A subnet that is gone needs none.
    pub async fn record_router_mac(
        &self,
        subnet: &SubnetName,
        mac: MacAddr,
    ) -> Result<(), WriteError> {
        let annotations = json!({ annotation::ROUTER_MAC: mac.to_string() });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        let subnets: Api<Subnet> = Api::all(self.client.clone());
        match subnets
            .patch(subnet.as_str(), &PatchParams::default(), &patch)
            .await
        {
            Err(error) if is_status(&error, 404) => Ok(()),
            result => result.map(drop).map_err(failed("annotate Subnet", subnet)),
        }
    }

    /// Writes what was recorded into the claimant's annotations, unless it is another object of
    /// the same name by now.
    pub async fn annotate(&self, recorded: &Recorded) -> Result<(), WriteError> {
        let patch = annotation_patch(recorded);
        let result = match &recorded.claimant {
            Claimant::Pod(PodKey { namespace, name }) => {
                let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
                patch_own(&pods, name, &patch).await
            }
            Claimant::Node(name) => {
                let nodes: Api<Node> = Api::all(self.client.clone());
                patch_own(&nodes, name.as_str(), &patch).await
            }
            Claimant::Vip(name) => self.write_vip(name, &vip_patch(recorded)).await,
            Claimant::Unknown(_) => Ok(()),
        };
        gone_is_fine(result).map_err(failed("annotate", &recorded.claimant))
    }

    /// Makes the record with that UID the one of a new claimant of the same name.
    pub async fn renew(&self, uid: &str, recorded: &Recorded) -> Result<(), WriteError> {
        let name = recorded.claimant.record_name();
        self.patch_record(&name, &renewal_patch(uid, recorded))
            .await
    }

    /// Writes where its claimant runs into the record with that UID.
    pub async fn locate(&self, name: &str, uid: &str, node: &NodeName) -> Result<(), WriteError> {
        let patch = json!({"metadata": {"uid": uid}, "spec": {"nodeName": node.to_string()}});
        self.patch_record(name, &patch).await
    }

    /// The UID in the patch makes it fail on another record of the name.
    async fn patch_record(&self, name: &str, patch: &Value) -> Result<(), WriteError> {
        let params = PatchParams::default();
        let patched = self.ips().patch(name, &params, &Patch::Merge(patch)).await;
        gone_is_fine(patched.map(drop)).map_err(failed("patch IP", &name))
    }

    /// Deletes the record with that UID, not one that came after it.
    pub async fn forget(&self, name: &str, uid: &str) -> Result<(), WriteError> {
        let uid = Some(uid.to_owned()).filter(|uid| !uid.is_empty());
        let preconditions = Preconditions {
            uid,
            resource_version: None,
        };
        let params = DeleteParams::default().preconditions(preconditions);
        let deleted = self.ips().delete(name, &params).await;
        gone_is_fine(deleted.map(drop)).map_err(failed("delete IP", &name))
    }

    /// Tells the user by an event of the object.
    pub async fn reject(&self, name: &ObjectName, why: &Rejection) -> Result<(), WriteError> {
        let reason = validation_reason(name.kind);
        self.warn(
            &object_reference(name, &why.uid),
            reason,
            why.why.to_string(),
        )
        .await
    }

    /// Tells the user by an event of the claimant.
    pub async fn refuse(&self, refusal: &Refusal) -> Result<(), WriteError> {
        let Some(object) = reference(refusal) else {
            return Ok(());
        };
        if let Claimant::Vip(name) = &refusal.claimant {
            self.refuse_vip(name, refusal).await?;
        }
        self.warn(&object, "AcquireAddressFailed", refusal.message.clone())
            .await
    }

    /// Tells the user by an event of the object.
    pub(crate) async fn tell(&self, complaint: &Complaint) -> Result<(), WriteError> {
        let Complaint { object, uid, .. } = complaint;
        let object = object_reference(object, uid);
        let message = complaint.message.clone();
        self.warn(&object, &complaint.reason, message).await
    }

    /// The statuses that are there now.
    pub(crate) async fn read_statuses(&self) -> Result<Written, WriteError> {
        let mut written = Written::default();
        for subnet in list::<Subnet>(&self.client).await? {
            if let Ok(name) = SubnetName::new(subnet.name_any()) {
                written.subnets.extend(Some(name).zip(subnet.status));
            }
        }
        for vpc in list::<Vpc>(&self.client).await? {
            if let Ok(name) = VpcName::new(vpc.name_any()) {
                written.vpcs.extend(Some(name).zip(vpc.status));
            }
        }
        Ok(written)
    }

    /// An object that is gone needs no status.
    pub(crate) async fn write_subnet_status(
        &self,
        name: &SubnetName,
        status: &SubnetStatus,
    ) -> Result<(), WriteError> {
        let objects: Api<Subnet> = Api::all(self.client.clone());
        patch_status(&objects, name.as_str(), &json!({"status": status})).await
    }

    /// An object that is gone needs no status.
    pub(crate) async fn write_vpc_status(
        &self,
        name: &VpcName,
        status: &VpcStatus,
    ) -> Result<(), WriteError> {
        let objects: Api<Vpc> = Api::all(self.client.clone());
        patch_status(&objects, name.as_str(), &json!({"status": status})).await
    }

    async fn warn(
        &self,
        object: &ObjectReference,
        reason: &str,
        note: String,
    ) -> Result<(), WriteError> {
        self.publish(object, EventType::Warning, reason, note).await
    }

    async fn publish(
        &self,
        object: &ObjectReference,
        type_: EventType,
        reason: &str,
        note: String,
    ) -> Result<(), WriteError> {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            action: action(&note),
            note: Some(note),
            secondary: None,
        };
        let name = object.name.clone().unwrap_or_default();
        self.events
            .publish(&event, object)
            .await
            .map_err(failed("publish an event of", &name))
    }

    fn ips(&self) -> Api<Ip> {
        Api::all(self.client.clone())
    }
}

/// The recorder takes events that differ in their notes alone for one, and keeps the first note. So
/// what is done has a part that tells notes apart.
fn action(note: &str) -> String {
    format!("Reconcile-{:016x}", fnv1a(note.as_bytes()))
}

async fn list<K>(client: &Client) -> Result<Vec<K>, WriteError>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let objects: Api<K> = Api::all(client.clone());
    let listed = objects.list(&ListParams::default()).await;
    listed
        .map(|list| list.items)
        .map_err(failed("list", &K::plural(&())))
}

/// Merges keys into the metadata of an object of Kubernetes' own kinds, in the way that costs the API
/// server least: no JSON text is made of the object, for the merge or for the answer, and nothing is
/// looked for that its schema does not know.
async fn patch_own<K>(objects: &Api<K>, name: &str, patch: &Value) -> Result<(), kube::Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = PatchParams {
        field_validation: Some(ValidationDirective::Ignore),
        ..PatchParams::default()
    };
    let patch = Patch::Strategic(patch);
    objects
        .patch_metadata(name, &params, &patch)
        .await
        .map(drop)
}

async fn patch_status<K>(objects: &Api<K>, name: &str, patch: &Value) -> Result<(), WriteError>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = PatchParams::default();
    match objects
        .patch_status(name, &params, &Patch::Merge(patch))
        .await
    {
        Err(error) if is_status(&error, 404) => Ok(()),
        result => result
            .map(drop)
            .map_err(failed("write the status of", &name)),
    }
}

/// The object is gone, or another one has its name.
fn gone_is_fine(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(error) if is_status(&error, 404) || is_of_another(&error) => Ok(()),
        result => result,
    }
}

/// Whether a patch with a UID met an object of another one: some versions of the API server take
/// that for a conflict, others for a change of a field that never changes.
fn is_of_another(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let causes = status.details.iter().flat_map(|it| &it.causes);
    let is_of_uid = causes.into_iter().any(|it| it.field == "metadata.uid");
    status.code == 409 || status.code == 422 && is_of_uid
}

fn failed(verb: &str, object: &impl Display) -> impl FnOnce(kube::Error) -> WriteError {
    let what = format!("cannot {verb} {object}");
    |source| WriteError { what, source }
}

fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// The reasons are Kube-OVN's where it has one.
const fn validation_reason(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "ValidatePodNetworkFailed",
        Kind::Subnet => "ValidateLogicalSwitchFailed",
        Kind::Node => "ValidateNodeNetworkFailed",
        Kind::Vpc => "ValidateVpcFailed",
        Kind::Ip => "ValidateIPFailed",
        Kind::Service => "ValidateServiceFailed",
        Kind::EndpointSlice => "ValidateEndpointSliceFailed",
        Kind::StatefulSet => "ValidateStatefulSetFailed",
        Kind::IpPool => "ValidateIPPoolFailed",
        Kind::Vip => "ValidateVipFailed",
        Kind::Vlan => "ValidateVlanFailed",
        Kind::Namespace => "ValidateNamespaceFailed",
    }
}

fn object_reference(name: &ObjectName, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(name.kind.api_version().to_owned()),
        kind: Some(name.kind.name().to_owned()),
        namespace: name.namespace.clone(),
        name: Some(name.name.clone()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

fn reference(refusal: &Refusal) -> Option<ObjectReference> {
    let (kind, namespace, name) = match &refusal.claimant {
        Claimant::Pod(pod) => ("Pod", Some(pod.namespace.clone()), pod.name.clone()),
        Claimant::Node(name) => ("Node", None, name.to_string()),
        Claimant::Vip(name) => ("Vip", None, name.to_string()),
        Claimant::Unknown(_) => return None,
    };
    let api_version = match &refusal.claimant {
        Claimant::Vip(_) => Kind::Vip.api_version(),
        Claimant::Pod(_) | Claimant::Node(_) | Claimant::Unknown(_) => "v1",
    };
    Some(ObjectReference {
        api_version: Some(api_version.to_owned()),
        kind: Some(kind.to_owned()),
        namespace,
        name: Some(name),
        uid: Some(refusal.uid.clone()),
        ..ObjectReference::default()
    })
}

#[cfg(test)]
mod tests;
