use super::*;
use crate::api_server::ApiServer;

const SUBNETS: &str = "/apis/kubeovn.io/v1/subnets";
const VPC: &str = "/apis/kubeovn.io/v1/vpcs/ovn-cluster";

fn network(name: &str, cidrs: &str) -> Network {
    Network {
        name: SubnetName::new(name).unwrap(),
        cidrs: cidrs.parse().unwrap(),
        gateways: DualStack::NONE,
        excludes: Vec::new(),
    }
}

fn bootstrap() -> Bootstrap {
    Bootstrap {
        vpc: VpcName::new("ovn-cluster").unwrap(),
        pods: Network {
            excludes: vec!["10.16.0.5..10.16.0.9".parse().unwrap()],
            ..network("ovn-default", "10.16.0.0/16,fd00:10:16::/112")
        },
        join: network("join", "100.64.0.0/16,fd00:100:64::/112"),
    }
}

fn spec(server: &ApiServer, name: &str) -> SubnetSpec {
    let object = server.get(&format!("{SUBNETS}/{name}")).unwrap();
    serde_json::from_value(object["spec"].clone()).unwrap()
}

#[tokio::test]
async fn a_new_cluster_gets_its_vpc_a_subnet_for_pods_and_one_for_nodes() {
    let server = ApiServer::default();
    bootstrap().ensure(&server.client()).await.unwrap();
    assert_eq!(server.writes(), 3);
    assert!(server.get(VPC).is_some());

    let pods = spec(&server, "ovn-default");
    assert!(pods.default && pods.nat_outgoing && !pods.disable_inter_connection);
    assert_eq!(pods.vpc, "ovn-cluster");
    assert_eq!(pods.protocol, "Dual");
    assert_eq!(pods.gateway, "10.16.0.1,fd00:10:16::1");
    assert_eq!(
        pods.exclude_ips,
        ["10.16.0.1", "fd00:10:16::1", "10.16.0.5..10.16.0.9"]
    );

    let join = spec(&server, "join");
    assert!(!join.default && !join.nat_outgoing && join.disable_inter_connection);
    assert_eq!(
        join.exclude_ips,
        [
            "100.64.0.1",
            "fd00:100:64::1",
            "100.64.240.0..100.64.255.254",
            "fd00:100:64::f000..fd00:100:64::fffe",
        ]
    );
}

#[tokio::test]
async fn objects_that_exist_are_left_as_they_are() {
    let server = ApiServer::default();
    let bootstrap = bootstrap();
    bootstrap.ensure(&server.client()).await.unwrap();
    let writes = server.writes();
    for edit in ["10.99.0.0/16", "10.99.0.0/16,fd00:99::/112", "nonsense"] {
        let path = format!("{SUBNETS}/ovn-default");
        let mut edited = server.get(&path).unwrap();
        edited["spec"]["cidrBlock"] = edit.into();
        edited["spec"]["natOutgoing"] = false.into();
        server.put(&path, edited.clone());
        bootstrap.ensure(&server.client()).await.unwrap();
        assert_eq!(server.get(&path).unwrap(), edited);
        assert_eq!(server.writes(), writes);
    }
}

#[tokio::test]
async fn subnets_of_one_family_get_the_other_and_keep_the_rest() {
    let server = ApiServer::default();
    let mut single = bootstrap();
    single.pods.cidrs = "10.16.0.0/16".parse().unwrap();
    single.join.cidrs = "100.64.0.0/16".parse().unwrap();
    single.ensure(&server.client()).await.unwrap();
    let path = format!("{SUBNETS}/ovn-default");
    let mut edited = server.get(&path).unwrap();
    edited["spec"]["gateway"] = "10.16.255.254".into();
    edited["spec"]["private"] = true.into();
    server.put(&path, edited);

    bootstrap().ensure(&server.client()).await.unwrap();
    let pods = spec(&server, "ovn-default");
    assert_eq!(pods.cidr_block, "10.16.0.0/16,fd00:10:16::/112");
    assert_eq!(pods.protocol, "Dual");
    assert_eq!(pods.gateway, "10.16.255.254,fd00:10:16::1");
    assert_eq!(
        pods.exclude_ips,
        ["10.16.0.1", "10.16.0.5..10.16.0.9", "fd00:10:16::1"]
    );
    assert!(pods.private && pods.nat_outgoing);
    let join = spec(&server, "join");
    assert_eq!(join.cidr_block, "100.64.0.0/16,fd00:100:64::/112");
    assert_eq!(
        join.exclude_ips,
        [
            "100.64.0.1",
            "100.64.240.0..100.64.255.254",
            "fd00:100:64::1",
            "fd00:100:64::f000..fd00:100:64::fffe",
        ]
    );

    let writes = server.writes();
    bootstrap().ensure(&server.client()).await.unwrap();
    assert_eq!(server.writes(), writes);
}
