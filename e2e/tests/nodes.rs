//! Nodes come, go, come back as other machines, and have names that are hard.
#![cfg(test)]

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::{core::v1::Node, events::v1::Event};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use testkit::{
    Cluster, Fault, Lab, LabOptions, OvnVersion, fault::Part, lab, objects, objects::pod,
    wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);
const ADDRESS: &str = "ovn.kubernetes.io/ip_address";
const MAC: &str = "ovn.kubernetes.io/mac_address";
const ALLOCATED: &str = "ovn.kubernetes.io/allocated";
const LSP: &str = "Logical_Switch_Port";
const CHASSIS: &str = "ovn.kubernetes.io/chassis";

#[test]
fn r09_a_deleted_node_leaves_nothing_and_another_machine_takes_its_name() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        add_chassis(lab, "foreign", "gateway", "192.0.2.200")?;
        wait_until("our chassis are marked", PATIENCE, async || {
            marked(lab, &["n1", "n2"])
        })
        .await?;
        let address = address_of(lab, "n2").await?;

        let machine = Part::OvnController("n2".to_owned());
        let killed = Fault::Kill(machine).inject(&cluster)?;
        nodes(lab)?.delete("n2", &DeleteParams::default()).await?;
        wait_until("nothing of the node is left", PATIENCE, async || {
            nothing_left(lab, "n2", &address).await
        })
        .await?;
        let all = chassis(lab)?;
        ensure!(
            all.keys().eq(["foreign", "n1"].iter()) && all["foreign"] == "gateway",
            "there are {all:?}"
        );

        add_chassis(lab, "old", "n2", "192.0.2.201")?;
        add_chassis(lab, "new", "n2", "192.0.2.202")?;
        let mut node = objects::node("n2", lab.node("n2")?.addresses());
        let annotations = [(CHASSIS.to_owned(), "new".to_owned())];
        node.annotations_mut().extend(annotations);
        lab.api_server()?.create_node(&node).await?;
        wait_until("the chassis that was told stays", PATIENCE, async || {
            let all = chassis(lab)?;
            ensure!(
                all.keys().eq(["foreign", "n1", "new"].iter()),
                "there are {all:?}"
            );
            marked(lab, &["n1", "new"])
        })
        .await?;
        address_of(lab, "n2").await?;
        drop(killed);
        Ok(())
    });
}

#[test]
fn r25_a_node_with_dots_in_its_name_leaves_nothing_and_keeps_its_name_from_a_pod() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let node = objects::node("n9.example.default", &"192.0.2.9".parse()?);
        lab.api_server()?.create_node(&node).await?;
        let address = address_of(lab, "n9.example.default").await?;

        let namesake = pod("node-n9.example").on("n1").build();
        let namesake = lab.api_server()?.create_pod(&namesake).await?;
        wait_until("the pod is told", PATIENCE, async || {
            told(
                lab,
                "node-n9.example",
                &["node-n9.example.default", "n9.example.default"],
            )
            .await
        })
        .await?;
        lab.api_server()?.delete_pod(&namesake).await?;
        let ports = lab.nbctl(["lsp-list", "join"])?;
        ensure!(ports.contains("(node-n9.example.default)"), "{ports}");

        nodes(lab)?
            .delete("n9.example.default", &DeleteParams::default())
            .await?;
        wait_until("nothing of the node is left", PATIENCE, async || {
            nothing_left(lab, "n9.example.default", &address).await
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn annotations_of_a_joined_node_that_somebody_broke_come_back_and_its_port_stays() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        address_of(lab, "n2").await?;
        let port = wait_until("the node has its port", PATIENCE, async || {
            let port = lab.nbctl(["--columns=_uuid,addresses", "list", LSP, "node-n2"])?;
            ensure!(!port.is_empty());
            Ok(port)
        })
        .await?;
        let former = annotations_of(lab, "n2").await?;
        for (number, broken) in [
            json!({MAC: "x"}),
            json!({ADDRESS: "nonsense"}),
            json!({MAC: null, ADDRESS: null, ALLOCATED: null}),
        ]
        .iter()
        .enumerate()
        {
            let patch = Patch::Merge(json!({"metadata": {"annotations": broken}}));
            let params = PatchParams::default();
            nodes(lab)?.patch("n2", &params, &patch).await?;
            let another = format!("n{}", 7 + number);
            let node = objects::node(&another, &format!("192.0.2.{}", 7 + number).parse()?);
            lab.api_server()?.create_node(&node).await?;
            let address = address_of(lab, &another).await?;
            ensure!(Some(&address) != former.get(ADDRESS), "{another} has it");
            wait_until("the annotations are back", PATIENCE, async || {
                let now = annotations_of(lab, "n2").await?;
                ensure!(now == former, "there are {now:?} instead of {former:?}");
                Ok(())
            })
            .await?;
            let now = lab.nbctl(["--columns=_uuid,addresses", "list", LSP, "node-n2"])?;
            ensure!(now == port, "the port was {port} and is {now}");
        }
        drop(cluster);
        Ok(())
    });
}

#[test]
fn a_node_that_cannot_be_used_is_told_and_keeps_no_pod_waiting() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let mut cluster = Cluster::start_without_daemons(lab).await?;
        let mut node = objects::node("bad", &"192.0.2.9".parse()?);
        let annotations = [(ADDRESS.to_owned(), "nonsense".to_owned())];
        node.annotations_mut().extend(annotations);
        lab.api_server()?.create_node(&node).await?;
        wait_until("the node is told", PATIENCE, async || {
            told(lab, "bad", &["ip_address", "nonsense"]).await
        })
        .await?;
        // also after a start, when all nodes are looked at before any pod
        cluster.start_controller()?;
        for (name, node) in [("a", "n1"), ("b", "bad")] {
            let pod = pod(name).on(node).build();
            lab.api_server()?.create_pod(&pod).await?;
        }
        wait_until("the pods have ports", PATIENCE, async || {
            let ports = lab.nbctl(["lsp-list", "ovn-default"])?;
            let both = ports.contains("(a.default)") && ports.contains("(b.default)");
            ensure!(both, "there are {ports}");
            Ok(())
        })
        .await
    });
}

/// Some patch, one replaces what he has read, and one takes all annotations for his.
#[test]
fn r12_nobodys_annotations_of_a_node_are_lost_while_several_write_them() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let names: Vec<_> = (0..20).map(|number| format!("m{number}")).collect();
        let write = names.iter().enumerate().map(|(number, name)| async move {
            let addresses = format!("192.0.2.{}", number + 20).parse()?;
            let node = objects::node(name, &addresses);
            lab.api_server()?.create_node(&node).await?;
            annotate(lab, name, "one").await?;
            read_and_replace(lab, name, "two").await?;
            annotate(lab, name, "three").await
        });
        try_join_all(write).await?;
        for name in &names {
            wait_for_keys(lab, name, &["one", "two", "three"]).await?;
        }
        let before = address_of(lab, "m0").await?;
        let mut node = nodes(lab)?.get("m0").await?;
        *node.annotations_mut() = [("mine".to_owned(), "kept".to_owned())].into();
        node.metadata.resource_version = None;
        nodes(lab)?
            .replace("m0", &PostParams::default(), &node)
            .await?;
        wait_for_keys(lab, "m0", &["mine"]).await?;
        assert_eq!(address_of(lab, "m0").await?, before);
        drop(cluster);
        Ok(())
    });
}

/// Waits until the node has these annotations, and ours.
async fn wait_for_keys(lab: &Lab, name: &str, keys: &[&str]) -> Result<()> {
    let nodes = nodes(lab)?;
    wait_until("the annotations are there", PATIENCE, async || {
        let node = nodes.get(name).await?;
        let found = node.annotations();
        let ours = ["ip_address", "mac_address", "cidr", "gateway", "port_name"];
        let mut ours = ours
            .map(|key| format!("ovn.kubernetes.io/{key}"))
            .into_iter();
        let has_ours = ours.all(|key| found.contains_key(&key));
        let has_all = keys.iter().all(|key| found.contains_key(*key));
        ensure!(has_ours && has_all, "{name} has {found:?}");
        Ok(())
    })
    .await
}

async fn annotate(lab: &Lab, name: &str, key: &str) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {key: "kept"}}});
    let params = PatchParams::default();
    let patch = Patch::Merge(patch);
    nodes(lab)?.patch(name, &params, &patch).await?;
    Ok(())
}

/// As controllers do that know nothing of patches.
async fn read_and_replace(lab: &Lab, name: &str, key: &str) -> Result<()> {
    let nodes = nodes(lab)?;
    wait_until("nobody writes in between", PATIENCE, async || {
        let mut node = nodes.get(name).await?;
        node.annotations_mut().insert(key.into(), "kept".into());
        nodes.replace(name, &PostParams::default(), &node).await?;
        Ok(())
    })
    .await
}

fn nodes(lab: &Lab) -> Result<Api<Node>> {
    Ok(Api::all(lab.api_server()?.client()?))
}

async fn annotations_of(lab: &Lab, name: &str) -> Result<BTreeMap<String, String>> {
    Ok(nodes(lab)?.get(name).await?.annotations().clone())
}

/// The address of the node's port, once it is recorded.
async fn address_of(lab: &Lab, name: &str) -> Result<String> {
    let nodes = nodes(lab)?;
    wait_until("the node has an address", PATIENCE, async || {
        let node = nodes.get(name).await?;
        let address = node.annotations().get(ADDRESS);
        lab.nbctl(["lsp-get-addresses", &format!("node-{name}")])?;
        address.cloned().context("it has none")
    })
    .await
}

/// A chassis as ovn-controller would write it.
fn add_chassis(lab: &Lab, name: &str, host: &str, address: &str) -> Result<()> {
    lab.sbctl(["chassis-add", name, "geneve", address])?;
    lab.sbctl(["set", "Chassis", name, &format!("hostname={host}")])
        .map(drop)
}

/// The host of each chassis, by its name.
fn chassis(lab: &Lab) -> Result<BTreeMap<String, String>> {
    let lines = list(lab, "name,hostname", "Chassis")?;
    let pairs = lines.iter().filter_map(|line| line.split_once(','));
    Ok(pairs.map(|(n, h)| (n.to_owned(), h.to_owned())).collect())
}

fn list(lab: &Lab, columns: &str, table: &str) -> Result<Vec<String>> {
    let columns = format!("--columns={columns}");
    let arguments = ["--format=csv", "--no-headings", "--data=bare", &columns];
    let printed = lab.sbctl(arguments.iter().chain(&["list", table]))?;
    Ok(printed.lines().map(str::to_owned).collect())
}

/// Exactly these chassis have our mark.
fn marked(lab: &Lab, names: &[&str]) -> Result<()> {
    let lines = list(lab, "name,external_ids", "Chassis")?;
    let marked = lines.iter().filter(|it| it.contains("vendor=kube-ovn"));
    let mut marked: Vec<&str> = marked.filter_map(|it| it.split(',').next()).collect();
    marked.sort_unstable();
    ensure!(marked == names, "marked are {marked:?}");
    Ok(())
}

async fn nothing_left(lab: &Lab, name: &str, address: &str) -> Result<()> {
    let all = chassis(lab)?;
    ensure!(!all.values().any(|host| host == name), "there are {all:?}");
    let private = list(lab, "name", "Chassis_Private")?;
    ensure!(!private.contains(&name.to_owned()), "there are {private:?}");
    let ports = lab.nbctl(["lsp-list", "join"])?;
    ensure!(!ports.contains(name), "there are {ports}");
    let policies = lab.nbctl(["lr-policy-list", "ovn-cluster"])?;
    let hops = policies.split_whitespace();
    ensure!(!hops.into_iter().any(|it| it == address), "{policies}");
    let records: Api<api::Ip> = Api::all(lab.api_server()?.client()?);
    let record = records.get_opt(&format!("node-{name}")).await?;
    ensure!(record.is_none(), "there is {record:?}");
    Ok(())
}

/// An event about the object says these words.
async fn told(lab: &Lab, name: &str, words: &[&str]) -> Result<()> {
    let events: Api<Event> = Api::namespaced(lab.api_server()?.client()?, "default");
    let listed = events.list(&ListParams::default()).await?;
    let about = listed
        .iter()
        .filter(|event| event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(name));
    let notes: Vec<_> = about.filter_map(|event| event.note.as_deref()).collect();
    let is_told = notes
        .iter()
        .any(|note| words.iter().all(|it| note.contains(it)));
    ensure!(is_told, "it is told {notes:?}");
    Ok(())
}
