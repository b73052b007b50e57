//! A cluster that Kube-OVN 1.7 ran until now: its objects and its northbound database, written down
//! by hand after the specification, become ours without a pod noticing.
#![cfg(test)]

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use api::{Ip, Subnet, Vpc};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::{
    Cluster, Lab, LabOptions, Netns, OvnVersion, Wired, lab, loss::Pinging, objects::pod,
    ovn::Programs, process::Process, traffic::wait_for_ping, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);
const NORTHBOUND: &str = include_str!("adoption/northbound.txt");
const FOREIGN: &str = include_str!("adoption/foreign.txt");
const OBJECTS: &str = include_str!("adoption/objects.yaml");
const ROUTER_MAC: &str = "ovn.kubernetes.io/router-port-mac";

/// A pod as Kube-OVN recorded it.
struct Recorded {
    name: &'static str,
    node: &'static str,
    subnet: &'static str,
    address: &'static str,
    mac: &'static str,
}

const PODS: [Recorded; 3] = [
    Recorded {
        name: "a",
        node: "n1",
        subnet: "ovn-default",
        address: "10.16.0.2",
        mac: "00:00:00:BB:00:01",
    },
    Recorded {
        name: "b",
        node: "n2",
        subnet: "ovn-default",
        address: "10.16.0.3",
        mac: "00:00:00:BB:00:02",
    },
    Recorded {
        name: "c",
        node: "n2",
        subnet: "blue",
        address: "10.17.0.2",
        mac: "00:00:00:BB:00:03",
    },
];

const NODES: [Recorded; 2] = [
    Recorded {
        name: "n1",
        node: "n1",
        subnet: "join",
        address: "100.64.0.2",
        mac: "00:00:00:AA:00:01",
    },
    Recorded {
        name: "n2",
        node: "n2",
        subnet: "join",
        address: "100.64.0.3",
        mac: "00:00:00:AA:00:02",
    },
];

#[test]
fn r24_a_database_of_kube_ovn_becomes_ours_and_rows_of_others_stay_as_they_are() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let mut cluster = Cluster::prepare(lab).await?;
        create_objects(lab).await?;
        lab.nb(NORTHBOUND)?;
        lab.nb(FOREIGN)?;
        let rows = identities(lab)?;
        let foreign = foreign(lab)?;
        let [a, _b, c] = wire(lab).await?;
        let to_b = PODS[1].address.parse()?;
        let ping = Pinging::start(a.netns().path(), to_b, "ping-b", lab.directory()).await?;
        let monitor = monitor(lab)?;

        cluster.start_controller()?;
        cluster.ready().await?;
        wait_until("Kube-OVN's routes are gone", PATIENCE, async || {
            only_the_default_route(lab)
        })
        .await?;
        lab.sync()?;
        // ARP of the router would tell a new MAC; this neighbour does not ask
        wait_for_ping(a.netns(), c.address(), PATIENCE).await?;

        ensure!(identities(lab)? == rows, "other rows: {rows:#?}");
        foreign_stay(lab, &foreign)?;
        owners_are_set(lab)?;
        acls_are_ours_or_gone(lab)?;
        macs_are_recorded(lab).await?;
        addresses_are_kept(lab).await?;
        routes_went_when_policies_came(&monitor)?;
        lose_record(lab, &PODS[0]).await?;
        let loss = ping.finish().await?;
        ensure!(loss.lost <= 1, "the ping noticed: {loss:?}");

        cluster.start_controller()?;
        cluster.ready().await?;
        lab.nbctl(["ls-del", "blue"])?;
        wait_until("what was lost is made again", PATIENCE, async || {
            let addresses = lab.nbctl(["lsp-get-addresses", "c.default"])?;
            ensure!(addresses.contains("10.17.0.2"), "it is {addresses}");
            let mac = lab.nbctl(["get", "Logical_Router_Port", "ovn-cluster-blue", "mac"])?;
            ensure!(mac.contains("00:00:00:5A:11:02"), "it has {mac}");
            Ok(())
        })
        .await?;
        foreign_stay(lab, &foreign)?;

        delete_all(lab).await?;
        wait_until("nothing of ours is left", PATIENCE, async || {
            let ports = lab.nbctl(["--bare", "--columns=name", "find", "Logical_Switch_Port"])?;
            let ours = ports.lines().filter(|it| it.ends_with(".default"));
            ensure!(ours.count() == 0, "there are {ports}");
            Ok(())
        })
        .await?;
        foreign_stay(lab, &foreign)
    });
}

async fn create_objects(lab: &Lab) -> Result<()> {
    let client = lab.api_server()?.client()?;
    for document in serde_yaml::Deserializer::from_str(OBJECTS) {
        let object = Value::deserialize(document)?;
        let parameters = PostParams::default();
        if object["kind"] == "Vpc" {
            let vpcs: Api<Vpc> = Api::all(client.clone());
            vpcs.create(&parameters, &serde_json::from_value(object)?)
                .await?;
        } else {
            let subnets: Api<Subnet> = Api::all(client.clone());
            subnets
                .create(&parameters, &serde_json::from_value(object)?)
                .await?;
        }
    }
    let nodes: Api<Node> = Api::all(client.clone());
    for node in &NODES {
        let patch = json!({"metadata": {"annotations": annotations(node)}});
        nodes
            .patch(node.name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        create_record(lab, node, &format!("node-{}", node.name), "").await?;
    }
    for recorded in &PODS {
        let mut object = pod(recorded.name).on(recorded.node);
        for (key, value) in annotations(recorded).as_object().into_iter().flatten() {
            object = object.annotation(key, value.as_str().unwrap_or_default());
        }
        lab.api_server()?.create_pod(&object.build()).await?;
        let running = Patch::Merge(json!({"status": {"phase": "Running"}}));
        let pods: Api<Pod> = Api::default_namespaced(client.clone());
        let parameters = PatchParams::default();
        pods.patch_status(recorded.name, &parameters, &running)
            .await?;
        let name = format!("{}.default", recorded.name);
        create_record(lab, recorded, &name, "default").await?;
    }
    Ok(())
}

fn annotations(recorded: &Recorded) -> Value {
    json!({
        "ovn.kubernetes.io/allocated": "true",
        "ovn.kubernetes.io/routed": "true",
        "ovn.kubernetes.io/logical_switch": recorded.subnet,
        "ovn.kubernetes.io/ip_address": recorded.address,
        "ovn.kubernetes.io/mac_address": recorded.mac,
    })
}

/// As Kube-OVN's daemon writes it: nothing tells whose it is but the names, and there are lists.
async fn create_record(lab: &Lab, it: &Recorded, name: &str, namespace: &str) -> Result<()> {
    let record = json!({
        "apiVersion": "kubeovn.io/v1",
        "kind": "IP",
        "metadata": {
            "name": name,
            "labels": {"ovn.kubernetes.io/subnet": it.subnet, it.subnet: ""},
        },
        "spec": {
            "podName": it.name, "namespace": namespace, "subnet": it.subnet, "nodeName": it.node,
            "ipAddress": it.address, "v4IpAddress": it.address, "v6IpAddress": "",
            "macAddress": it.mac, "containerID": "",
            "attachIps": [it.address], "attachMacs": [it.mac], "attachSubnets": [it.subnet],
        },
    });
    let records: Api<Ip> = Api::all(lab.api_server()?.client()?);
    let record = serde_json::from_value(record)?;
    records.create(&PostParams::default(), &record).await?;
    Ok(())
}

/// Interfaces as Kube-OVN's daemon makes them: they name their port, and no version of it.
async fn wire(lab: &Lab) -> Result<[Wired; 3]> {
    let mut wired = Vec::new();
    for pod in &PODS {
        let port = format!("{}.default", pod.name);
        wired.push(Wired::attach(lab, pod.node, &port, pod.address.parse()?).await?);
    }
    let wired: [Wired; 3] = wired.try_into().ok().context("there are three pods")?;
    remember_router(wired[0].netns(), "10.16.0.1", "00:00:00:5a:11:01")?;
    remember_router(wired[2].netns(), "10.17.0.1", "00:00:00:5a:11:02")?;
    Ok(wired)
}

fn remember_router(pod: &Netns, address: &str, mac: &str) -> Result<()> {
    pod.ip([format!(
        "neighbour replace {address} lladdr {mac} dev eth0 nud permanent"
    )])
}

/// The rows that must stay what they are, with what must stay of them.
fn identities(lab: &Lab) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (table, columns) in [
        ("Logical_Router", "_uuid,name"),
        ("Logical_Switch", "_uuid,name"),
        ("Logical_Router_Port", "_uuid,name,mac,networks"),
        ("Logical_Switch_Port", "_uuid,name"),
        ("Load_Balancer", "_uuid,name,protocol"),
        ("ACL", "_uuid,priority,match,action,log,severity,name"),
    ] {
        let listed = list(lab, columns, table)?.into_iter();
        let kept = listed.filter(|line| !line.contains("dead.default"));
        // a network that is no longer allowed, and a subnet that is no longer private
        let is_former =
            |it: &String| it.contains("10.77.") || it.contains("drop") && it.contains("blue");
        let kept = kept.filter(|it| !is_former(it));
        // those of sessions are new, and what lets pods reach themselves by a service
        let kept = kept.filter(|it| !it.contains("flags.loopback"));
        lines.extend(kept.filter(|line| !line.contains("session")));
    }
    lines.sort();
    Ok(lines)
}

/// Rows that somebody else marked, or that hang in such rows, without what northd writes.
fn foreign(lab: &Lab) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (table, columns) in [
        (
            "Logical_Router",
            "_uuid,name,ports,policies,static_routes,options,external_ids",
        ),
        (
            "Logical_Switch",
            "_uuid,name,ports,load_balancer,other_config,external_ids",
        ),
        (
            "Logical_Switch_Port",
            "_uuid,name,type,addresses,options,external_ids",
        ),
        ("Port_Group", "_uuid,name,ports,external_ids"),
        ("Load_Balancer", "_uuid,name,vips,external_ids"),
        ("ACL", "_uuid,priority,match,action,external_ids"),
        (
            "Logical_Router_Policy",
            "_uuid,priority,match,action,nexthops,external_ids",
        ),
    ] {
        let listed = list(lab, columns, table)?.into_iter();
        lines.extend(listed.filter(|line| line.contains("neutron")));
    }
    lines.push(lab.nbctl(["lr-route-list", "neutron-1"])?);
    lines.push(lab.nbctl(["lr-policy-list", "neutron-1"])?);
    lines.sort();
    Ok(lines)
}

fn foreign_stay(lab: &Lab, before: &[String]) -> Result<()> {
    let now = foreign(lab)?;
    ensure!(now == before, "there are {now:#?} instead of {before:#?}");
    Ok(())
}

fn list(lab: &Lab, columns: &str, table: &str) -> Result<Vec<String>> {
    let columns = format!("--columns={columns}");
    let printed = lab.nbctl(["--format=csv", "--no-headings", &columns, "list", table])?;
    Ok(printed.lines().map(str::to_owned).collect())
}

fn only_the_default_route(lab: &Lab) -> Result<()> {
    let routes = lab.nbctl(["lr-route-list", "ovn-cluster"])?;
    let routes: Vec<&str> = routes.lines().filter(|it| it.contains("100.64")).collect();
    ensure!(
        routes.len() == 1 && routes[0].contains("0.0.0.0/0"),
        "there are {routes:?}"
    );
    Ok(())
}

fn owners_are_set(lab: &Lab) -> Result<()> {
    for (table, row, owner) in [
        ("Logical_Router", "ovn-cluster", "vpc/ovn-cluster"),
        ("Logical_Switch", "ovn-default", "subnet/ovn-default"),
        ("Logical_Router_Port", "ovn-cluster-blue", "subnet/blue"),
        ("Logical_Switch_Port", "node-n2", "node/n2"),
        ("Logical_Switch_Port", "a.default", "port/default/a/ovn"),
        (
            "Load_Balancer",
            "cluster-tcp-loadbalancer",
            "load-balancers/ovn-cluster",
        ),
    ] {
        let found = lab.nbctl(["get", table, row, "external_ids:kube-ovn-owner"])?;
        ensure!(found.trim_matches('"') == owner, "{row} is of {found}");
    }
    let config = lab.nbctl(["get", "Logical_Switch", "blue", "other_config"])?;
    ensure!(config == "{}", "OVN would choose addresses: {config}");
    let dead = lab.nbctl(["--bare", "find", "Logical_Switch_Port", "name=dead.default"])?;
    ensure!(dead.is_empty(), "a pod that is gone has a port: {dead}");
    Ok(())
}

/// Those of the subnet that is private; what lets nodes into the other is not for us to judge.
fn acls_are_ours_or_gone(lab: &Lab) -> Result<()> {
    let acls = list(lab, "priority,match,action,name,external_ids", "ACL")?;
    let is_former = |it: &&String| it.contains("10.77.") || it.contains("blue");
    ensure!(acls.iter().find(is_former).is_none(), "there are {acls:#?}");
    let ours = acls.iter().filter(|it| it.contains("subnet/green"));
    ensure!(ours.count() == 5 && acls.len() == 7, "there are {acls:#?}");
    Ok(())
}

async fn macs_are_recorded(lab: &Lab) -> Result<()> {
    let subnets: Api<Subnet> = Api::all(lab.api_server()?.client()?);
    for (name, mac) in [
        ("ovn-default", "00:00:00:5A:11:01"),
        ("blue", "00:00:00:5A:11:02"),
        ("join", "00:00:00:5A:11:03"),
    ] {
        let subnet = subnets.get(name).await?;
        let recorded = subnet.annotations().get(ROUTER_MAC);
        ensure!(
            recorded.is_some_and(|it| it == mac),
            "{name} has {recorded:?}"
        );
    }
    Ok(())
}

/// On the pods, in the records, and in the database.
async fn addresses_are_kept(lab: &Lab) -> Result<()> {
    let client = lab.api_server()?.client()?;
    let (pods, records) = (
        Api::<Pod>::default_namespaced(client.clone()),
        Api::<Ip>::all(client),
    );
    for recorded in &PODS {
        let pod = pods.get(recorded.name).await?;
        for (key, value) in annotations(recorded).as_object().into_iter().flatten() {
            let kept = pod.annotations().get(key).map(String::as_str);
            ensure!(kept == value.as_str(), "{key} is {kept:?}");
        }
        let name = format!("{}.default", recorded.name);
        let record = records.get(&name).await?.spec;
        ensure!(
            (record.ip_address.as_str(), record.mac_address.as_str())
                == (recorded.address, recorded.mac),
            "there is {record:?}"
        );
        let addresses = lab.nbctl(["lsp-get-addresses", &name])?;
        let expected = format!("{} {}", recorded.mac, recorded.address);
        ensure!(addresses == expected, "{name} has {addresses}");
    }
    Ok(())
}

/// The record is made again, by us, and the interface that carries no version stays bound.
async fn lose_record(lab: &Lab, recorded: &Recorded) -> Result<()> {
    let records: Api<Ip> = Api::all(lab.api_server()?.client()?);
    let name = format!("{}.default", recorded.name);
    let former = records.get(&name).await?;
    records.delete(&name, &DeleteParams::default()).await?;
    wait_until("the record is made again", PATIENCE, async || {
        let record = records.get(&name).await?;
        ensure!(record.uid() != former.uid(), "it is the former one");
        ensure!(record.spec.ip_address == recorded.address, "{record:?}");
        Ok(())
    })
    .await?;
    lab.sync()?;
    let options = lab.nbctl(["get", "Logical_Switch_Port", &name, "options"])?;
    ensure!(!options.contains("iface-id-ver"), "{name} has {options}");
    Ok(())
}

/// Tells of each transaction that changes the routes or policies of a router.
fn monitor(lab: &Lab) -> Result<Process> {
    Programs::find(lab.version())?
        .command("ovsdb-client")?
        .args(["--format=json", "monitor", &lab.central().nb_socket()])
        .args(["OVN_Northbound", "Logical_Router", "static_routes,policies"])
        .spawn("monitor", lab.directory())
}

fn routes_went_when_policies_came(monitor: &Process) -> Result<()> {
    let text = fs::read_to_string(monitor.log())?;
    let updates = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let rows = updates.flat_map(|it| it["data"].as_array().cloned().unwrap_or_default());
    let old: Vec<Value> = rows.filter(|row| row[1] == "old").collect();
    let routes_changed = old.iter().filter(|row| !row[2].is_null());
    let with_policies = |row: &&Value| !row[3].is_null();
    ensure!(
        routes_changed.clone().count() == 1 && routes_changed.clone().all(|it| with_policies(&it)),
        "there were {old:?}"
    );
    Ok(())
}

async fn delete_all(lab: &Lab) -> Result<()> {
    let api_server = lab.api_server()?;
    let pods = Api::<Pod>::default_namespaced(api_server.client()?);
    for pod in pods.list(&ListParams::default()).await? {
        api_server.delete_pod(&pod).await?;
    }
    Ok(())
}
