//! A Service, end to end: from the objects by way of the controller to connections that a client on
//! another node opens to the ClusterIP, by TCP and UDP, in both families.
#![cfg(test)]

use std::{
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use api::Subnet;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::api::{Api, DeleteParams, PostParams};
use model::IpFamily;
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, OvnVersion, RunningPod, lab,
    objects::pod,
    traffic::{LARGE, SMALL, listen, listen_udp, tcp_to, udp_to, wait_for_ping},
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(20);
const TCP: u16 = 80;
const UDP: u16 = 53;

#[test]
fn a_cluster_ip_leads_to_ready_endpoints_alone_on_25_03() {
    cluster_ip(OvnVersion::V25_03);
}

#[test]
fn a_cluster_ip_leads_to_ready_endpoints_alone_on_23_03() {
    cluster_ip(OvnVersion::V23_03);
}

fn cluster_ip(version: OvnVersion) {
    let options = LabOptions::on(version).families(Families::Dual);
    lab::run(options.with_api_server(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        let client = cluster.run_pod(pod("client"), "n1").await?;
        let ready = cluster.run_pod(pod("ready"), "n2").await?;
        let unready = cluster.run_pod(pod("unready"), "n1").await?;
        let addresses = create_service(lab).await?;
        for family in lab.families().all() {
            let backend = Backend::listen(&ready, *family)?;
            create_slice(lab, &backend, unready.address(*family)?).await?;
            wait_for_ping(client.netns(), ready.address(*family)?, PATIENCE).await?;
            let vip = *addresses
                .iter()
                .find(|address| IpFamily::of(**address) == *family)
                .context("the service has an address of each family")?;
            wait_until("the VIP leads to the pod", PATIENCE, async || {
                backend.answers(&client, vip, SMALL)
            })
            .await?;
            for _ in 0..5 {
                backend.answers(&client, vip, SMALL)?;
            }
            backend.answers(&client, vip, LARGE)?;
        }
        without_ready_endpoints_there_is_no_vip(lab).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn c2_a_cluster_ip_works_inside_a_private_subnet_and_leads_nobody_else_into_it() {
    let options = LabOptions::on(OvnVersion::V25_03).families(Families::Dual);
    lab::run(options.with_api_server(), async |lab| {
        let cluster = Cluster::start(lab).await?;
        create_private_subnet(lab, "10.31.0.0/16,fd00:31::/112").await?;
        let inside =
            |name: &str| pod(name).annotation("ovn.kubernetes.io/logical_switch", "private");
        let server = cluster.run_pod(inside("server"), "n1").await?;
        let client = cluster.run_pod(inside("client"), "n2").await?;
        let outside = cluster.run_pod(pod("outside"), "n1").await?;
        let addresses = create_service(lab).await?;
        for family in lab.families().all() {
            let backend = Backend::listen(&server, *family)?;
            create_slice(lab, &backend, client.address(*family)?).await?;
            let vip = addresses.iter().find(|it| IpFamily::of(**it) == *family);
            let vip = *vip.context("the service has an address of each family")?;
            wait_until("the VIP leads to the pod", PATIENCE, async || {
                backend.answers(&client, vip, SMALL)
            })
            .await?;
            backend.answers(&client, vip, LARGE)?;
            // OVN gives what a pod sends to itself by way of a service the address of the service
            backend.answers(&server, vip, LARGE)?;
            let called = backend.answers(&outside, vip, SMALL);
            ensure!(called.is_err(), "somebody outside can call");
        }
        drop(cluster);
        Ok(())
    });
}

async fn create_private_subnet(lab: &Lab, cidrs: &str) -> Result<()> {
    let subnet: Subnet = serde_json::from_value(json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "private"},
        "spec": {"cidrBlock": cidrs, "private": true},
    }))?;
    let subnets: Api<Subnet> = Api::all(lab.api_server()?.client()?);
    subnets.create(&PostParams::default(), &subnet).await?;
    Ok(())
}

/// What listens behind one family of the service.
struct Backend {
    address: IpAddr,
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Backend {
    fn listen(pod: &RunningPod, family: IpFamily) -> Result<Self> {
        Ok(Self {
            address: pod.address(family)?,
            tcp: listen(pod.netns(), family)?,
            udp: listen_udp(pod.netns(), family)?,
        })
    }

    fn answers(&self, client: &RunningPod, vip: IpAddr, bytes: usize) -> Result<()> {
        tcp_to(client.netns(), &self.tcp, SocketAddr::new(vip, TCP), bytes)?;
        udp_to(client.netns(), &self.udp, SocketAddr::new(vip, UDP))
    }

    fn slice(&self, unready: IpAddr) -> Result<Value> {
        let (name, kind) = match IpFamily::of(self.address) {
            IpFamily::V4 => ("web-v4", "IPv4"),
            IpFamily::V6 => ("web-v6", "IPv6"),
        };
        Ok(json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": kind,
            "endpoints": [
                {"addresses": [self.address], "conditions": {"ready": true}},
                {"addresses": [unready], "conditions": {"ready": false}},
            ],
            "ports": [
                {"name": "web", "port": self.tcp.local_addr()?.port(), "protocol": "TCP"},
                {"name": "dns", "port": self.udp.local_addr()?.port(), "protocol": "UDP"},
            ],
        }))
    }
}

async fn create_service(lab: &Lab) -> Result<Vec<IpAddr>> {
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {"ipFamilyPolicy": "RequireDualStack", "ports": [
            {"name": "web", "port": TCP, "protocol": "TCP"},
            {"name": "dns", "port": UDP, "protocol": "UDP"},
        ]},
    }))?;
    let services: Api<Service> = Api::namespaced(lab.api_server()?.client()?, "default");
    let created = services.create(&PostParams::default(), &service).await?;
    let texts = created.spec.and_then(|spec| spec.cluster_ips);
    let addresses = texts.into_iter().flatten().map(|text| Ok(text.parse()?));
    addresses.collect()
}

async fn create_slice(lab: &Lab, backend: &Backend, unready: IpAddr) -> Result<()> {
    let slice: EndpointSlice = serde_json::from_value(backend.slice(unready)?)?;
    slices(lab)?.create(&PostParams::default(), &slice).await?;
    Ok(())
}

/// One family loses its slice, the other its endpoint's readiness.
async fn without_ready_endpoints_there_is_no_vip(lab: &Lab) -> Result<()> {
    ensure!(vips(lab)?.contains(&format!(":{TCP}")), "there were VIPs");
    let slices = slices(lab)?;
    slices.delete("web-v4", &DeleteParams::default()).await?;
    let mut slice = slices.get("web-v6").await?;
    for endpoint in &mut slice.endpoints {
        endpoint.conditions.get_or_insert_default().ready = Some(false);
    }
    let parameters = PostParams::default();
    slices.replace("web-v6", &parameters, &slice).await?;
    wait_until("no VIP is left", PATIENCE, async || {
        let vips = vips(lab)?;
        ensure!(vips.trim().is_empty(), "there is {vips}");
        Ok(())
    })
    .await
}

fn vips(lab: &Lab) -> Result<String> {
    lab.nbctl(["--bare", "--columns=vips", "list", "Load_Balancer"])
}

fn slices(lab: &Lab) -> Result<Api<EndpointSlice>> {
    Ok(Api::namespaced(lab.api_server()?.client()?, "default"))
}
