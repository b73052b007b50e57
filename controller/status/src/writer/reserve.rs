//! What VIPs and pools say of themselves.

use api::condition::READY;
use api::{Condition, IpPool, IpPoolStatus, Vip};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use model::{IpPoolName, VipName};
use serde_json::{Value, json};

use super::objects::text;
use super::{WriteError, Writer, failed, gone_is_fine, patch_status};
use crate::ledger::{Recorded, Refusal};

impl Writer {
    /// The VIP has no address, and says why.
    pub(super) async fn refuse_vip(
        &self,
        name: &VipName,
        refusal: &Refusal,
    ) -> Result<(), WriteError> {
        let conditions = vip_conditions("False", &refusal.message);
        let status = json!({"conditions": conditions});
        let patch = json!({"metadata": {"uid": refusal.uid}, "status": status});
        let written = self.write_vip(name, &patch).await;
        gone_is_fine(written).map_err(failed("write the status of VIP", name))
    }

    /// VIPs have no status of their own in the API.
    pub(super) async fn write_vip(&self, name: &VipName, patch: &Value) -> Result<(), kube::Error> {
        let vips: Api<Vip> = Api::all(self.client.clone());
        let params = PatchParams::default();
        let patch = Patch::Merge(patch);
        vips.patch(name.as_str(), &params, &patch).await.map(drop)
    }

    /// An object that is gone needs no status.
    pub(crate) async fn write_pool_status(
        &self,
        name: &IpPoolName,
        status: &IpPoolStatus,
    ) -> Result<(), WriteError> {
        let objects: Api<IpPool> = Api::all(self.client.clone());
        patch_status(&objects, name.as_str(), &json!({"status": status})).await
    }

    /// The statuses of pools that are there now.
    pub(crate) async fn read_pool_statuses(
        &self,
    ) -> Result<Vec<(IpPoolName, IpPoolStatus)>, WriteError> {
        let objects: Api<IpPool> = Api::all(self.client.clone());
        let listed = objects.list(&ListParams::default()).await;
        let listed = listed.map_err(failed("list", &"IP pools"))?;
        let status = |pool: IpPool| Some((IpPoolName::new(pool.name_any()).ok()?, pool.status?));
        Ok(listed.into_iter().filter_map(status).collect())
    }
}

/// What a VIP says of itself; the UID makes it fail on a successor.
pub(crate) fn vip_patch(recorded: &Recorded) -> Value {
    json!({
        "metadata": {"uid": recorded.uid},
        "status": {
            "v4ip": text(recorded.addresses.v4),
            "v6ip": text(recorded.addresses.v6),
            "mac": recorded.mac.to_string(),
            "conditions": vip_conditions("True", ""),
        },
    })
}

fn vip_conditions(status: &str, message: &str) -> [Condition; 1] {
    let now = Some(Time(Timestamp::now()));
    [Condition {
        type_: READY.to_owned(),
        status: status.to_owned(),
        reason: if message.is_empty() {
            "AddressReserved".to_owned()
        } else {
            "AcquireAddressFailed".to_owned()
        },
        message: message.to_owned(),
        last_update_time: now.clone(),
        last_transition_time: now,
    }]
}
