//! The life of pods and of their addresses, with the real API server, controller and NB.
#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use api::Ip;
use futures::future::{try_join, try_join_all};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{Namespace, Pod},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Resource, ResourceExt,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use testkit::{
    Cluster, Fault, Lab, LabOptions, OvnVersion, RunningPod,
    audit::{addresses_are_unique, the_plan_is_sound},
    beside, lab,
    objects::pod,
    traffic::wait_for_ping,
    wait_for_event, wait_until,
};

/// So many pods are attached under kills; more take the lab too long.
const ATTACHED: usize = 40;
const PATIENCE: Duration = Duration::from_mins(1);
const ALLOCATED: &str = "ovn.kubernetes.io/allocated";
const IP_ADDRESS: &str = "ovn.kubernetes.io/ip_address";
const MAC_ADDRESS: &str = "ovn.kubernetes.io/mac_address";
const IP_POOL: &str = "ovn.kubernetes.io/ip_pool";
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";
const CLAIMANT: &str = "ovn.kubernetes.io/claimant-uid";

#[test]
fn r02_a_controller_killed_while_100_pods_are_created_gives_nothing_twice_and_leaks_no_port() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let mut cluster = Cluster::start_without_daemons(lab).await?;
        let create = create_all(lab, 0..100);
        try_join(create, kill_repeatedly(&mut cluster)).await?;
        wait_until("all is recorded once", PATIENCE, async || {
            ensure_consistent(lab, 90).await
        })
        .await?;
        the_plan_is_sound(lab)
    });
}

#[test]
fn r02_pods_that_are_attached_while_the_controller_is_killed_all_run() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start(lab).await?;
        let attached = AtomicUsize::new(0);
        let attach = async || attach_all(&cluster, &attached).await;
        let (running, ()) = beside(attach, async || kill_at(&cluster, &attached).await)?;
        let addresses: BTreeSet<_> = running
            .iter()
            .flat_map(|it| it.addresses.values())
            .collect();
        assert_eq!(addresses.len(), ATTACHED);
        let (first, last) = (&running[0], &running[ATTACHED - 1]);
        wait_for_ping(first.netns(), last.first_address()?, PATIENCE).await?;
        wait_until("all is recorded once", PATIENCE, async || {
            ensure_consistent(lab, ATTACHED).await
        })
        .await?;
        addresses_are_unique(lab).await?;
        the_plan_is_sound(lab)
    });
}

#[test]
fn r04_a_pod_that_is_created_again_at_once_keeps_its_own_port_and_address() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        for name in ["a", "b", "c"] {
            create(lab, name).await?;
        }
        for _round in 0..20 {
            for name in ["a", "b", "c"] {
                delete(lab, name).await?;
                create(lab, name).await?;
            }
        }
        wait_until("the last ones have ports", PATIENCE, async || {
            ensure_consistent(lab, 3).await
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn r05_the_pods_of_a_stateful_set_keep_their_addresses_until_their_place_is_gone() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let mut cluster = Cluster::start_without_daemons(lab).await?;
        let sets: Api<StatefulSet> = Api::namespaced(lab.api_server()?.client()?, "default");
        sets.create(&PostParams::default(), &stateful_set(3)?)
            .await?;
        let first = create_set(lab, 0..3).await?;

        for ordinal in 0..3 {
            delete(lab, &format!("web-{ordinal}")).await?;
        }
        create(lab, "other").await?;
        let other = address(lab, "other").await?;
        ensure!(
            !first.values().any(|(ip, _)| *ip == other),
            "{other} is kept"
        );
        cluster.controller()?.kill()?;
        cluster.start_controller()?;
        create(lab, "another").await?;
        let again = create_set(lab, 0..3).await?;
        assert_eq!(again, first);

        scale(&sets, 1).await?;
        for ordinal in 1..3 {
            delete(lab, &format!("web-{ordinal}")).await?;
        }
        let kept = BTreeSet::from(["another", "other", "web-0"]);
        wait_for_records(lab, &kept).await?;
        scale(&sets, 3).await?;
        create_set(lab, 1..3).await?;
        assert_eq!(create_set(lab, 0..1).await?["web-0"], first["web-0"]);

        sets.delete("web", &DeleteParams::background()).await?;
        for ordinal in 0..3 {
            delete(lab, &format!("web-{ordinal}")).await?;
        }
        wait_for_records(lab, &BTreeSet::from(["another", "other"])).await
    });
}

#[test]
fn r06_a_pod_of_a_lost_node_gives_its_address_back_after_its_grace_period() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        create(lab, "lost").await?;
        let held = address(lab, "lost").await?;
        run(lab, "lost").await?;
        let graceful = DeleteParams::default().grace_period(2);
        pods(lab)?.delete("lost", &graceful).await?;
        let heir = pod("heir").on("n2").annotation(IP_ADDRESS, &held);
        lab.api_server()?.create_pod(&heir.build()).await?;
        let words = [held.as_str(), "lost.default", "choose another"];
        wait_for_event(lab, "AcquireAddressFailed", &words).await?;

        assert_eq!(address(lab, "heir").await?, held);
        let lost = pods(lab)?.get("lost").await?;
        assert!(lost.metadata.deletion_timestamp.is_some());
        wait_until("the lost pod has no port", PATIENCE, async || {
            let ports = ports(lab)?;
            ensure!(
                ports.len() == 1 && ports.contains_key("heir.default"),
                "{ports:?}"
            );
            Ok(())
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn r12_nobodys_annotations_are_lost_while_several_write_them() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let names: Vec<_> = (0..30).map(|number| format!("p{number}")).collect();
        let write = names.iter().map(|name| async move {
            create(lab, name).await?;
            for writer in ["one", "two", "three"] {
                annotate(lab, name, writer).await?;
            }
            anyhow::Ok(())
        });
        try_join_all(write).await?;
        let keys = ["one", "two", "three", ALLOCATED, IP_ADDRESS, MAC_ADDRESS];
        wait_for_keys(lab, &keys).await?;
        wait_until("all is recorded once", PATIENCE, async || {
            ensure_consistent(lab, names.len()).await
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn r12_who_replaces_all_annotations_neither_loses_ours_nor_has_his_lost() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let names: Vec<_> = (0..10).map(|number| format!("p{number}")).collect();
        let write = names.iter().map(|name| async move {
            create(lab, name).await?;
            for writer in ["one", "two"] {
                read_and_replace(lab, name, writer).await?;
            }
            anyhow::Ok(())
        });
        try_join_all(write).await?;
        wait_for_keys(lab, &["one", "two", ALLOCATED, IP_ADDRESS, MAC_ADDRESS]).await?;

        let before = address(lab, "p0").await?;
        let namespaces: Api<Namespace> = Api::all(lab.api_server()?.client()?);
        for name in &names {
            leave_mine_alone(&pods(lab)?, name).await?;
        }
        leave_mine_alone(&namespaces, "default").await?;
        wait_for_keys(lab, &["mine", ALLOCATED, IP_ADDRESS, MAC_ADDRESS]).await?;
        assert_eq!(address(lab, "p0").await?, before);
        wait_until("the namespace has its subnet again", PATIENCE, async || {
            let namespace = namespaces.get("default").await?;
            let annotations = namespace.annotations();
            let has = |key: &str| annotations.contains_key(key);
            ensure!(has("mine") && has(LOGICAL_SWITCH), "{annotations:?}");
            Ok(())
        })
        .await?;
        ensure_consistent(lab, names.len()).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn what_somebody_does_to_an_ip_object_is_put_right_and_said() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        create(lab, "a").await?;
        let held = address(lab, "a").await?;
        let ips: Api<Ip> = Api::all(lab.api_server()?.client()?);
        for (field, value) in [
            ("ipAddress", "10.16.0.99"),
            ("ipAddress", "nonsense"),
            ("macAddress", "00:00:00:12:34:56"),
            ("podName", "somebody"),
        ] {
            let edit = Patch::Merge(json!({"spec": {field: value}}));
            ips.patch("a.default", &PatchParams::default(), &edit)
                .await?;
            wait_until("all says the same again", PATIENCE, async || {
                let record = ips.get("a.default").await?.spec;
                ensure!(record.pod_name == "a", "{record:?}");
                ensure_consistent(lab, 1).await
            })
            .await?;
        }
        let words = ["10.16.0.99", held.as_str(), "pod default/a"];
        wait_for_event(lab, "RecordRestored", &words).await?;
        let whole = ips.get("a.default").await?.metadata;
        let taken = json!({"metadata": {"labels": null, "annotations": {CLAIMANT: null}}});
        ips.patch("a.default", &PatchParams::default(), &Patch::Merge(taken))
            .await?;
        wait_until("labels and claimant are back", PATIENCE, async || {
            let found = ips.get("a.default").await?.metadata;
            let is_whole = found.labels == whole.labels && found.annotations == whole.annotations;
            ensure!(is_whole, "it is {found:?}");
            ensure_consistent(lab, 1).await
        })
        .await?;
        ips.delete("a.default", &DeleteParams::default()).await?;
        let there = pod("there").on("n1").annotation(IP_ADDRESS, "10.16.0.99");
        lab.api_server()?.create_pod(&there.build()).await?;
        assert_eq!(address(lab, "there").await?, "10.16.0.99");
        wait_until("both have their own", PATIENCE, async || {
            ensure_consistent(lab, 2).await
        })
        .await?;
        assert_eq!(address(lab, "a").await?, held);
        drop(cluster);
        Ok(())
    });
}

#[test]
fn c1_the_pods_of_a_workload_use_exactly_its_pool_and_one_more_waits() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        let pooled = |name: &str| {
            let pool = "10.16.0.31, 10.16.0.32,10.16.0.30";
            pod(name).on("n1").annotation(IP_POOL, pool).build()
        };
        let mut got = BTreeSet::new();
        for name in ["a", "b", "c"] {
            lab.api_server()?.create_pod(&pooled(name)).await?;
            got.insert(address(lab, name).await?);
        }
        let pool = ["10.16.0.30", "10.16.0.31", "10.16.0.32"].map(str::to_owned);
        assert_eq!(got, BTreeSet::from(pool));

        lab.api_server()?.create_pod(&pooled("late")).await?;
        let words = ["10.16.0.31", "ovn-default", "extend the pool"];
        wait_for_event(lab, "AcquireAddressFailed", &words).await?;
        let freed = address(lab, "b").await?;
        delete(lab, "b").await?;
        assert_eq!(address(lab, "late").await?, freed);
        drop(cluster);
        Ok(())
    });
}

// === what is done ===

async fn create_all(lab: &Lab, numbers: Range<u8>) -> Result<()> {
    for number in numbers {
        create(lab, &format!("p{number}")).await?;
    }
    Ok(())
}

/// Kills the controller three times while it works; the last time, ten pods go meanwhile.
async fn kill_repeatedly(cluster: &mut Cluster<'_>) -> Result<()> {
    for records in [20, 40, 60] {
        wait_until("records are made", PATIENCE, async || {
            let made = records_of_pods(cluster.lab()).await?.len();
            ensure!(made >= records, "there are {made}");
            Ok(())
        })
        .await?;
        cluster.controller()?.kill()?;
        let deleted = if records == 60 { 0..10 } else { 0..0 };
        for number in deleted {
            delete(cluster.lab(), &format!("p{number}")).await?;
        }
        cluster.start_controller()?;
    }
    Ok(())
}

/// Attaches pods to the nodes in turn, and counts them.
async fn attach_all(cluster: &Cluster<'_>, attached: &AtomicUsize) -> Result<Vec<RunningPod>> {
    let mut running = Vec::new();
    for (number, node) in (0..ATTACHED).zip(["n1", "n2"].into_iter().cycle()) {
        let pod = pod(&format!("p{number}"));
        running.push(cluster.run_pod(pod, node).await?);
        attached.fetch_add(1, Ordering::Relaxed);
    }
    Ok(running)
}

/// Kills the controller when so many pods are attached.
async fn kill_at(cluster: &Cluster<'_>, attached: &AtomicUsize) -> Result<()> {
    for count in [10, 20, 30] {
        wait_until("pods are attached", PATIENCE, async || {
            let now = attached.load(Ordering::Relaxed);
            ensure!(now >= count, "{now} are");
            Ok(())
        })
        .await?;
        "kill controller".parse::<Fault>()?.inject(cluster)?.end()?;
    }
    Ok(())
}

fn pods(lab: &Lab) -> Result<Api<Pod>> {
    Ok(Api::namespaced(lab.api_server()?.client()?, "default"))
}

async fn create(lab: &Lab, name: &str) -> Result<()> {
    lab.api_server()?
        .create_pod(&pod(name).on("n1").build())
        .await?;
    Ok(())
}

/// What its kubelet would say.
async fn run(lab: &Lab, name: &str) -> Result<()> {
    let status = Patch::Merge(json!({"status": {"phase": "Running"}}));
    pods(lab)?
        .patch_status(name, &PatchParams::default(), &status)
        .await?;
    Ok(())
}

async fn delete(lab: &Lab, name: &str) -> Result<()> {
    lab.api_server()?.delete_pod(&pod(name).build()).await
}

async fn annotate(lab: &Lab, name: &str, key: &str) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {key: "kept"}}});
    let params = PatchParams::default();
    pods(lab)?
        .patch(name, &params, &Patch::Merge(patch))
        .await?;
    Ok(())
}

/// As controllers do that know nothing of patches.
async fn read_and_replace(lab: &Lab, name: &str, key: &str) -> Result<()> {
    wait_until("nobody writes in between", PATIENCE, async || {
        let mut pod = pods(lab)?.get(name).await?;
        pod.annotations_mut().insert(key.into(), "kept".into());
        pods(lab)?
            .replace(name, &PostParams::default(), &pod)
            .await?;
        Ok(())
    })
    .await
}

/// As controllers do that take all annotations for theirs.
async fn leave_mine_alone<K>(objects: &Api<K>, name: &str) -> Result<()>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    let mut object = objects.get(name).await?;
    *object.annotations_mut() = [("mine".to_owned(), "kept".to_owned())].into();
    object.meta_mut().resource_version = None;
    objects
        .replace(name, &PostParams::default(), &object)
        .await?;
    Ok(())
}

fn stateful_set(replicas: i32) -> Result<StatefulSet> {
    let labels = json!({"app": "web"});
    let container = json!({"name": "main", "image": "lab"});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "serviceName": "web",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }))?)
}

async fn scale(sets: &Api<StatefulSet>, replicas: i32) -> Result<()> {
    let patch = json!({"spec": {"replicas": replicas}});
    sets.patch("web", &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(())
}

/// Creates those pods of `web` that are not there, and returns address and MAC of each.
async fn create_set(lab: &Lab, ordinals: Range<u8>) -> Result<BTreeMap<String, (String, String)>> {
    let mut got = BTreeMap::new();
    for ordinal in ordinals {
        let name = format!("web-{ordinal}");
        let mut object = pod(&name).on("n2").build();
        object.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "StatefulSet".to_owned(),
            name: "web".to_owned(),
            uid: "any".to_owned(),
            ..OwnerReference::default()
        }]);
        lab.api_server()?.ensure_pod(&object).await?;
        let address = address(lab, &name).await?;
        let pod = pods(lab)?.get(&name).await?;
        let mac = pod.annotations().get(MAC_ADDRESS).cloned();
        got.insert(name, (address, mac.context("there is no MAC")?));
    }
    Ok(got)
}

// === what is seen ===

/// Waits until the pod is told its addresses.
async fn address(lab: &Lab, name: &str) -> Result<String> {
    let pods = pods(lab)?;
    wait_until("the pod has an address", PATIENCE, async || {
        let pod = pods.get(name).await?;
        let annotations = pod.annotations();
        ensure!(annotations.contains_key(ALLOCATED), "{annotations:?}");
        let address = annotations.get(IP_ADDRESS);
        address.cloned().context("it has none")
    })
    .await
}

/// Waits until every pod has these annotations.
async fn wait_for_keys(lab: &Lab, keys: &[&str]) -> Result<()> {
    wait_until("every key of everybody is there", PATIENCE, async || {
        for pod in pods(lab)?.list(&ListParams::default()).await? {
            let missing = keys
                .iter()
                .find(|key| !pod.annotations().contains_key(**key));
            ensure!(missing.is_none(), "{} has no {missing:?}", pod.name_any());
        }
        Ok(())
    })
    .await
}

async fn records_of_pods(lab: &Lab) -> Result<Vec<Ip>> {
    let ips: Api<Ip> = Api::all(lab.api_server()?.client()?);
    let listed = ips.list(&ListParams::default()).await?;
    let of_pods = listed
        .into_iter()
        .filter(|it| !it.spec.namespace.is_empty());
    Ok(of_pods.collect())
}

async fn wait_for_records(lab: &Lab, names: &BTreeSet<&str>) -> Result<()> {
    wait_until(
        "these pods have records, and no others",
        PATIENCE,
        async || {
            let records = records_of_pods(lab).await?;
            let there: BTreeSet<_> = records.iter().map(|it| it.spec.pod_name.as_str()).collect();
            ensure!(there == *names, "there are {there:?}");
            Ok(())
        },
    )
    .await
}

/// The ports of pods in NB: what they may use, and for which UID.
fn ports(lab: &Lab) -> Result<BTreeMap<String, (String, String)>> {
    let list = [
        "--format=csv",
        "--no-headings",
        "--columns=name,addresses,options",
    ];
    let printed = lab.nbctl(list.into_iter().chain(["list", "Logical_Switch_Port"]))?;
    let line = |line: &str| {
        let columns: Vec<_> = line.splitn(3, ',').map(str::to_owned).collect();
        <[String; 3]>::try_from(columns).ok()
    };
    let rows = printed.lines().filter_map(line);
    let of_pods = rows.filter(|[name, ..]| name.ends_with(".default"));
    Ok(of_pods
        .map(|[name, addresses, options]| (name, (addresses, options)))
        .collect())
}

/// There are so many pods, each with one record and one port that say the same as itself, no
/// address is there twice, and nothing else is left.
async fn ensure_consistent(lab: &Lab, count: usize) -> Result<()> {
    let pods = pods(lab)?.list(&ListParams::default()).await?;
    let (records, ports) = (records_of_pods(lab).await?, ports(lab)?);
    let counts = (pods.items.len(), records.len(), ports.len());
    ensure!(counts == (count, count, count), "there are {counts:?}");
    let mut addresses = BTreeSet::new();
    for pod in &pods {
        let name = format!("{}.default", pod.name_any());
        let uid = pod.uid().context("a pod has a UID")?;
        let record = records.iter().find(|it| it.name_any() == name);
        let record = record.with_context(|| format!("{name} has no record"))?;
        ensure!(
            record.annotations().get(CLAIMANT) == Some(&uid),
            "{record:?}"
        );
        let address = pod.annotations().get(IP_ADDRESS);
        ensure!(
            address == Some(&record.spec.ip_address),
            "{name} has {address:?}"
        );
        let Some((at, options)) = ports.get(&name) else {
            bail!("{name} has no port");
        };
        let agrees = at.contains(&record.spec.ip_address) && options.contains(&uid);
        ensure!(agrees, "{name} has {at} {options}, not {record:?}");
        ensure!(addresses.insert(address), "{address:?} is there twice");
    }
    Ok(())
}
