//! How a pod is attached.

use api::annotation::key;

use crate::text::{Annotations, Rejected};

const VETH_PAIR: &str = "veth-pair";
const INTERNAL_PORT: &str = "internal-port";

/// What the annotation `pod_nic_type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nic {
    /// Nothing.
    #[default]
    Unsaid,
    VethPair,
    /// A port that Open vSwitch makes.
    InternalPort,
}

// === impl Nic ===

impl Nic {
    pub(super) fn of(annotations: Annotations<'_>) -> Result<Self, Rejected> {
        match annotations.text(key::POD_NIC_TYPE) {
            "" => Ok(Self::Unsaid),
            VETH_PAIR => Ok(Self::VethPair),
            INTERNAL_PORT => Ok(Self::InternalPort),
            _ => {
                let cause = format!("write `{VETH_PAIR}`, or remove it");
                Err(annotations.rejected(key::POD_NIC_TYPE, cause))
            }
        }
    }

    /// What to tell of a choice that is not served: the pod is attached nonetheless.
    pub(super) fn unserved(self) -> Option<Rejected> {
        (self == Self::InternalPort).then(|| Rejected {
            field: format!("annotation ovn.kubernetes.io/{}", key::POD_NIC_TYPE),
            value: INTERNAL_PORT.to_owned(),
            cause: format!(
                "pods are attached by pairs of virtual links only, and so is this one; write \
                 `{VETH_PAIR}`, or remove it"
            ),
        })
    }
}
