//! The Debug service of the controller, as an operator with a generic client (grpcurl) sees it.
#![cfg(test)]

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use api::Subnet;
use assets::versions::GRPCURL;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Deserializer, Value, json};
use testkit::{
    Cluster, Lab, LabOptions, OvnVersion, cluster::bring_certificates, command::Invocation, lab,
    objects, process::Process, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(20);
const ADMIN: u16 = 10660;
const SERVICE: &str = "debug.v1.Debug";
const MAC: &str = "ovn.kubernetes.io/mac_address";

#[test]
fn an_operator_sees_what_should_be_what_is_and_why_and_nothing_is_written() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::prepare(lab).await?;
        let mut leader = start(&cluster, lab, "leader")?;
        cluster.controller_ready(ADMIN).await?;
        wait_until("the default subnet is there", PATIENCE, async || {
            settled(lab)
        })
        .await?;
        services_are_listed(lab)?;
        desired_is_actual(lab)?;
        what_breaks_a_rule_is_found(lab).await?;

        leader.kill()?;
        let standby = start(&cluster, lab, "standby")?;
        cluster.controller_ready(ADMIN).await?;
        lab.nbctl(["ls-del", "ovn-default"])?;
        wait_until(
            "the plan is to make the switch again",
            PATIENCE,
            async || missing(lab),
        )
        .await?;
        let switches = lab.nbctl(["ls-list"])?;
        ensure!(!switches.contains("ovn-default"), "it was written");
        drop(standby);
        Ok(())
    });
}

#[test]
fn on_tcp_only_who_has_a_certificate_of_ours_is_answered() {
    let options = LabOptions::on(OvnVersion::V25_03).with_api_server();
    lab::run(options, async |lab| {
        let cluster = Cluster::prepare(lab).await?;
        let secured = cluster
            .controller_program()?
            .args(["--leader-elect=false", "--enable-ssl=true"])
            .spawn("secured", &lab.directory().join("central"))?;
        cluster.controller_ready(ADMIN).await?;
        bring_certificates(lab, lab.directory()).await?;
        let certificates = ["-cert", &file(lab, "cert"), "-key", &file(lab, "key")];
        wait_until("a member is answered", PATIENCE, async || {
            let services = on_tcp(lab, &certificates)?;
            ensure!(services.contains(SERVICE), "there is {services}");
            Ok(())
        })
        .await?;
        ensure!(on_tcp(lab, &[]).is_err(), "a stranger is answered");
        ensure!(
            on_tcp(lab, &["-plaintext"]).is_err(),
            "it is answered without TLS"
        );
        drop(secured);
        Ok(())
    });
}

/// What is listed on the port. The certificates name no host that could be compared.
fn on_tcp(lab: &Lab, arguments: &[&str]) -> Result<String> {
    let secured = ["-insecure"].into_iter();
    grpcurl()?
        .in_netns(lab.central().netns().path())
        .args(["-connect-timeout=5"])
        .args(secured.filter(|_| !arguments.contains(&"-plaintext")))
        .args(arguments)
        .args(["127.0.0.1:10670", "list"])
        .read()
}

fn file(lab: &Lab, name: &str) -> String {
    lab.directory().join(name).display().to_string()
}

/// A leader for an hour, so that whoever comes next stands by.
fn start(cluster: &Cluster<'_>, lab: &Lab, name: &str) -> Result<Process> {
    cluster
        .controller_program()?
        .arg(format!("--identity={name}"))
        .arg("--leader-elect-lease-duration=3600")
        .arg(format!("--grpc-address=unix:{}", socket(lab).display()))
        .spawn(name, &lab.directory().join("central"))
}

fn services_are_listed(lab: &Lab) -> Result<()> {
    let services = grpcurl()?
        .args(["-plaintext", "-unix"])
        .arg(socket(lab))
        .arg("list")
        .read()?;
    for name in [SERVICE, "grpc.health.v1.Health"] {
        ensure!(services.contains(name), "there are {services}");
    }
    Ok(())
}

fn settled(lab: &Lab) -> Result<()> {
    let rows = dump(lab)?;
    ensure!(!rows["actual"].is_null(), "there are {rows}");
    let plan = call(lab, "debug.v1.Debug/Plan", &json!({}))?;
    ensure!(plan.is_empty(), "there are {plan:?}");
    let health = call(lab, "grpc.health.v1.Health/Check", &json!({}))?;
    ensure!(health == [json!({"status": "SERVING"})], "it is {health:?}");
    Ok(())
}

fn desired_is_actual(lab: &Lab) -> Result<()> {
    let rows = dump(lab)?;
    ensure!(rows["desired"] == rows["actual"], "there are {rows}");
    let first = &rows["actual"][0];
    ensure!(first["row"] == "Logical_Switch ovn-default", "it is {rows}");
    let unknown = grpcurl()?
        .args([
            "-plaintext",
            "-d",
            r#"{"owners": ["subnet/none"]}"#,
            "-unix",
        ])
        .arg(socket(lab))
        .arg("debug.v1.Debug/Dump")
        .finish()?;
    ensure!(
        unknown.stderr.contains("NotFound") && unknown.stderr.contains("subnet/none"),
        "{}",
        unknown.stderr
    );
    Ok(())
}

/// Somebody makes the MAC of a pod that of the router.
async fn what_breaks_a_rule_is_found(lab: &Lab) -> Result<()> {
    let findings = || call(lab, "debug.v1.Debug/Check", &json!({}));
    let found = findings()?;
    ensure!(found.is_empty(), "there are {found:?}");
    let server = lab.api_server()?;
    server.create_pod(&objects::pod("holder").build()).await?;
    let pods: Api<Pod> = Api::namespaced(server.client()?, "default");
    let mac = wait_until("it has a MAC", PATIENCE, async || {
        let pod = pods.get("holder").await?;
        pod.annotations().get(MAC).cloned().context("it has none")
    })
    .await?;
    record_router_mac(lab, Some(&mac)).await?;
    wait_until("the MAC is found twice", PATIENCE, async || {
        let found = findings()?;
        let [finding] = found.as_slice() else {
            anyhow::bail!("there are {found:?}");
        };
        let is_told = finding.to_string().contains("holder.default");
        ensure!(is_told && finding["rule"] == "UniqueMac", "it is {finding}");
        Ok(())
    })
    .await?;
    record_router_mac(lab, None).await?;
    wait_until("nothing is found", PATIENCE, async || {
        let found = findings()?;
        ensure!(found.is_empty(), "there are {found:?}");
        Ok(())
    })
    .await
}

/// As it is recorded when a database of Kube-OVN is taken over.
async fn record_router_mac(lab: &Lab, mac: Option<&str>) -> Result<()> {
    let annotations = json!({ api::annotation::ROUTER_MAC: mac });
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let subnets: Api<Subnet> = Api::all(lab.api_server()?.client()?);
    let parameters = PatchParams::default();
    subnets.patch("ovn-default", &parameters, &patch).await?;
    Ok(())
}

fn missing(lab: &Lab) -> Result<()> {
    let request = json!({"owners": ["subnet/ovn-default"]});
    let plan = call(lab, "debug.v1.Debug/Plan", &request)?;
    let switch = plan
        .iter()
        .find(|change| change["row"] == "Logical_Switch ovn-default")
        .with_context(|| format!("the plan is {plan:?}"))?;
    ensure!(switch["action"] == "ACTION_INSERT", "it is {switch}");
    let about = json!({"name": "Logical_Switch ovn-default"});
    let explained = call(lab, "debug.v1.Debug/Explain", &about)?;
    let [explanation] = explained.as_slice() else {
        anyhow::bail!("there are {explained:?}");
    };
    ensure!(
        explanation["standing"] == "STANDING_MISSING"
            && explanation["object"] == "subnet ovn-default",
        "it is {explanation}"
    );
    Ok(())
}

fn dump(lab: &Lab) -> Result<Value> {
    let request = json!({"owners": ["subnet/ovn-default"]});
    let mut answers = call(lab, "debug.v1.Debug/Dump", &request)?;
    answers.pop().context("there is an answer")
}

/// The answers of a call.
fn call(lab: &Lab, method: &str, request: &Value) -> Result<Vec<Value>> {
    let text = grpcurl()?
        .args(["-plaintext", "-d", &request.to_string(), "-unix"])
        .arg(socket(lab))
        .arg(method)
        .read()?;
    let answers = Deserializer::from_str(&text).into_iter();
    Ok(answers.collect::<Result<_, _>>()?)
}

fn grpcurl() -> Result<Invocation> {
    Ok(Invocation::new(assets::go_tool(GRPCURL)?))
}

fn socket(lab: &Lab) -> PathBuf {
    lab.directory().join("central").join("controller.sock")
}
