//! Records that somebody wrote or changed by hand.

use std::collections::BTreeMap;

use api::annotation::CLAIMANT_UID;
use controller_index::{Allocation, Kind};
use serde_json::{Value, json};

use super::objects::ip_object;
use super::{WriteError, Writer, object_reference};
use crate::complaints::named;
use crate::ledger::Recorded;

/// What was given is written over what somebody wrote.
const RESTORED: &str = "RecordRestored";
/// Two records are of one address.
const CONFLICT: &str = "AddressConflict";

impl Writer {
    /// Writes into the record with that UID what it is to say, and tells by an event of it.
    pub(crate) async fn mend(
        &self,
        uid: &str,
        found: Option<&Allocation>,
        claimant_uid: Option<&str>,
        recorded: &Recorded,
    ) -> Result<(), WriteError> {
        let name = recorded.claimant.record_name();
        let patch = mending_patch(uid, claimant_uid, recorded);
        self.patch_record(&name, &patch).await?;
        let object = object_reference(&named(Kind::Ip, &name), uid);
        self.warn(&object, RESTORED, message(found, recorded)).await
    }

    /// Tells by an event of the record with that UID that it counts for nothing.
    pub(crate) async fn disregard(
        &self,
        name: &str,
        uid: &str,
        message: &str,
    ) -> Result<(), WriteError> {
        let object = object_reference(&named(Kind::Ip, &name), uid);
        self.warn(&object, CONFLICT, message.to_owned()).await
    }
}

/// What the allocator decides; the rest may be of somebody else. A record that names no claimant,
/// as Kube-OVN writes them, goes on naming none.
pub(crate) fn mending_patch(uid: &str, claimant_uid: Option<&str>, recorded: &Recorded) -> Value {
    let object = ip_object(recorded);
    let spec = object.spec;
    let claimant = claimant_uid.map(|it| (CLAIMANT_UID, it));
    let annotations: BTreeMap<_, _> = claimant.into_iter().collect();
    json!({
        "metadata": {"uid": uid, "labels": object.metadata.labels, "annotations": annotations},
        "spec": {
            "podName": spec.pod_name,
            "namespace": spec.namespace,
            "subnet": spec.subnet,
            "ipAddress": spec.ip_address,
            "v4IpAddress": spec.v4_ip_address,
            "v6IpAddress": spec.v6_ip_address,
            "macAddress": spec.mac_address,
            "podType": spec.pod_type,
        },
    })
}

fn message(found: Option<&Allocation>, recorded: &Recorded) -> String {
    let said = found.map_or_else(
        || "what nobody can read".to_owned(),
        |it| format!("{} with {} in subnet `{}`", it.addresses, it.mac, it.subnet),
    );
    let Recorded {
        claimant,
        addresses,
        mac,
        subnet,
        ..
    } = recorded;
    if found.is_some_and(|it| it.addresses == *addresses && it.mac == *mac && it.subnet == *subnet)
    {
        return format!(
            "somebody took away labels or the annotation {CLAIMANT_UID}; they are there again, \
             since by them the addresses of {claimant} are found"
        );
    }
    format!(
        "somebody wrote {said} here; it is {addresses} with {mac} in subnet `{subnet}` again, which \
         {claimant} has: for another address, write it into the annotation \
         ovn.kubernetes.io/ip_address of a new pod"
    )
}
