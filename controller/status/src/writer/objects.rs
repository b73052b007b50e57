//! Records and annotations, as they are written.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::annotation::{self, key};
use api::{Ip, IpSpec};
use controller_index::{Claimant, Nic, Origin};
use kube::api::ObjectMeta;
use model::Provider;
use serde_json::{Value, json};

use crate::ledger::Recorded;

pub(crate) fn ip_object(recorded: &Recorded) -> Ip {
    let (namespace, pod_name) = match &recorded.claimant {
        Claimant::Pod(pod) => (pod.namespace.clone(), pod.name.clone()),
        Claimant::Node(name) => (String::new(), name.to_string()),
        Claimant::Vip(name) => (String::new(), name.to_string()),
        Claimant::Unknown(name) => (String::new(), name.clone()),
    };
    let subnet = recorded.subnet.to_string();
    Ip {
        metadata: ObjectMeta {
            name: Some(recorded.claimant.record_name()),
            labels: Some(BTreeMap::from([
                (annotation::SUBNET_LABEL.to_owned(), subnet.clone()),
                (subnet.clone(), String::new()),
            ])),
            annotations: Some(BTreeMap::from([(
                annotation::CLAIMANT_UID.to_owned(),
                recorded.uid.clone(),
            )])),
            ..ObjectMeta::default()
        },
        spec: IpSpec {
            pod_name,
            namespace,
            subnet,
            node_name: recorded
                .node
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            ip_address: recorded.addresses.to_string(),
            v4_ip_address: text(recorded.addresses.v4),
            v6_ip_address: text(recorded.addresses.v6),
            mac_address: recorded.mac.to_string(),
            pod_type: recorded.pod_type().to_owned(),
            ..IpSpec::default()
        },
    }
}

/// Whether the two say the same of the same claimant.
pub(super) fn is_same_record(one: &Ip, other: &Ip) -> bool {
    let meaning = |ip: &Ip| {
        let annotations = ip.metadata.annotations.as_ref();
        let uid = annotations.and_then(|all| all.get(annotation::CLAIMANT_UID));
        let spec = ip.spec.clone();
        let addresses = (spec.subnet, spec.ip_address, spec.mac_address);
        (uid.cloned(), addresses)
    };
    meaning(one) == meaning(other)
}

/// A merge patch of the record with that UID: it is a new claimant's of the same name.
pub(crate) fn renewal_patch(uid: &str, recorded: &Recorded) -> Value {
    let node = recorded.node.as_ref().map(ToString::to_string);
    json!({
        "metadata": {
            "uid": uid,
            "annotations": {annotation::CLAIMANT_UID: recorded.uid},
        },
        "spec": {
            "nodeName": node.unwrap_or_default(),
            "podType": recorded.pod_type(),
        },
    })
}

/// A merge patch of our keys; the UID makes it fail on a successor.
///
/// `routed` goes along with the addresses, for tools that wait for it: rows are derived from the
/// record, so nothing is left that anybody has to do, in whatever VPC the pod is. That a port is
/// connected is what `ADD` waits for.
pub(crate) fn annotation_patch(recorded: &Recorded) -> Value {
    let common = [
        (key::LOGICAL_SWITCH, recorded.subnet.to_string()),
        (key::IP_ADDRESS, recorded.addresses.to_string()),
        (key::MAC_ADDRESS, recorded.mac.to_string()),
        (key::CIDR, recorded.cidrs.to_string()),
        (key::GATEWAY, recorded.gateways.to_string()),
        (key::ALLOCATED, annotation::TRUE.to_owned()),
    ];
    let own = match &recorded.claimant {
        Claimant::Node(name) => vec![(key::PORT_NAME, name.lsp())],
        Claimant::Pod(_) => pod_annotations(recorded.nic),
        Claimant::Vip(_) | Claimant::Unknown(_) => Vec::new(),
    };
    let annotations: BTreeMap<String, String> = common
        .into_iter()
        .chain(own)
        .map(|(key, value)| (Provider::Ovn.annotation(key), value))
        .chain(origin(recorded))
        .collect();
    json!({"metadata": {"uid": recorded.uid, "annotations": annotations}})
}

/// That a pod is ours, whatever becomes of its record.
fn origin(recorded: &Recorded) -> Option<(String, String)> {
    let mark = || (annotation::CLAIMANT_UID.to_owned(), recorded.uid.clone());
    match (&recorded.claimant, recorded.origin) {
        (Claimant::Pod(_), Origin::Ours) => Some(mark()),
        (Claimant::Node(_) | Claimant::Vip(_) | Claimant::Unknown(_), _) | (_, Origin::Unsaid) => {
            None
        }
    }
}

/// What a user wrote stays.
fn pod_annotations(nic: Nic) -> Vec<(&'static str, String)> {
    let always = [
        (key::NETWORK_TYPE, annotation::GENEVE.to_owned()),
        (key::ROUTED, annotation::TRUE.to_owned()),
    ];
    let nic = match nic {
        Nic::Unsaid => Some((key::POD_NIC_TYPE, "veth-pair".to_owned())),
        Nic::VethPair | Nic::InternalPort => None,
    };
    always.into_iter().chain(nic).collect()
}

pub(super) fn text(address: Option<IpAddr>) -> String {
    address
        .map(|address| address.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_wrote_of_the_nic_is_not_written_over() {
        let kinds = [Nic::Unsaid, Nic::VethPair, Nic::InternalPort];
        let written = kinds.map(|nic| {
            let all: BTreeMap<_, _> = pod_annotations(nic).into_iter().collect();
            all.get(key::POD_NIC_TYPE).cloned()
        });
        assert_eq!(written, [Some("veth-pair".to_owned()), None, None]);
    }
}
