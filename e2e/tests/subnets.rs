//! What the controller writes into subnets, VPCs and namespaces, on a real API server.
#![cfg(test)]

use std::{fmt::Debug, time::Duration};

use anyhow::{Context, Result, ensure};
use api::{Ip, Subnet, Vip, Vpc};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use testkit::{
    Cluster, Families, Lab, LabOptions, OvnVersion, lab, objects::pod, wait_for_event, wait_until,
};

const PATIENCE: Duration = Duration::from_mins(1);
const LOGICAL_SWITCH: &str = "ovn.kubernetes.io/logical_switch";

fn with_cluster(test: impl AsyncFnOnce(&Lab, Cluster<'_>) -> Result<()> + Send + 'static) {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async move |lab| {
        let cluster = Cluster::start_without_daemons(lab).await?;
        test(lab, cluster).await
    });
}

fn all<K: kube::Resource<DynamicType = ()>>(lab: &Lab) -> Result<Api<K>> {
    Ok(Api::all(lab.api_server()?.client()?))
}

async fn create<K>(lab: &Lab, kind: &str, name: &str, spec: Value) -> Result<()>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let object = json!({
        "apiVersion": "kubeovn.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    let object: K = serde_json::from_value(object)?;
    all::<K>(lab)?
        .create(&PostParams::default(), &object)
        .await?;
    Ok(())
}

async fn create_subnet(lab: &Lab, name: &str, spec: Value) -> Result<()> {
    create::<Subnet>(lab, "Subnet", name, spec).await
}

async fn annotation(lab: &Lab, namespace: &str, key: &str) -> Result<String> {
    let namespace = all::<Namespace>(lab)?.get(namespace).await?;
    let annotations = namespace.metadata.annotations.unwrap_or_default();
    Ok(annotations.get(key).cloned().unwrap_or_default())
}

async fn wait_for_binding(lab: &Lab, namespace: &str, subnet: &str) -> Result<()> {
    wait_until("the namespace is annotated", PATIENCE, async || {
        let found = annotation(lab, namespace, LOGICAL_SWITCH).await?;
        ensure!(found == subnet, "it is on `{found}`");
        Ok(())
    })
    .await
}

/// Status and message of a condition of the subnet.
async fn condition(lab: &Lab, subnet: &str, type_: &str) -> Result<(String, String)> {
    let status = all::<Subnet>(lab)?.get(subnet).await?.status;
    let conditions = status.context("it has a status")?.conditions;
    let found = conditions.into_iter().find(|it| it.type_ == type_);
    let found = found.context("there is no such condition")?;
    Ok((found.status, found.message))
}

async fn wait_for_condition(lab: &Lab, subnet: &str, wanted: (&str, &str, &str)) -> Result<()> {
    let (type_, status, words) = wanted;
    wait_until("the condition is met", PATIENCE, async || {
        let found = condition(lab, subnet, type_).await?;
        ensure!(
            found.0 == status && found.1.contains(words),
            "it is {found:?}"
        );
        Ok(())
    })
    .await
}

async fn ensure_gone<K>(lab: &Lab, name: &str) -> Result<()>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let found = all::<K>(lab)?.get_opt(name).await?;
    ensure!(
        found.is_none(),
        "there is {:?}",
        found.map(|it| it.meta().clone())
    );
    Ok(())
}

#[test]
fn r11_what_somebody_strips_from_a_namespace_comes_back() {
    with_cluster(async |lab, cluster| {
        lab.api_server()?.create_namespace("a").await?;
        wait_for_binding(lab, "a", "ovn-default").await?;
        let spec = json!({"cidrBlock": "10.30.0.0/16", "namespaces": ["a"]});
        create_subnet(lab, "s", spec).await?;
        wait_for_binding(lab, "a", "s").await?;

        let namespaces = all::<Namespace>(lab)?;
        let keys = ["logical_switch", "cidr", "exclude_ips"];
        let keys = keys.map(|key| (format!("ovn.kubernetes.io/{key}"), Value::Null));
        let nothing = json!({"metadata": {"annotations": keys.into_iter().collect::<serde_json::Map<_, _>>()}});
        let params = PatchParams::default();
        namespaces
            .patch("a", &params, &Patch::Merge(&nothing))
            .await?;
        wait_for_binding(lab, "a", "s").await?;
        assert_eq!(
            annotation(lab, "a", "ovn.kubernetes.io/cidr").await?,
            "10.30.0.0/16"
        );
        assert_eq!(
            annotation(lab, "a", "ovn.kubernetes.io/exclude_ips").await?,
            "10.30.0.1"
        );
        drop(cluster);
        Ok(())
    });
}

#[test]
fn r12_annotations_that_others_write_to_a_namespace_meanwhile_stay() {
    const WRITES: u8 = 40;
    with_cluster(async |lab, cluster| {
        lab.api_server()?.create_namespace("a").await?;
        let namespaces = all::<Namespace>(lab)?;
        let params = PatchParams::default();
        let spec = json!({"cidrBlock": "10.30.0.0/16", "namespaces": ["a"]});
        create_subnet(lab, "s", spec).await?;
        for number in 0..WRITES {
            let own = json!({"metadata": {"annotations": {format!("others/{number}"): "x"}}});
            namespaces.patch("a", &params, &Patch::Merge(&own)).await?;
            let excludes = [format!("10.30.0.{}", number + 2)];
            let spec = json!({"spec": {"excludeIps": excludes}});
            all::<Subnet>(lab)?
                .patch("s", &params, &Patch::Merge(&spec))
                .await?;
        }
        let last = format!("10.30.0.{},10.30.0.1", WRITES + 1);
        wait_until("the last edit is annotated", PATIENCE, async || {
            let found = annotation(lab, "a", "ovn.kubernetes.io/exclude_ips").await?;
            ensure!(found == last, "there is {found}");
            Ok(())
        })
        .await?;
        for number in 0..WRITES {
            assert_eq!(
                annotation(lab, "a", &format!("others/{number}")).await?,
                "x"
            );
        }
        drop(cluster);
        Ok(())
    });
}

#[test]
fn a_subnet_is_completed_and_another_that_takes_its_namespace_has_it() {
    with_cluster(async |lab, cluster| {
        let spec = json!({"cidrBlock": "10.30.0.7/16,fd00:30::/64", "namespaces": ["a", "b"], "default": true});
        create_subnet(lab, "s", spec).await?;
        wait_until("the spec is completed", PATIENCE, async || {
            let subnet = all::<Subnet>(lab)?.get("s").await?;
            let spec = subnet.spec;
            let found = (
                spec.cidr_block.as_str(),
                spec.gateway.as_str(),
                spec.protocol.as_str(),
            );
            ensure!(
                found == ("10.30.0.0/16,fd00:30::/64", "10.30.0.1,fd00:30::1", "Dual"),
                "{found:?}"
            );
            ensure!(
                spec.exclude_ips == ["10.30.0.1", "fd00:30::1"] && !spec.default,
                "{spec:?}"
            );
            let finalizers = subnet.metadata.finalizers.unwrap_or_default();
            ensure!(finalizers == ["kube-ovn-controller"], "{finalizers:?}");
            Ok(())
        })
        .await?;
        let later = json!({"cidrBlock": "10.31.0.0/16", "namespaces": ["b"]});
        create_subnet(lab, "z-later", later).await?;
        wait_until(
            "the namespace is gone from the first",
            PATIENCE,
            async || {
                let namespaces = all::<Subnet>(lab)?.get("s").await?.spec.namespaces;
                ensure!(namespaces == ["a"], "there are {namespaces:?}");
                Ok(())
            },
        )
        .await?;
        wait_for_event(lab, "NamespaceTaken", &["`b`", "z-later"]).await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn a_subnet_names_whom_it_waits_for_and_ends_though_the_controller_was_away() {
    with_cluster(async |lab, mut cluster| {
        let api_server = lab.api_server()?;
        api_server.create_namespace("a").await?;
        create::<Vpc>(lab, "Vpc", "tenant", json!({"namespaces": ["a"]})).await?;
        let spec = json!({"cidrBlock": "10.30.0.0/16", "vpc": "tenant", "namespaces": ["a"]});
        create_subnet(lab, "s", spec).await?;
        let built = pod("p").in_namespace("a").on("n1").build();
        let created = api_server.create_pod(&built).await?;
        wait_until("the pod has a port", PATIENCE, async || {
            let finalizers = all::<Subnet>(lab)?.get("s").await?.metadata.finalizers;
            ensure!(finalizers.is_some(), "the subnet has no finalizer");
            let finalizers = all::<Vpc>(lab)?.get("tenant").await?.metadata.finalizers;
            ensure!(finalizers.is_some(), "the VPC has no finalizer");
            let found = lab.nbctl(["lsp-get-addresses", "p.a"])?;
            ensure!(found.contains("10.30.0.2"), "there is {found}");
            Ok(())
        })
        .await?;

        all::<Subnet>(lab)?
            .delete("s", &DeleteParams::default())
            .await?;
        all::<Vpc>(lab)?
            .delete("tenant", &DeleteParams::default())
            .await?;
        wait_for_condition(lab, "s", ("Ready", "False", "waiting for 1 address: a/p")).await?;
        wait_for_binding(lab, "a", "ovn-default").await?;
        let late = pod("late").in_namespace("a").on("n1");
        let late = late.annotation(LOGICAL_SWITCH, "s").build();
        let late = api_server.create_pod(&late).await?;
        wait_for_event(lab, "AcquireAddressFailed", &["`s`", "being deleted"]).await?;
        lab.nbctl(["lsp-del", "s-tenant"])?;
        wait_until("its rows are repaired", PATIENCE, async || {
            lab.nbctl(["lsp-get-type", "s-tenant"]).map(drop)
        })
        .await?;

        cluster.controller()?.kill()?;
        api_server.delete_pod(&created).await?;
        api_server.delete_pod(&late).await?;
        cluster.start_controller()?;
        wait_until("subnet and VPC are gone", PATIENCE, async || {
            ensure_gone::<Subnet>(lab, "s").await?;
            ensure_gone::<Vpc>(lab, "tenant").await
        })
        .await?;
        wait_until("so are their rows", PATIENCE, async || {
            let rows = [lab.nbctl(["ls-list"])?, lab.nbctl(["lr-list"])?].concat();
            ensure!(
                !rows.contains("(s)") && !rows.contains("(tenant)"),
                "{rows}"
            );
            Ok(())
        })
        .await
    });
}

#[test]
fn a_subnet_in_conflict_says_so_and_one_that_was_valid_keeps_its_rows() {
    with_cluster(async |lab, cluster| {
        create_subnet(lab, "s", json!({"cidrBlock": "10.30.0.0/16"})).await?;
        wait_for_condition(lab, "s", ("Ready", "True", "")).await?;
        create_subnet(lab, "wide", json!({"cidrBlock": "10.30.0.0/15"})).await?;
        let words = "overlaps 10.30.0.0/16 of subnet s";
        wait_for_condition(lab, "wide", ("Error", "True", words)).await?;
        wait_for_event(lab, "ValidateLogicalSwitchFailed", &[words, "10.30.0.0/15"]).await?;
        assert!(!lab.nbctl(["ls-list"])?.contains("(wide)"));

        let edit = json!({"spec": {"cidrBlock": "10.16.0.0/24", "gateway": "10.16.0.1"}});
        let params = PatchParams::default();
        all::<Subnet>(lab)?
            .patch("s", &params, &Patch::Merge(&edit))
            .await?;
        wait_for_condition(
            lab,
            "s",
            ("Validated", "False", "until then it keeps 10.30.0.0/16"),
        )
        .await?;
        let networks = [
            "--bare",
            "--columns=networks",
            "find",
            "Logical_Router_Port",
            "name=ovn-cluster-s",
        ];
        assert_eq!(lab.nbctl(networks)?.trim(), "10.30.0.1/16");
        drop(cluster);
        Ok(())
    });
}

async fn edit_subnet(lab: &Lab, name: &str, spec: Value) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": spec}));
    all::<Subnet>(lab)?
        .patch(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

async fn wait_for_ready(lab: &Lab, subnet: &str, reason: &str) -> Result<()> {
    wait_until(
        "the subnet is ready for that reason",
        PATIENCE,
        async || {
            let status = all::<Subnet>(lab)?.get(subnet).await?.status;
            let conditions = status.context("it has a status")?.conditions;
            let ready = conditions.iter().find(|it| it.type_ == "Ready");
            let is_met = ready.is_some_and(|it| it.status == "True" && it.reason == reason);
            ensure!(is_met, "it is {ready:?}");
            Ok(())
        },
    )
    .await
}

/// The ACLs of the switch, from the highest priority: `<priority> <match> <action>`.
fn acls(lab: &Lab, subnet: &str) -> Result<Vec<String>> {
    let listed = lab.nbctl(["acl-list", subnet])?;
    let words = listed.lines().map(|line| {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = line.replacen("to-lport ", "", 1);
        line.replacen(" (", " `", 1)
            .replace(") allow-related", "` allow-related")
            .replace(") drop", "` drop")
    });
    Ok(words.collect())
}

async fn wait_for_acls(lab: &Lab, subnet: &str, wanted: &[&str]) -> Result<()> {
    wait_until("the ACLs are those", PATIENCE, async || {
        let found = acls(lab, subnet)?;
        ensure!(found == wanted, "there are {found:#?}");
        Ok(())
    })
    .await
}

#[test]
fn neither_family_of_a_private_subnet_wipes_the_other_and_no_match_joins_them() {
    let options = LabOptions::on(OvnVersion::V25_03).families(Families::Dual);
    lab::run(options.with_api_server(), async |lab| {
        let mut cluster = Cluster::start_without_daemons(lab).await?;
        let spec = json!({
            "cidrBlock": "10.30.0.0/16,fd00:30::/64", "private": true,
            "allowSubnets": ["10.31.0.0/16", "fd00:31::/64"],
        });
        create_subnet(lab, "s", spec).await?;
        let between = |word: &str, one: &str, other: &str| {
            format!(
                "1001 `({word}.src=={one} && {word}.dst=={other}) || ({word}.src=={other} && \
                 {word}.dst=={one})` allow-related"
            )
        };
        let inside = |word: &str, it: &str| {
            format!("1001 `{word}.src=={it} && {word}.dst=={it}` allow-related")
        };
        let all = [
            "3000 `ip4.src==100.64.0.0/16` allow-related".to_owned(),
            "3000 `ip6.src==fd00:100:64::/112` allow-related".to_owned(),
            between("ip4", "10.31.0.0/16", "10.30.0.0/16"),
            between("ip6", "fd00:31::/64", "fd00:30::/64"),
            "1001 `flags.loopback == 1 && ip` allow-related".to_owned(),
            inside("ip4", "10.30.0.0/16"),
            inside("ip6", "fd00:30::/64"),
            "1000 `ip` drop log(name=s,severity=warning)".to_owned(),
        ];
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        wait_for_acls(lab, "s", &all).await?;
        wait_for_ready(lab, "s", "SetPrivateLogicalSwitchSuccess").await?;

        lab.nbctl(["acl-del", "s", "to-lport", "3000", "ip4.src==100.64.0.0/16"])?;
        wait_for_acls(lab, "s", &all).await?;
        cluster.controller()?.kill()?;
        lab.nbctl(["acl-del", "s"])?;
        cluster.start_controller()?;
        wait_for_acls(lab, "s", &all).await?;

        edit_subnet(lab, "s", json!({"private": false})).await?;
        wait_for_acls(lab, "s", &[]).await?;
        wait_for_ready(lab, "s", "ResetLogicalSwitchAclSuccess").await
    });
}

#[test]
fn edits_of_anything_else_touch_no_acl_of_a_private_subnet_nor_those_of_others_on_an_open_one() {
    with_cluster(async |lab, cluster| {
        let private = json!({"cidrBlock": "10.30.0.0/16", "private": true});
        create_subnet(lab, "s", private).await?;
        create_subnet(lab, "open", json!({"cidrBlock": "10.31.0.0/16"})).await?;
        wait_for_ready(lab, "s", "SetPrivateLogicalSwitchSuccess").await?;
        wait_for_ready(lab, "open", "ResetLogicalSwitchAclSuccess").await?;
        lab.nb(
            "--id=@acl create ACL direction=to-lport priority=1001 match=ip4 action=drop external_ids:admin=1\n\
             add Logical_Switch open acls @acl",
        )?;
        let list = || lab.nbctl(["--format=csv", "--no-headings", "list", "ACL"]);
        let before = list()?;
        ensure!(before.lines().count() == 5, "there are {before}");

        for name in ["s", "open"] {
            let spec = json!({"gateway": "", "excludeIps": [], "natOutgoing": true});
            edit_subnet(lab, name, spec).await?;
            let cidr = if name == "s" {
                "10.30.0.0/17"
            } else {
                "10.31.0.0/17"
            };
            edit_subnet(
                lab,
                name,
                json!({"gatewayType": "centralized", "gatewayNode": "n1"}),
            )
            .await?;
            edit_subnet(
                lab,
                name,
                json!({"gatewayType": "distributed", "gatewayNode": ""}),
            )
            .await?;
            if name == "open" {
                edit_subnet(lab, name, json!({"cidrBlock": cidr})).await?;
            }
        }
        wait_until("the last edit is planned", PATIENCE, async || {
            let networks =
                lab.nbctl(["get", "Logical_Router_Port", "ovn-cluster-open", "networks"])?;
            ensure!(networks.contains("10.31.0.1/17"), "there is {networks}");
            Ok(())
        })
        .await?;
        let after = list()?;
        ensure!(after == before, "there are {after} instead of {before}");
        drop(cluster);
        Ok(())
    });
}

#[test]
fn a_network_of_another_family_than_the_subnets_is_told_and_the_others_are_let_in() {
    with_cluster(async |lab, cluster| {
        let allowed = ["10.31.0.0/16", "fd00:31::/64"];
        let spec = json!({"cidrBlock": "10.30.0.0/16", "private": true, "allowSubnets": allowed});
        create_subnet(lab, "s", spec).await?;
        let words = "spec.allowSubnets[1] is `fd00:31::/64`: the subnet has 10.30.0.0/16 alone";
        wait_for_condition(lab, "s", ("Error", "True", words)).await?;
        wait_for_condition(lab, "s", ("Validated", "False", words)).await?;
        wait_for_condition(lab, "s", ("Ready", "True", "")).await?;
        wait_for_event(lab, "ValidateLogicalSwitchFailed", &[words]).await?;
        ensure!(
            acls(lab, "s")?.len() == 5,
            "there are {:?}",
            acls(lab, "s")?
        );
        edit_subnet(lab, "s", json!({"allowSubnets": ["10.31.0.0/16"]})).await?;
        wait_for_ready(lab, "s", "SetPrivateLogicalSwitchSuccess").await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn after_an_uninstall_the_definitions_go_once_the_finalizers_are_off() {
    with_cluster(async |lab, mut cluster| {
        let subnets = all::<Subnet>(lab)?;
        wait_until("both subnets have finalizers", PATIENCE, async || {
            for name in ["join", "ovn-default"] {
                let finalizers = subnets.get(name).await?.metadata.finalizers;
                ensure!(finalizers.is_some(), "{name} has none");
            }
            Ok(())
        })
        .await?;
        cluster.controller()?.kill()?;
        let definitions = all::<CustomResourceDefinition>(lab)?;
        let delete = DeleteParams::default();
        for name in ["subnets.kubeovn.io", "vpcs.kubeovn.io"] {
            definitions.delete(name, &delete).await?;
        }
        let off = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let params = PatchParams::default();
        for subnet in subnets.list(&ListParams::default()).await? {
            subnets.patch(&subnet.name_any(), &params, &off).await?;
        }
        let vpcs = all::<Vpc>(lab)?;
        for vpc in vpcs.list(&ListParams::default()).await? {
            vpcs.patch(&vpc.name_any(), &params, &off).await?;
        }
        wait_until("the definitions are gone", PATIENCE, async || {
            ensure_gone::<CustomResourceDefinition>(lab, "subnets.kubeovn.io").await?;
            ensure_gone::<CustomResourceDefinition>(lab, "vpcs.kubeovn.io").await
        })
        .await
    });
}

#[test]
fn subnets_vpcs_and_vips_deleted_the_moment_they_were_created_leave_nothing() {
    const ROUNDS: u8 = 30;
    with_cluster(async |lab, cluster| {
        let delete = DeleteParams::default();
        for round in 0..ROUNDS {
            let (vpc, subnet) = (format!("vpc-{round}"), format!("s-{round}"));
            create::<Vpc>(lab, "Vpc", &vpc, json!({})).await?;
            let spec = json!({"vpc": vpc, "cidrBlock": format!("10.30.{round}.0/24")});
            create_subnet(lab, &subnet, spec).await?;
            create::<Vip>(lab, "Vip", &subnet, json!({"subnet": subnet})).await?;
            let built = pod(&subnet).annotation(LOGICAL_SWITCH, &subnet).build();
            let created = lab.api_server()?.create_pod(&built).await?;
            all::<Subnet>(lab)?.delete(&subnet, &delete).await?;
            all::<Vpc>(lab)?.delete(&vpc, &delete).await?;
            all::<Vip>(lab)?.delete(&subnet, &delete).await?;
            lab.api_server()?.delete_pod(&created).await?;
        }
        wait_until("all objects are gone", PATIENCE, async || {
            let params = ListParams::default();
            let subnets = all::<Subnet>(lab)?.list(&params).await?;
            let names: Vec<_> = subnets.iter().map(ResourceExt::name_any).collect();
            ensure!(names == ["join", "ovn-default"], "there are {names:?}");
            let vpcs = all::<Vpc>(lab)?.list(&params).await?.items.len();
            let vips = all::<Vip>(lab)?.list(&params).await?.items.len();
            ensure!((vpcs, vips) == (1, 0), "there are {vpcs} Vpcs, {vips} Vips");
            let records = all::<Ip>(lab)?.list(&params).await?;
            let nodes = records.iter().filter(|it| it.spec.subnet == "join");
            let (all, nodes) = (records.items.len(), nodes.count());
            ensure!(all == nodes, "there are {all} records, {nodes} of nodes");
            Ok(())
        })
        .await?;
        wait_until("so are their rows", PATIENCE, async || {
            let rows = [lab.nbctl(["ls-list"])?, lab.nbctl(["lr-list"])?].join("\n");
            ensure!(rows.lines().count() == 3, "{rows}");
            Ok(())
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn the_status_of_a_vpc_of_its_own_tells_router_subnets_and_default_and_no_load_balancer() {
    with_cluster(async |lab, cluster| {
        create::<Vpc>(lab, "Vpc", "tenant", json!({})).await?;
        let spec = json!({"cidrBlock": "10.30.0.0/16", "vpc": "tenant", "default": true});
        create_subnet(lab, "a", spec).await?;
        let spec = json!({"cidrBlock": "10.31.0.0/16", "vpc": "tenant"});
        create_subnet(lab, "b", spec).await?;
        let vpcs = all::<Vpc>(lab)?;
        let wanted = json!({
            "standby": true, "default": false, "router": "tenant", "defaultLogicalSwitch": "a",
            "subnets": ["a", "b"], "tcpLoadBalancer": "", "udpLoadBalancer": "",
            "tcpSessionLoadBalancer": "", "udpSessionLoadBalancer": "",
        });
        wait_until("the status is complete", PATIENCE, async || {
            let vpc = vpcs.get("tenant").await?;
            let mut status = json!(vpc.status);
            let fields = status.as_object_mut().context("it has a status")?;
            fields.retain(|key, _| key != "conditions");
            ensure!(status == wanted, "it is {status}");
            Ok(())
        })
        .await?;
        drop(cluster);
        Ok(())
    });
}

#[test]
fn a_subnet_stays_in_its_vpc_and_with_its_provider_and_says_so() {
    with_cluster(async |lab, cluster| {
        create::<Vpc>(lab, "Vpc", "tenant", json!({})).await?;
        let spec = json!({"cidrBlock": "10.30.0.0/16", "vpc": "tenant"});
        create_subnet(lab, "a", spec).await?;
        let port = || {
            lab.nbctl([
                "--columns=_uuid",
                "find",
                "Logical_Router_Port",
                "name=tenant-a",
            ])
        };
        let before = wait_until(
            "the subnet is accepted and connected",
            PATIENCE,
            async || {
                let annotations = all::<Subnet>(lab)?.get("a").await?.metadata.annotations;
                let accepted = annotations
                    .unwrap_or_default()
                    .remove(api::annotation::ACCEPTED);
                let accepted = accepted.unwrap_or_default();
                let before = port()?;
                let is_so = accepted.starts_with("tenant 10.30.0.0/16 10.30.0.1 ovn ");
                ensure!(is_so && !before.is_empty(), "{accepted}, {before}");
                Ok(before)
            },
        )
        .await?;
        for (edit, words) in [
            (json!({"vpc": "nowhere"}), "`nowhere`"),
            (
                json!({"vpc": "ovn-cluster"}),
                "until then it keeps 10.30.0.0/16 in VPC tenant",
            ),
            (
                json!({"vpc": "tenant", "provider": "macvlan.default"}),
                "spec.provider",
            ),
        ] {
            let patch = Patch::Merge(json!({"spec": edit}));
            let params = PatchParams::default();
            all::<Subnet>(lab)?.patch("a", &params, &patch).await?;
            wait_for_condition(lab, "a", ("Validated", "False", words)).await?;
            ensure!(port()? == before, "its port went after {edit}");
        }
        drop(cluster);
        Ok(())
    });
}
