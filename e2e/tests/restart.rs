//! A restart of the controller with nothing changed writes nothing: no row, as an independent
//! monitor of NB (`ovsdb-client`, on a connection of its own) sees it, and no object.
#![cfg(test)]

use std::{collections::BTreeSet, fmt::Debug, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use api::{IpPool, Subnet, Vip, Vpc};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Resource,
    api::{Api, ListParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, OvnVersion, lab, objects,
    objects::pod,
    ovn::Programs,
    process::Process,
    versions::{changed, settled_versions},
    wait_for_event, wait_until,
};

const PODS: usize = 100;
const PATIENCE: Duration = Duration::from_mins(1);
const ALLOCATED: &str = "ovn.kubernetes.io/allocated";
const CANARY: &str = "kube-ovn-canary";
/// Longer than counters may wait before they are written.
const QUIET: Duration = Duration::from_secs(6);

#[test]
fn r01_a_restart_with_100_pods_writes_no_row_but_the_canary_and_no_object() {
    let options = LabOptions::on(OvnVersion::V25_03)
        .families(Families::Dual)
        .with_api_server();
    lab::run(options, async |lab| {
        let mut cluster = Cluster::start_without_daemons(lab).await?;
        create_one_of_each(lab).await?;
        create_pods(lab).await?;
        wait_until("every pod has a port", PATIENCE, async || has_ports(lab)).await?;
        // what the nodes report of it is written by then, too
        lab.nbctl(["--timeout=20", "--wait=hv", "sync"])?;

        let monitor = monitor(lab)?;
        let writes = || changes(&monitor);
        wait_until("the monitor sees a canary", PATIENCE, async || {
            seen(&writes()?, 1)
        })
        .await?;
        let pods = u32::try_from(PODS)?;
        wait_until("the status counts the pods", PATIENCE, async || {
            ensure_counted(lab, f64::from(pods)).await
        })
        .await?;
        let objects = settled_versions(lab, QUIET).await?;
        cluster.controller()?.kill()?;
        let before = writes()?.len();
        cluster.start_controller()?;
        cluster.ready().await?;
        let after_start = before + 2;
        wait_until("the successor's canaries are seen", PATIENCE, async || {
            seen(&writes()?, after_start)
        })
        .await?;

        // as long as whoever counts anew may take to write
        let after = settled_versions(lab, QUIET).await?;
        assert_eq!(changed(&objects, &after), Vec::<String>::new());

        let others: BTreeSet<Change> = writes()?
            .into_iter()
            .filter(|change| !change.is_canary)
            .collect();
        assert_eq!(others, BTreeSet::new());
        Ok(())
    });
}

#[test]
fn what_is_changed_by_hand_comes_back_and_what_is_deleted_leaves_nothing() {
    let options = LabOptions::on(OvnVersion::V23_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let api_server = lab.api_server()?;
        let pod = api_server.create_pod(&pod("a").on("n1").build()).await?;
        wait_until("the pod has a port", PATIENCE, async || {
            dump(lab)?.ensure_port("a.default")
        })
        .await?;
        let before = dump(lab)?;

        lab.nbctl(["lsp-set-addresses", "a.default", "unknown"])?;
        wait_until("the addresses are back", PATIENCE, async || {
            before.ensure_equal(lab)
        })
        .await?;
        lab.nbctl(["ls-del", "ovn-default"])?;
        wait_until("switch and ports are back", PATIENCE, async || {
            before.ensure_equal(lab)
        })
        .await?;
        lab.nbctl(["lr-policy-del", "ovn-cluster"])?;
        wait_until("the policies are back", PATIENCE, async || {
            before.ensure_equal(lab)
        })
        .await?;

        api_server.delete_pod(&pod).await?;
        let ips: Api<api::Ip> = Api::all(api_server.client()?);
        wait_until("port and record are gone", PATIENCE, async || {
            ensure!(
                dump(lab)?.ensure_port("a.default").is_err(),
                "the port is there"
            );
            ensure!(
                ips.get_opt("a.default").await?.is_none(),
                "the record is there"
            );
            Ok(())
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn a_pod_with_a_bad_annotation_is_told_and_blocks_nobody() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let api_server = lab.api_server()?;
        let bad = pod("bad")
            .on("n1")
            .annotation("ovn.kubernetes.io/ip_address", "10.16.0.999");
        api_server.create_pod(&bad.build()).await?;
        api_server.create_pod(&pod("good").on("n1").build()).await?;
        wait_until("the neighbour has a port", PATIENCE, async || {
            dump(lab)?.ensure_port("good.default")
        })
        .await?;
        let words = ["ip_address", "10.16.0.999"];
        wait_for_event(lab, "ValidatePodNetworkFailed", &words).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn r10_a_node_whose_address_is_inside_a_subnet_is_told() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let addresses = "10.16.3.4".parse()?;
        let node = objects::node("inside", &addresses);
        lab.api_server()?.create_node(&node).await?;
        let words = ["10.16.3.4", "10.16.0.0/16", "ovn-default"];
        wait_for_event(lab, "NodeAddressConflictWithSubnet", &words).await?;
        drop(cluster);
        Ok(())
    });
}

/// The default subnet is ready and counts its pods, and its VPC knows it.
async fn ensure_counted(lab: &Lab, pods: f64) -> Result<()> {
    let client = lab.api_server()?.client()?;
    let subnets: Api<Subnet> = Api::all(client.clone());
    let subnet = subnets.get("ovn-default").await?;
    let status = subnet.status.context("the subnet has a status")?;
    let conditions = status.conditions.iter();
    let conditions: Vec<(&str, &str)> = conditions
        .map(|it| (it.type_.as_str(), it.status.as_str()))
        .collect();
    ensure!(
        conditions == [("Validated", "True"), ("Ready", "True"), ("Error", "False")],
        "there are {conditions:?}"
    );
    // all but the first, the last and the gateway
    let hosts = f64::from(65536_u32 - 3);
    let counted = (status.v4_using, status.v4_using + status.v4_available);
    ensure!(counted == (pods, hosts), "there are {status:?}");
    let counted = (status.v6_using, status.v6_using + status.v6_available);
    ensure!(counted == (pods, hosts), "there are {status:?}");
    let vpcs: Api<Vpc> = Api::all(client);
    let vpc = vpcs.get("ovn-cluster").await?;
    let status = vpc.status.context("the VPC has a status")?;
    ensure!(
        status.standby && status.default && status.subnets == ["join", "ovn-default"],
        "there is {status:?}"
    );
    Ok(())
}

/// A VPC with a subnet, a service, a pool and a VIP.
async fn create_one_of_each(lab: &Lab) -> Result<()> {
    let network = json!({"vpc": "tenant", "cidrBlock": "10.40.0.0/16,fd00:10:40::/112"});
    let pool = json!({"subnet": "tenant", "ips": ["10.40.200.0/24"]});
    let port = json!({"port": 80});
    create::<Vpc>(lab, "tenant", json!({})).await?;
    create::<Subnet>(lab, "tenant", network).await?;
    create::<IpPool>(lab, "pool", pool).await?;
    create::<Vip>(lab, "vip", json!({"subnet": "tenant"})).await?;
    let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [port]}});
    let services: Api<Service> = Api::namespaced(lab.api_server()?.client()?, "default");
    let service = serde_json::from_value(service)?;
    services.create(&PostParams::default(), &service).await?;
    let vips: Api<Vip> = Api::all(lab.api_server()?.client()?);
    wait_until("the VIP has an address", PATIENCE, async || {
        let status = vips.get("vip").await?.status;
        status.context("it has no status").map(drop)
    })
    .await
}

async fn create<K>(lab: &Lab, name: &str, spec: Value) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let object = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": {"name": name}, "spec": spec,
    });
    let objects: Api<K> = Api::all(lab.api_server()?.client()?);
    let object = serde_json::from_value(object)?;
    objects.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// What the controller owns in NB, in an order that does not depend on UUIDs.
#[derive(Debug, PartialEq, Eq)]
struct Dump(Vec<String>);

impl Dump {
    fn ensure_port(&self, name: &str) -> Result<()> {
        ensure!(
            self.0.iter().any(|line| line.contains(name)),
            "there is no port {name}"
        );
        Ok(())
    }

    fn ensure_equal(&self, lab: &Lab) -> Result<()> {
        let now = dump(lab)?;
        ensure!(*self == now, "there is {now:?} instead of {self:?}");
        Ok(())
    }
}

fn dump(lab: &Lab) -> Result<Dump> {
    let tables = [
        ("Logical_Switch", "name"),
        ("Logical_Switch_Port", "name,type,addresses,options"),
        ("Logical_Router_Port", "name,mac,networks"),
        ("Logical_Router_Policy", "priority,match,action,nexthops"),
        ("Logical_Router_Static_Route", "ip_prefix,nexthop"),
        ("Port_Group", "name"),
    ];
    let mut lines = Vec::new();
    for (table, columns) in tables {
        let columns = format!("--columns={columns}");
        let printed = lab.nbctl(["--format=csv", "--no-headings", &columns, "list", table])?;
        lines.extend(printed.lines().map(|line| format!("{table} {line}")));
    }
    lines.sort();
    Ok(Dump(lines))
}

async fn create_pods(lab: &Lab) -> Result<()> {
    for number in 0..PODS {
        let node = if number % 2 == 0 { "n1" } else { "n2" };
        let pod = pod(&format!("p{number}")).on(node).build();
        lab.api_server()?.create_pod(&pod).await?;
    }
    let pods: Api<Pod> = Api::namespaced(lab.api_server()?.client()?, "default");
    wait_until("every pod is allocated", PATIENCE, async || {
        let listed = pods.list(&ListParams::default()).await?;
        let allocated = |pod: &&Pod| {
            let annotations = pod.metadata.annotations.as_ref();
            annotations.is_some_and(|all| all.contains_key(ALLOCATED))
        };
        let count = listed.iter().filter(allocated).count();
        ensure!(count == PODS, "{count} of {PODS} are");
        Ok(())
    })
    .await
}

fn has_ports(lab: &Lab) -> Result<()> {
    let ports = lab.nbctl(["lsp-list", "ovn-default"])?;
    let count = ports
        .lines()
        .filter(|line| line.contains(".default)"))
        .count();
    ensure!(count == PODS, "{count} of {PODS} have");
    Ok(())
}

/// One row as the monitor printed it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    table: String,
    is_canary: bool,
    text: String,
}

fn monitor(lab: &Lab) -> Result<Process> {
    Programs::find(lab.version())?
        .command("ovsdb-client")?
        .args([
            "--format=json",
            "monitor",
            &lab.central().nb_socket(),
            "OVN_Northbound",
            "ALL",
        ])
        .spawn("monitor", lab.directory())
}

fn seen(changes: &[Change], count: usize) -> Result<()> {
    let canaries = changes.iter().filter(|change| change.is_canary).count();
    ensure!(canaries >= count, "{canaries} of {count} canaries");
    Ok(())
}

/// Every write but the rows that were there when the monitor began.
fn changes(monitor: &Process) -> Result<Vec<Change>> {
    let text = fs::read_to_string(monitor.log())?;
    let tables = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut changes = Vec::new();
    for table in tables {
        let rows = table["data"].as_array().context("a table has rows")?;
        let written = rows
            .iter()
            .filter(|row| row[1] != "initial" && row[1] != "new");
        changes.extend(written.map(|row| Change {
            table: table["caption"].to_string(),
            is_canary: table["caption"] == "NB_Global" && is_canary(&table["headings"], row),
            text: row.to_string(),
        }));
    }
    Ok(changes)
}

/// Of a row that was modified the monitor prints the old values of the columns that changed.
fn is_canary(headings: &Value, row: &Value) -> bool {
    let cells = headings
        .as_array()
        .into_iter()
        .flatten()
        .zip(row.as_array().into_iter().flatten());
    let changed: Vec<&Value> = cells
        .filter(|(heading, old)| {
            !old.is_null() && !["row", "action", "_version"].iter().any(|h| heading == h)
        })
        .map(|(heading, _)| heading)
        .collect();
    row[1] == "old" && changed == ["external_ids"] && row.to_string().contains(CANARY)
}
