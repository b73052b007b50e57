//! What a real kube-apiserver makes of our definitions and of users' objects.
//!
//! The objects are in `api_server/valid.yaml` and `api_server/invalid.yaml`.

#![cfg(test)]

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use api::{ProviderNetwork, Subnet, Vpc, VpcNatGateway};
use kube::{
    Api, Client, Error, Resource,
    api::{
        ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
    },
    core::{Request, TypeMeta},
    discovery::{Scope, pinned_kind},
};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::{LabOptions, OvnVersion, lab, wait_until};

const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/crds");
const MANIFEST: &str = include_str!("../../deploy/kube-ovn.yaml");
const VALID: &str = include_str!("api_server/valid.yaml");
const INVALID: &str = include_str!("api_server/invalid.yaml");
const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Attributes of a schema that the original's have not.
const STRICT: [&str; 7] = [
    "enum",
    "maxItems",
    "maxLength",
    "required",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
];
const PATIENCE: Duration = Duration::from_secs(30);

/// An object that must be refused.
#[derive(Deserialize)]
struct Invalid {
    /// What the refusal must contain.
    because: Vec<String>,
    kind: String,
    #[serde(default = "any_name")]
    name: String,
    spec: Option<Value>,
}

impl Invalid {
    fn object(&self) -> Value {
        let mut object = json!({ "kind": self.kind, "metadata": { "name": self.name } });
        if let Some(spec) = &self.spec {
            object["spec"] = spec.clone();
        }
        object
    }
}

fn any_name() -> String {
    "any".to_owned()
}

/// Runs a test with a client of an API server that serves our kinds.
fn with_crds(test: impl AsyncFnOnce(Client) -> Result<()> + Send + 'static) {
    let options = LabOptions::on(OvnVersion::V23_03)
        .nodes(0)
        .with_api_server();
    lab::run(options, async move |lab| {
        let server = lab.api_server()?;
        server.apply_crds(Path::new(CRDS)).await?;
        test(server.client()?).await
    });
}

fn api_of(client: &Client, kind: &str) -> Result<Api<DynamicObject>> {
    let names = api::crds().into_iter().map(|crd| crd.spec.names);
    let plural = names
        .filter(|names| names.kind == kind)
        .map(|names| names.plural)
        .next()
        .with_context(|| format!("no such kind: {kind}"))?;
    let kind = GroupVersionKind::gvk("kubeovn.io", "v1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    Ok(Api::all_with(client.clone(), &resource))
}

async fn create(client: &Client, mut object: Value) -> Result<Result<DynamicObject, Error>> {
    object["apiVersion"] = json!("kubeovn.io/v1");
    let kind = object["kind"].as_str().context("an object has a kind")?;
    let api = api_of(client, kind)?;
    let object = serde_json::from_value(object)?;
    Ok(api.create(&PostParams::default(), &object).await)
}

async fn create_valid(client: &Client) -> Result<()> {
    for document in serde_yaml::Deserializer::from_str(VALID) {
        let object = Value::deserialize(document)?;
        let name = object["metadata"]["name"].clone();
        create(client, object)
            .await?
            .with_context(|| format!("{name} was refused"))?;
    }
    Ok(())
}

#[test]
fn every_object_of_the_manifest_is_accepted_without_an_unknown_field() {
    with_crds(async |client| {
        for document in serde_yaml::Deserializer::from_str(MANIFEST) {
            let object: Option<DynamicObject> = Option::deserialize(document)?;
            if let Some(object) = object {
                let what = format!("{:?} {:?}", object.types, object.metadata.name);
                let tried = try_applying(&client, &object).await;
                tried.with_context(|| format!("{what} was refused"))?;
            }
        }
        Ok(())
    });
}

/// As `kubectl apply --server-side --dry-run=server --validate=strict` does.
async fn try_applying(client: &Client, object: &DynamicObject) -> Result<()> {
    let TypeMeta { api_version, kind } = object.types.as_ref().context("an object has a kind")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = GroupVersionKind::gvk(group, version, kind);
    let (resource, capabilities) = pinned_kind(client, &kind).await?;
    let metadata = &object.metadata;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = metadata.namespace.as_deref().context("no namespace")?;
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    let name = metadata.name.as_deref().context("no name")?;
    let params = PatchParams::apply("test")
        .force()
        .dry_run()
        .validation_strict();
    api.patch(name, &params, &Patch::Apply(object)).await?;
    Ok(())
}

#[test]
fn objects_of_users_of_kube_ovn_are_accepted_and_completed() {
    with_crds(async |client| {
        create_valid(&client).await?;

        let subnets = Api::<Subnet>::all(client.clone());
        let subnet = subnets.get("ecmp").await?.spec;
        assert_eq!(
            (subnet.vpc.as_str(), subnet.provider.as_str()),
            ("ovn-cluster", "ovn")
        );
        assert_eq!(subnets.get("net-a").await?.spec.gateway_type, "distributed");

        let vpcs = Api::<Vpc>::all(client.clone());
        assert!(
            vpcs.get("without-a-spec")
                .await?
                .spec
                .static_routes
                .is_empty()
        );

        let gateway = Api::<VpcNatGateway>::all(client.clone())
            .get("rules")
            .await?;
        let protocols = gateway
            .spec
            .dnat_rules
            .iter()
            .map(|rule| rule.protocol.as_str());
        assert_eq!(protocols.collect::<Vec<_>>(), ["UDP", "", "tcp"]);
        Ok(())
    });
}

#[test]
fn the_status_of_a_provider_network_is_written_through_the_object_itself() {
    with_crds(async |client| {
        create_valid(&client).await?;
        let networks = Api::<ProviderNetwork>::all(client);
        let status = json!({ "status": { "ready": true, "readyNodes": ["n1", "n2"] } });
        let merge = PatchParams::default();
        networks
            .patch("net1", &merge, &Patch::Merge(&status))
            .await?;
        let status = networks.get("net1").await?.status.context("no status")?;
        assert!(status.ready);
        assert_eq!(status.ready_nodes, ["n1", "n2"]);
        Ok(())
    });
}

#[test]
fn kubectl_prints_the_columns_of_kube_ovn() {
    with_crds(async |client| {
        create_valid(&client).await?;
        let status = json!({ "status": {
            "v4usingIPs": 3,
            "v4availableIPs": 65530,
            "v6usingIPs": 0,
            "v6availableIPs": 18_446_744_073_709_551_616_f64,
        } });
        Api::<Subnet>::all(client.clone())
            .patch_status(
                "redirected",
                &PatchParams::default(),
                &Patch::Merge(&status),
            )
            .await?;

        let table = table::<Subnet>(&client).await?;
        let columns = [
            ("Name", json!("redirected")),
            ("Provider", json!("ovn")),
            ("Vpc", json!("ovn-cluster")),
            ("Protocol", Value::Null),
            ("CIDR", json!("10.71.0.0/16")),
            ("Private", json!(false)),
            ("NAT", json!(false)),
            ("ExternalEgressGateway", json!("192.0.2.254")),
            ("PolicyRoutingPriority", json!(1001)),
            ("PolicyRoutingTableID", json!(1001)),
            ("Default", json!(false)),
            ("GatewayType", json!("centralized")),
            ("V4Used", json!(3)),
            ("V4Available", json!(65530)),
            ("V6Used", json!(0)),
            ("V6Available", json!(18_446_744_073_709_551_616_f64)),
        ];
        assert_eq!(table.names, columns.each_ref().map(|(name, _)| *name));
        let cells = columns.map(|(_, cell)| cell);
        assert!(table.rows.contains(&cells.to_vec()), "{:?}", table.rows);
        Ok(())
    });
}

struct Table {
    names: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// All objects of a kind as kubectl asks for them.
async fn table<K: Resource<DynamicType = ()>>(client: &Client) -> Result<Table> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        column_definitions: Vec<Column>,
        rows: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Column {
        name: String,
    }
    #[derive(Deserialize)]
    struct Row {
        cells: Vec<Value>,
    }

    let path = K::url_path(&(), None);
    let mut request = Request::new(path).list(&ListParams::default())?;
    request.headers_mut().insert("accept", AS_TABLE.parse()?);
    let answer: Answer = client.request(request).await?;
    let columns = answer.column_definitions.into_iter();
    Ok(Table {
        names: columns.map(|column| column.name).collect(),
        rows: answer.rows.into_iter().map(|row| row.cells).collect(),
    })
}

#[test]
fn a_bad_object_is_refused_with_its_field_and_the_remedy() {
    with_crds(async |client| {
        let mut wrong = Vec::new();
        for invalid in serde_yaml::from_str::<Vec<Invalid>>(INVALID)? {
            let (object, because) = (invalid.object(), &invalid.because);
            let message = match create(&client, object.clone()).await? {
                Err(Error::Api(status)) if status.code == 422 => status.message,
                other => format!("{other:?}"),
            };
            if !because.iter().all(|part| message.contains(part)) {
                wrong.push(format!("{object}\nwants {because:?}\ngot   {message}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        Ok(())
    });
}

#[test]
fn an_object_from_before_the_rules_can_still_be_labelled_and_released() {
    let options = LabOptions::on(OvnVersion::V23_03)
        .nodes(0)
        .with_api_server();
    lab::run(options, async |lab| {
        let server = lab.api_server()?;
        let client = server.client()?;
        let before = tempfile::tempdir()?;
        write_lenient_crds(before.path())?;
        server.apply_crds(before.path()).await?;
        let old = create_invalid(&client).await?;

        server.apply_crds(Path::new(CRDS)).await?;
        for (kind, name) in &old {
            let api = api_of(&client, kind)?;
            rules_hold(&api, kind).await?;
            let change = json!({ "metadata": { "labels": { "a": "b" }, "finalizers": [] } });
            api.patch(name, &PatchParams::default(), &Patch::Merge(change))
                .await
                .with_context(|| format!("{kind} {name}"))?;
        }
        Ok(())
    });
}

/// Every invalid object that the bounds of the original let through, with a finalizer: kind, name.
async fn create_invalid(client: &Client) -> Result<Vec<(String, String)>> {
    let mut created = Vec::new();
    let invalid = serde_yaml::from_str::<Vec<Invalid>>(INVALID)?;
    for (number, mut invalid) in invalid.into_iter().enumerate() {
        if invalid.name == any_name() {
            invalid.name = format!("old-{number}");
        }
        let mut object = invalid.object();
        object["metadata"]["finalizers"] = json!(["kubeovn.io/test"]);
        if create(client, object).await?.is_ok() {
            created.push((invalid.kind, invalid.name));
        }
    }
    ensure!(created.len() > 40, "only {created:?}");
    Ok(created)
}

/// Waits until the rules of the second definition are in force.
async fn rules_hold(api: &Api<DynamicObject>, kind: &str) -> Result<()> {
    let bad: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "kubeovn.io/v1",
        "kind": kind,
        "metadata": { "name": "bad" },
        "spec": { "staticRoutes": [{ "cidr": "x" }] },
    }))?;
    let try_only = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    wait_until("the rules hold", PATIENCE, async || {
        ensure!(
            api.create(&try_only, &bad).await.is_err(),
            "{kind} without rules"
        );
        Ok(())
    })
    .await
}

/// Our definitions, accepting what those of the original accept.
fn write_lenient_crds(directory: &Path) -> Result<()> {
    for crd in api::crds() {
        let mut definition = json!(crd);
        for version in definition["spec"]["versions"].as_array_mut().unwrap() {
            make_lenient(&mut version["schema"]);
        }
        let file = directory.join(format!("{}.yaml", crd.spec.names.plural));
        fs::write(file, serde_yaml::to_string(&definition)?)?;
    }
    Ok(())
}

fn make_lenient(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|name, _| !STRICT.contains(&name.as_str()));
            members.values_mut().for_each(make_lenient);
        }
        Value::Array(items) => items.iter_mut().for_each(make_lenient),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
