//! What is written where events come in an unlucky order.

use controller_index::{Defaults, Settings, Watched};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use model::{SubnetName, VpcName};
use serde_json::{Value, json};

use super::*;
use crate::api_server::ApiServer;

const POD: &str = "/api/v1/namespaces/default/pods/a";
const RECORD: &str = "/apis/kubeovn.io/v1/ips/a.default";
/// How often the watch looks, and how long the events take.
const MOMENT: Duration = Duration::from_millis(10);

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn pod(address: &str) -> Value {
    json!({
        "metadata": {
            "name": "a", "namespace": "default", "uid": "u",
            "annotations": {"ovn.kubernetes.io/ip_address": address},
        },
        "spec": {"containers": [], "nodeName": "n1"},
        "status": {"phase": "Pending"},
    })
}

/// The index of a cluster with that pod, everything listed.
fn cluster(pod: &Value) -> Index {
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: SubnetName::new("join").unwrap(),
        },
        subnet: SubnetName::new("ovn-default").unwrap(),
    });
    let subnets = [("ovn-default", "10.16.0.0/16"), ("join", "100.64.0.0/16")];
    let subnets = subnets.map(|(name, cidr)| {
        let spec = api::SubnetSpec {
            cidr_block: cidr.to_owned(),
            ..Default::default()
        };
        api::Subnet::new(name, spec)
    });
    index.reset(&[api::Vpc::new("ovn-cluster", api::VpcSpec::default())]);
    index.reset(&subnets);
    index.reset(&[object::<Pod>(pod.clone())]);
    none_of::<api::Ip>(&mut index);
    none_of::<api::IpPool>(&mut index);
    none_of::<api::Vip>(&mut index);
    none_of::<api::Vlan>(&mut index);
    none_of::<Node>(&mut index);
    none_of::<Service>(&mut index);
    none_of::<EndpointSlice>(&mut index);
    none_of::<StatefulSet>(&mut index);
    none_of::<Namespace>(&mut index);
    assert!(index.is_synced());
    index
}

fn none_of<K: Watched>(index: &mut Index) {
    index.reset::<K>(&[]);
}

/// Waits until there is an object that is `so`.
async fn awaited(server: &ApiServer, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    loop {
        if let Some(object) = server.get(path).filter(&so) {
            return object;
        }
        kit::backoff::sleep(MOMENT).await;
    }
}

fn is_annotated(pod: &Value) -> bool {
    let annotations = &pod["metadata"]["annotations"];
    annotations["ovn.kubernetes.io/allocated"] == "true"
}

/// How many writes a pod gets whose event comes `lag` after that of its record.
async fn writes_of_a_pod(lag: Duration) -> u64 {
    let server = ApiServer::default();
    server.put(POD, pod("10.16.0.9"));
    let index = Shared::new(cluster(&pod("10.16.0.9")));
    let recorder = Recorder::new(index.clone(), Writer::new(server.client()));
    let shutdown = Shutdown::new();
    let watch = async {
        let mut record = awaited(&server, RECORD, |_| true).await;
        record["metadata"]["uid"] = "uid-of-record".into();
        index.write(|index| index.apply(&object::<api::Ip>(record)));
        let annotated = awaited(&server, POD, is_annotated).await;
        kit::backoff::sleep(lag).await;
        index.write(|index| index.apply(&object::<Pod>(annotated)));
        kit::backoff::sleep(echoes::ECHO * 3).await;
        shutdown.cancel();
    };
    let (ran, ()) = tokio::join!(recorder.run(shutdown.clone()), watch);
    assert!(ran.is_ok());
    server.writes()
}

#[tokio::test(start_paused = true)]
async fn annotations_are_written_once_though_the_event_of_the_record_comes_first() {
    assert_eq!(writes_of_a_pod(MOMENT).await, 2);
}

#[tokio::test(start_paused = true)]
async fn annotations_that_do_not_come_back_are_written_again() {
    assert_eq!(writes_of_a_pod(echoes::ECHO * 3).await, 3);
}
