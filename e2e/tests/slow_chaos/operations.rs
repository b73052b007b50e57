//! What users do: one object after the other is created, changed or deleted.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use api::Subnet;
use fastrand::Rng;
use k8s_openapi::api::{
    core::v1::{Namespace, Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use testkit::{Lab, objects};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// About so often each of two users does something.
const PERIOD: Duration = Duration::from_millis(40);
/// An API server that takes longer is gone.
const LIMIT: Duration = Duration::from_secs(5);
/// Objects of a kind that there are at most.
const LIMITS: [(Kind, usize); 5] = [
    (Kind::Pod, 100),
    (Kind::Namespace, 5),
    (Kind::Subnet, 5),
    (Kind::Node, 4),
    (Kind::Service, 15),
];
/// Nodes that run.
const NODES: [&str; 2] = ["n1", "n2"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Pod,
    Namespace,
    Subnet,
    Node,
    Service,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Create,
    Edit,
    Delete,
}

/// What the API server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    /// As when there is no such object, or its namespace is being deleted.
    No,
}

/// The objects there are, and who changes them.
pub(crate) struct Operations<'a> {
    lab: &'a Lab,
    seed: u64,
    is_over: AtomicBool,
}

/// How often what was done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    done: BTreeMap<(Kind, Verb), u32>,
    refused: u32,
}

/// An object: its namespace, empty for kinds without, and its name.
type Name = (String, String);

struct Run {
    client: Client,
    /// Names start with it.
    prefix: &'static str,
    random: Rng,
    objects: BTreeMap<Kind, Vec<Name>>,
    made: u32,
    tally: Tally,
}

// === impl Operations ===

impl<'a> Operations<'a> {
    pub(crate) fn new(lab: &'a Lab, seed: u64) -> Self {
        Self {
            lab,
            seed,
            is_over: AtomicBool::new(false),
        }
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Goes on until the end. What the API server does not take is done another time.
    pub(crate) async fn run(&self) -> Result<Tally> {
        let (one, other) = tokio::join!(self.user("x", 0), self.user("y", 1));
        Ok(one?.and(other?))
    }

    async fn user(&self, prefix: &'static str, number: u64) -> Result<Tally> {
        let mut run = Run {
            client: self.lab.api_server()?.client()?,
            prefix,
            random: Rng::with_seed(self.seed.wrapping_add(number)),
            objects: BTreeMap::new(),
            made: 0,
            tally: Tally::default(),
        };
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while !self.is_over.load(Ordering::Relaxed) {
            ticks.tick().await;
            run.step().await;
        }
        Ok(run.tally)
    }
}

// === impl Run ===

impl Run {
    async fn step(&mut self) {
        let kind = match self.random.u32(0..100) {
            0..80 => Kind::Pod,
            80..90 => Kind::Service,
            90..94 => Kind::Namespace,
            94..97 => Kind::Subnet,
            _ => Kind::Node,
        };
        let count = self.objects.get(&kind).map_or(0, Vec::len);
        let limit = LIMITS.iter().find(|(it, _)| *it == kind);
        let limit = limit.map_or(0, |(_, limit)| *limit);
        let verb = match self.random.u32(0..100) {
            0..20 if count > 0 => Verb::Edit,
            0..60 if count < limit => Verb::Create,
            _ if count > 0 => Verb::Delete,
            _ => Verb::Create,
        };
        let done = match verb {
            Verb::Create => self.create(kind).await,
            Verb::Edit => self.edit(kind).await,
            Verb::Delete => self.delete(kind).await,
        };
        match done {
            Ok(Taken::Yes) => *self.tally.done.entry((kind, verb)).or_default() += 1,
            Ok(Taken::No) | Err(_) => self.tally.refused += 1,
        }
    }

    async fn create(&mut self, kind: Kind) -> Result<Taken> {
        self.made += 1;
        let number = self.made;
        let text = format!("{}{number}", self.prefix);
        let name = match kind {
            Kind::Pod | Kind::Service => (self.namespace(), text),
            Kind::Namespace | Kind::Subnet | Kind::Node => (String::new(), text),
        };
        let created = self.create_as(kind, &name, number).await;
        // without an answer it may be there
        if !matches!(created, Ok(Taken::No)) {
            self.objects.entry(kind).or_default().push(name);
        }
        created
    }

    async fn create_as(&mut self, kind: Kind, name: &Name, number: u32) -> Result<Taken> {
        match kind {
            Kind::Pod => {
                let node = self.random.choice(NODES).unwrap_or("n1");
                let pod = objects::pod(&name.1).in_namespace(&name.0).on(node);
                self.post::<Pod>(name, json!(pod.build())).await
            }
            Kind::Namespace => self.post::<Namespace>(name, json!({})).await,
            Kind::Subnet => {
                let first = if self.prefix == "x" { 100 } else { 145 };
                let cidr = format!("10.{}.{}.0/24", first + number / 256 % 45, number % 256);
                let spec = json!({"spec": {"protocol": "IPv4", "cidrBlock": cidr}});
                self.post::<Subnet>(name, spec).await
            }
            Kind::Node => {
                let first = if self.prefix == "x" { 98 } else { 99 };
                let address = format!("10.{first}.{}.{}", number / 256 % 256, number % 256);
                let node = objects::node(&name.1, &address.parse()?);
                self.post::<Node>(name, json!(node)).await
            }
            Kind::Service => self.create_service(name).await,
        }
    }

    async fn create_service(&mut self, name: &Name) -> Result<Taken> {
        let ports = json!([{"name": "web", "port": 80, "protocol": "TCP"}]);
        let service = json!({"spec": {"ports": ports}});
        if matches!(self.post::<Service>(name, service).await?, Taken::No) {
            return Ok(Taken::No);
        }
        let slice = json!({
            "metadata": {"labels": {"kubernetes.io/service-name": name.1}},
            "addressType": "IPv4",
            "endpoints": [{
                "addresses": [format!("10.16.200.{}", self.random.u8(1..250))],
                "conditions": {"ready": self.random.bool()},
            }],
            "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
        });
        self.post::<EndpointSlice>(name, slice).await
    }

    async fn edit(&mut self, kind: Kind) -> Result<Taken> {
        let name = self.any(kind).context("there is none")?;
        let label = json!({"metadata": {"labels": {"x": self.random.u8(..).to_string()}}});
        match kind {
            Kind::Pod => self.patch::<Pod>(&name, label).await,
            Kind::Namespace => self.patch::<Namespace>(&name, label).await,
            Kind::Subnet => self.patch::<Subnet>(&name, label).await,
            Kind::Node => self.patch::<Node>(&name, label).await,
            Kind::Service => {
                let ready = self.random.bool();
                let endpoints = json!([{
                    "addresses": [format!("10.16.201.{}", self.random.u8(1..250))],
                    "conditions": {"ready": ready},
                }]);
                let slice = json!({"endpoints": endpoints});
                self.patch::<EndpointSlice>(&name, slice).await
            }
        }
    }

    async fn delete(&mut self, kind: Kind) -> Result<Taken> {
        let name = self.any(kind).context("there is none")?;
        let taken = match kind {
            Kind::Pod => self.remove::<Pod>(&name).await?,
            Kind::Namespace => self.delete_namespace(&name).await?,
            Kind::Subnet => self.remove::<Subnet>(&name).await?,
            Kind::Node => self.remove::<Node>(&name).await?,
            Kind::Service => self.delete_service(&name).await?,
        };
        let objects = self.objects.entry(kind).or_default();
        objects.retain(|it| *it != name);
        Ok(taken)
    }

    async fn delete_service(&self, name: &Name) -> Result<Taken> {
        self.remove::<EndpointSlice>(name).await?;
        self.remove::<Service>(name).await
    }

    /// With what is in it, as its controller would do it.
    async fn delete_namespace(&mut self, name: &Name) -> Result<Taken> {
        for pod in self.take_inside(Kind::Pod, &name.1) {
            self.remove::<Pod>(&pod).await?;
        }
        for service in self.take_inside(Kind::Service, &name.1) {
            self.delete_service(&service).await?;
        }
        let namespaces = self.api::<Namespace>("");
        let taken = self.remove::<Namespace>(name).await?;
        if let Some(namespace) = namespaces.get_opt(&name.1).await? {
            let object = Namespace {
                spec: None,
                ..namespace
            };
            let parameters = PostParams::default();
            namespaces
                .replace_subresource("finalize", &name.1, &parameters, &object)
                .await?;
        }
        Ok(taken)
    }

    fn take_inside(&mut self, kind: Kind, namespace: &str) -> Vec<Name> {
        let objects = self.objects.entry(kind).or_default();
        objects.extract_if(.., |(it, _)| it == namespace).collect()
    }

    /// One of a kind.
    fn any(&mut self, kind: Kind) -> Option<Name> {
        let objects = self.objects.entry(kind).or_default();
        self.random.choice(objects.iter()).cloned()
    }

    /// Where something is created.
    fn namespace(&mut self) -> String {
        let own = self.random.bool().then(|| self.any(Kind::Namespace));
        own.flatten()
            .map_or_else(|| "default".to_owned(), |(_, name)| name)
    }

    fn api<K: Object>(&self, namespace: &str) -> Api<K> {
        K::within(self.client.clone(), namespace)
    }

    async fn post<K: Object>(&self, (namespace, name): &Name, mut object: Value) -> Result<Taken> {
        if let Some(map) = object.as_object_mut() {
            let metadata = map.entry("metadata").or_insert_with(|| json!({}));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("name".to_owned(), json!(name));
            }
        }
        let object: K = serde_json::from_value(object)?;
        let api = self.api::<K>(namespace);
        taken(timeout(LIMIT, api.create(&PostParams::default(), &object)).await?)
    }

    async fn patch<K: Object>(&self, (namespace, name): &Name, patch: Value) -> Result<Taken> {
        let api = self.api::<K>(namespace);
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        taken(timeout(LIMIT, api.patch(name, &parameters, &patch)).await?)
    }

    async fn remove<K: Object>(&self, (namespace, name): &Name) -> Result<Taken> {
        let api = self.api::<K>(namespace);
        let at_once = DeleteParams::default().grace_period(0);
        taken(timeout(LIMIT, api.delete(name, &at_once)).await?)
    }
}

/// An answer is one, even if it is no.
fn taken<T>(answer: Result<T, kube::Error>) -> Result<Taken> {
    match answer {
        Ok(_) => Ok(Taken::Yes),
        Err(kube::Error::Api(status)) if status.code < 500 => Ok(Taken::No),
        Err(error) => Err(error.into()),
    }
}

/// A kind of objects, with namespaces or without.
trait Object: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + fmt::Debug {
    fn within(client: Client, namespace: &str) -> Api<Self>;
}

macro_rules! objects {
    ($($kind:ty: $place:ident),* $(,)?) => {
        $(impl Object for $kind {
            fn within(client: Client, namespace: &str) -> Api<Self> {
                objects!(@$place client, namespace)
            }
        })*
    };
    (@cluster $client:ident, $namespace:ident) => {{
        debug_assert!($namespace.is_empty());
        Api::all($client)
    }};
    (@namespace $client:ident, $namespace:ident) => { Api::namespaced($client, $namespace) };
}

objects! {
    Pod: namespace,
    Service: namespace,
    EndpointSlice: namespace,
    Namespace: cluster,
    Node: cluster,
    Subnet: cluster,
}

// === impl Tally ===

impl Tally {
    fn and(mut self, other: Self) -> Self {
        for (what, times) in other.done {
            *self.done.entry(what).or_default() += times;
        }
        self.refused += other.refused;
        self
    }

    /// Operations a second.
    pub(crate) fn rate(&self, span: Duration) -> f64 {
        f64::from(self.done.values().sum::<u32>()) / span.as_secs_f64()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, verb), times) in &self.done {
            write!(f, "{kind:?} {verb:?} {times}, ")?;
        }
        write!(f, "not taken {}", self.refused)
    }
}
