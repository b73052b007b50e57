use controller_index::{Defaults, Index, Kind, Settings, Verdict};
use model::Owner;
use serde_json::{Value, json};

use super::*;
use crate::api_server::ApiServer;

const SUBNETS: &str = "/apis/kubeovn.io/v1/subnets";
const VPC: &str = "/apis/kubeovn.io/v1/vpcs/ovn-cluster";
const EVENTS: &str = "/apis/events.k8s.io/v1/";

fn object(kind: Kind, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "kubeovn.io/v1", "kind": kind.name(),
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "spec": spec,
    })
}

/// Two subnets and their VPC, which the planner found good, and a third that overlaps the second.
fn reporter(server: &ApiServer) -> Reporter {
    let name = |name| SubnetName::new(name).unwrap();
    let mut index = Index::new(Defaults {
        settings: Settings {
            default_vpc: VpcName::new("ovn-cluster").unwrap(),
            join: name("join"),
        },
        subnet: name("b"),
    });
    let verdicts = Verdicts::default();
    let vpc = object(Kind::Vpc, "ovn-cluster", &json!({}));
    index.apply(&serde_json::from_value::<api::Vpc>(vpc.clone()).unwrap());
    server.put(VPC, vpc);
    let vpc = Owner::Vpc(VpcName::new("ovn-cluster").unwrap());
    verdicts.tell(vpc, Verdict::default());
    for (it, cidr) in [
        ("a", "10.1.0.0/16"),
        ("b", "10.2.0.0/16"),
        ("c", "10.2.0.0/24"),
    ] {
        let subnet = object(Kind::Subnet, it, &json!({"cidrBlock": cidr}));
        index.apply(&serde_json::from_value::<api::Subnet>(subnet.clone()).unwrap());
        server.put(&format!("{SUBNETS}/{it}"), subnet);
        verdicts.tell(Owner::Subnet(name(it)), Verdict::default());
    }
    let usages = ["a", "b", "c"].map(|it| (name(it), model::DualStack::default()));
    let (_, usages) = watch::channel(Usages::from(usages));
    let writer = Writer::new(server.client());
    Reporter::new(Shared::new(index), verdicts, usages, writer)
}

fn conditions(server: &ApiServer, path: &str) -> usize {
    let object = server.get(path).unwrap();
    let conditions = object["status"]["conditions"].as_array();
    conditions.map_or(0, Vec::len)
}

#[tokio::test]
async fn an_object_whose_status_is_refused_for_good_keeps_nobody_else_from_theirs() {
    let server = ApiServer::default();
    server.refuse(&format!("{SUBNETS}/a"));
    let mut reporter = reporter(&server);
    reporter.report().await;
    assert_eq!(conditions(&server, &format!("{SUBNETS}/a")), 0);
    for path in [&format!("{SUBNETS}/b"), &format!("{SUBNETS}/c"), VPC] {
        assert!(conditions(&server, path) > 0, "{path}");
    }
    let events = server.list(EVENTS);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["regarding"]["name"], "c");
}

#[tokio::test]
async fn what_is_written_is_not_written_again() {
    let server = ApiServer::default();
    let mut reporter = reporter(&server);
    reporter.report().await;
    let writes = server.writes();
    assert_eq!(writes, 5, "three subnets, a VPC, an event");
    reporter.report().await;
    assert_eq!(server.writes(), writes);
}
