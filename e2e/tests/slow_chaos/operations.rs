//! What users do: one object after the other is created, changed or deleted.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use api::{IpPool, Subnet, Vip, Vpc};
use fastrand::Rng;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Namespace, Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use serde_json::{Value, json};
use testkit::{Lab, wait_until};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    object::{Hand, Name, Taken},
    routing::{self, Change, End, List},
    spec::{self, User},
};

/// About so often each of two users does something.
const PERIOD: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_mins(1);
/// How often each is chosen, of 100 times, and how many there are at most.
const KINDS: [(Kind, u32, usize); 12] = [
    (Kind::Pod, 56, 90),
    (Kind::Service, 8, 15),
    (Kind::Namespace, 5, 5),
    (Kind::Subnet, 8, 6),
    (Kind::Node, 3, 4),
    (Kind::Vpc, 3, 3),
    (Kind::StatefulSet, 5, 4),
    (Kind::Vip, 3, 5),
    (Kind::IpPool, 3, 3),
    (Kind::StaticRoute, 2, 6),
    (Kind::PolicyRoute, 2, 6),
    (Kind::Peering, 2, 3),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Pod,
    Namespace,
    Subnet,
    Node,
    Service,
    Vpc,
    StatefulSet,
    Vip,
    IpPool,
    /// An entry of a VPC, which stands in the place of a namespace.
    StaticRoute,
    PolicyRoute,
    /// Both ends of a link, one of them at times missing.
    Peering,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Create,
    Edit,
    Delete,
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
    /// By an answer.
    refused: BTreeMap<(Kind, Verb), u32>,
    /// As when the API server is away.
    unanswered: u32,
}

struct Run {
    hand: Hand,
    user: User,
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
        let (one, other) = tokio::join!(self.user(User::X, 0), self.user(User::Y, 1));
        Ok(one?.and(other?))
    }

    async fn user(&self, user: User, number: u64) -> Result<Tally> {
        let mut run = Run {
            hand: Hand(self.lab.api_server()?.client()?),
            user,
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
        run.leave_no_set().await?;
        run.leave_routing().await?;
        Ok(run.tally)
    }
}

// === impl Run ===

impl Run {
    async fn step(&mut self) {
        let (kind, limit) = self.kind();
        let count = self.objects.get(&kind).map_or(0, Vec::len);
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
            Ok(Taken::No) => *self.tally.refused.entry((kind, verb)).or_default() += 1,
            Err(_) => self.tally.unanswered += 1,
        }
    }

    /// A kind, and how many of it there are at most.
    fn kind(&mut self) -> (Kind, usize) {
        let mut number = self.random.u32(0..100);
        for (kind, weight, limit) in KINDS {
            if number < weight {
                return (kind, limit);
            }
            number -= weight;
        }
        (Kind::Pod, 1)
    }

    async fn create(&mut self, kind: Kind) -> Result<Taken> {
        self.made += 1;
        let number = self.made;
        let text = format!("{}{number}", self.user.prefix());
        let name = match kind {
            Kind::Pod | Kind::Service | Kind::StatefulSet => (self.namespace(), text),
            Kind::Namespace | Kind::Subnet | Kind::Node | Kind::Vpc | Kind::Vip | Kind::IpPool => {
                (String::new(), text)
            }
            Kind::StaticRoute => (self.vpc().await?, routing::cidr(number)),
            Kind::PolicyRoute => (self.vpc().await?, routing::priority(number)),
            Kind::Peering => match self.two_vpcs() {
                Some(ends) => ends,
                None => return Ok(Taken::No),
            },
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
                let subnet = self.one_in(4).then(|| self.any(Kind::Subnet)).flatten();
                let pool = self.one_in(8).then(|| self.any(Kind::IpPool)).flatten();
                let pod = spec::pod(&mut self.random, name, subnet.as_ref(), pool.as_ref());
                self.hand.post::<Pod>(name, pod).await
            }
            Kind::Namespace => self.hand.post::<Namespace>(name, json!({})).await,
            Kind::Subnet => {
                let vpc = self.one_in(3).then(|| self.any(Kind::Vpc)).flatten();
                let subnet = spec::subnet(self.user, number, vpc.as_ref());
                self.hand.post::<Subnet>(name, subnet).await
            }
            Kind::Node => {
                let node = spec::node(self.user, name, number)?;
                self.hand.post::<Node>(name, node).await
            }
            Kind::Service => self.create_service(name).await,
            Kind::Vpc => self.hand.post::<Vpc>(name, json!({"spec": {}})).await,
            Kind::StatefulSet => self.create_set(name, number).await,
            Kind::Vip => {
                let subnet = self.random.bool().then(|| self.any(Kind::Subnet)).flatten();
                self.hand
                    .post::<Vip>(name, spec::vip(subnet.as_ref()))
                    .await
            }
            Kind::IpPool => {
                let namespace = self.any(Kind::Namespace);
                let pool = spec::ip_pool(self.user, number, namespace.as_ref());
                self.hand.post::<IpPool>(name, pool).await
            }
            Kind::StaticRoute | Kind::PolicyRoute => self.put_route(kind, name).await,
            Kind::Peering => self.put_peering(name).await,
        }
    }

    /// Writes an entry as it was never before.
    async fn put_route(&mut self, kind: Kind, name: &Name) -> Result<Taken> {
        let subnet = self.subnet_of(&name.0).await?;
        let (list, entry) = if kind == Kind::StaticRoute {
            let entry = routing::static_route(&mut self.random, &name.1, subnet.as_ref());
            (List::StaticRoutes, entry)
        } else {
            let entry = routing::policy_route(&mut self.random, &name.1, subnet.as_ref());
            (List::PolicyRoutes, entry)
        };
        routing::change(&self.hand, list, name, Change::Put(entry)).await
    }

    /// A link with a network of its own most of the time.
    async fn put_peering(&mut self, name: &Name) -> Result<Taken> {
        let link = self.random.u8(..);
        let (one, other) = name;
        let first = Change::Put(routing::peering(other, link, End::First));
        let taken = routing::change(&self.hand, List::Peerings, name, first).await?;
        if self.one_in(4) {
            return Ok(taken);
        }
        let back = (other.clone(), one.clone());
        let second = Change::Put(routing::peering(one, link, End::Second));
        routing::change(&self.hand, List::Peerings, &back, second).await
    }

    /// From one end, and from the other most of the time.
    async fn remove_peering(&mut self, name: &Name) -> Result<Taken> {
        let taken = routing::change(&self.hand, List::Peerings, name, Change::Remove).await?;
        if self.one_in(4) {
            return Ok(taken);
        }
        let back = (name.1.clone(), name.0.clone());
        routing::change(&self.hand, List::Peerings, &back, Change::Remove).await
    }

    async fn create_service(&mut self, name: &Name) -> Result<Taken> {
        let (service, slice) = spec::service(&mut self.random, name);
        if self.hand.post::<Service>(name, service).await? == Taken::No {
            return Ok(Taken::No);
        }
        self.hand.post::<EndpointSlice>(name, slice).await
    }

    /// With its pods, as its controller would make them.
    async fn create_set(&mut self, name: &Name, number: u32) -> Result<Taken> {
        let set = spec::stateful_set(self.user, number);
        if self.hand.post::<StatefulSet>(name, set).await? == Taken::No {
            return Ok(Taken::No);
        }
        for ordinal in 0..spec::REPLICAS {
            self.create_member(name, ordinal).await?;
        }
        Ok(Taken::Yes)
    }

    async fn create_member(&mut self, name: &Name, ordinal: u32) -> Result<Taken> {
        let Some(set) = self.hand.find::<StatefulSet>(name).await? else {
            return Ok(Taken::No);
        };
        let (member, pod) = spec::member(&mut self.random, &set, name, ordinal)?;
        self.hand.post::<Pod>(&member, pod).await
    }

    async fn edit(&mut self, kind: Kind) -> Result<Taken> {
        let name = self.any(kind).context("there is none")?;
        let label = json!({"metadata": {"labels": {"x": self.random.u8(..).to_string()}}});
        match kind {
            Kind::Pod => self.hand.patch::<Pod>(&name, label).await,
            Kind::Namespace => self.hand.patch::<Namespace>(&name, label).await,
            Kind::Subnet => {
                let patch = self.subnet_edit(&name).await?;
                self.hand.patch::<Subnet>(&name, patch).await
            }
            Kind::Node => {
                let patch = spec::node_edit(&mut self.random);
                self.hand.patch::<Node>(&name, patch).await
            }
            Kind::Service => {
                let slice = spec::endpoints(&mut self.random);
                self.hand.patch::<EndpointSlice>(&name, slice).await
            }
            Kind::Vpc => {
                let patch = spec::vpc_edit(&mut self.random);
                self.hand.patch::<Vpc>(&name, patch).await
            }
            Kind::StatefulSet => self.edit_set(&name).await,
            Kind::Vip => {
                let patch = spec::vip_edit(&mut self.random);
                self.hand.patch::<Vip>(&name, patch).await
            }
            Kind::IpPool => {
                let namespace = self.any(Kind::Namespace);
                let patch = spec::ip_pool_edit(&mut self.random, namespace.as_ref());
                self.hand.patch::<IpPool>(&name, patch).await
            }
            Kind::StaticRoute | Kind::PolicyRoute => self.put_route(kind, &name).await,
            Kind::Peering => self.put_peering(&name).await,
        }
    }

    async fn subnet_edit(&mut self, name: &Name) -> Result<Value> {
        let namespace = self.any(Kind::Namespace);
        let subnet = self.hand.find::<Subnet>(name).await?;
        let subnet = subnet.context("it is gone")?;
        Ok(spec::subnet_edit(
            &mut self.random,
            &subnet.spec,
            namespace.as_ref(),
        ))
    }

    /// A pod is exchanged for another one, or the last one is not wanted for a while.
    async fn edit_set(&mut self, name: &Name) -> Result<Taken> {
        let ordinal = self.random.u32(0..spec::REPLICAS);
        self.hand
            .remove::<Pod>(&spec::member_name(name, ordinal))
            .await?;
        if self.random.bool() {
            for replicas in [ordinal, spec::REPLICAS] {
                let patch = json!({"spec": {"replicas": replicas}});
                self.hand.patch::<StatefulSet>(name, patch).await?;
            }
        }
        self.create_member(name, ordinal).await
    }

    async fn delete(&mut self, kind: Kind) -> Result<Taken> {
        let name = self.any(kind).context("there is none")?;
        let taken = match kind {
            Kind::Pod => self.hand.remove::<Pod>(&name).await?,
            Kind::Namespace => self.delete_namespace(&name).await?,
            Kind::Subnet => self.hand.remove::<Subnet>(&name).await?,
            Kind::Node => self.hand.remove::<Node>(&name).await?,
            Kind::Service => self.delete_service(&name).await?,
            Kind::Vpc => self.hand.remove::<Vpc>(&name).await?,
            Kind::StatefulSet => self.delete_set(&name).await?,
            Kind::Vip => self.hand.remove::<Vip>(&name).await?,
            Kind::IpPool => self.hand.remove::<IpPool>(&name).await?,
            Kind::StaticRoute => {
                routing::change(&self.hand, List::StaticRoutes, &name, Change::Remove).await?
            }
            Kind::PolicyRoute => {
                routing::change(&self.hand, List::PolicyRoutes, &name, Change::Remove).await?
            }
            Kind::Peering => self.remove_peering(&name).await?,
        };
        let objects = self.objects.entry(kind).or_default();
        objects.retain(|it| *it != name);
        Ok(taken)
    }

    async fn delete_service(&self, name: &Name) -> Result<Taken> {
        self.hand.remove::<EndpointSlice>(name).await?;
        self.hand.remove::<Service>(name).await
    }

    /// In either order.
    async fn delete_set(&mut self, name: &Name) -> Result<Taken> {
        let is_first = self.random.bool();
        if is_first {
            self.hand.remove::<StatefulSet>(name).await?;
        }
        for ordinal in 0..spec::REPLICAS {
            let member = spec::member_name(name, ordinal);
            self.hand.remove::<Pod>(&member).await?;
        }
        if is_first {
            return Ok(Taken::Yes);
        }
        self.hand.remove::<StatefulSet>(name).await
    }

    /// With what is in it, as its controller would do it.
    async fn delete_namespace(&mut self, name: &Name) -> Result<Taken> {
        for set in self.inside(Kind::StatefulSet, &name.1) {
            self.delete_set(&set).await?;
        }
        for pod in self.inside(Kind::Pod, &name.1) {
            self.hand.remove::<Pod>(&pod).await?;
        }
        for service in self.inside(Kind::Service, &name.1) {
            self.delete_service(&service).await?;
        }
        for kind in [Kind::StatefulSet, Kind::Pod, Kind::Service] {
            let objects = self.objects.entry(kind).or_default();
            objects.retain(|(namespace, _)| *namespace != name.1);
        }
        let taken = self.hand.remove::<Namespace>(name).await?;
        self.hand.finalize(name).await?;
        Ok(taken)
    }

    fn inside(&self, kind: Kind, namespace: &str) -> Vec<Name> {
        let objects = self.objects.get(&kind).into_iter().flatten();
        let inside = objects.filter(|(it, _)| it == namespace);
        inside.cloned().collect()
    }

    /// Records of the pods of sets that are there outlive these, so that nobody could tell a leak.
    async fn leave_no_set(&mut self) -> Result<()> {
        for set in self.objects.remove(&Kind::StatefulSet).unwrap_or_default() {
            wait_until("a StatefulSet is deleted", PATIENCE, async || {
                self.delete_set(&set).await.map(drop)
            })
            .await?;
        }
        Ok(())
    }

    /// Two VPCs with a link, a route over it and a policy, so that some are compared in the end.
    async fn leave_routing(&self) -> Result<()> {
        let [left, right] = routing::LAST.map(|it| format!("{}-{it}", self.user.prefix()));
        for vpc in [&left, &right] {
            let name = (String::new(), vpc.clone());
            wait_until("a VPC is there", PATIENCE, async || {
                self.hand.post::<Vpc>(&name, json!({"spec": {}})).await
            })
            .await?;
        }
        for (vpc, list, entry, value) in routing::last(&left, &right) {
            let name = (vpc, entry);
            wait_until("an entry is there", PATIENCE, async || {
                let change = Change::Put(value.clone());
                let taken = routing::change(&self.hand, list, &name, change).await?;
                ensure!(taken == Taken::Yes, "it is refused");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// One of a kind.
    fn any(&mut self, kind: Kind) -> Option<Name> {
        let objects = self.objects.entry(kind).or_default();
        self.random.choice(objects.iter()).cloned()
    }

    fn one_in(&mut self, times: u32) -> bool {
        self.random.u32(0..times) == 0
    }

    /// That of a subnet, so that next hops are to be had, or any other.
    async fn vpc(&mut self) -> Result<String> {
        if let Some(name) = self.any(Kind::Subnet).filter(|_| self.random.bool())
            && let Some(subnet) = self.hand.find::<Subnet>(&name).await?
            && !subnet.spec.vpc.is_empty()
        {
            return Ok(subnet.spec.vpc);
        }
        let vpc = self.any(Kind::Vpc);
        Ok(vpc.map_or_else(|| api::vpc::DEFAULT.to_owned(), |(_, name)| name))
    }

    /// One of the VPC's subnets, if the first that comes to hand is one.
    async fn subnet_of(&mut self, vpc: &str) -> Result<Option<Subnet>> {
        let Some(name) = self.any(Kind::Subnet) else {
            return Ok(None);
        };
        let found = self.hand.find::<Subnet>(&name).await?;
        Ok(found.filter(|it| it.spec.vpc == vpc))
    }

    /// Two VPCs that are not one; the second is the default one at times.
    fn two_vpcs(&mut self) -> Option<Name> {
        let (_, one) = self.any(Kind::Vpc)?;
        let (_, other) = self.any(Kind::Vpc)?;
        if other == one {
            return Some((one, api::vpc::DEFAULT.to_owned()));
        }
        Some((one, other))
    }

    /// Where something is created.
    fn namespace(&mut self) -> String {
        let own = self.random.bool().then(|| self.any(Kind::Namespace));
        own.flatten()
            .map_or_else(|| "default".to_owned(), |(_, name)| name)
    }
}

// === impl Tally ===

impl Tally {
    fn and(mut self, other: Self) -> Self {
        for (what, times) in other.done {
            *self.done.entry(what).or_default() += times;
        }
        for (what, times) in other.refused {
            *self.refused.entry(what).or_default() += times;
        }
        self.unanswered += other.unanswered;
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
        write!(f, "refused: ")?;
        for ((kind, verb), times) in &self.refused {
            write!(f, "{kind:?} {verb:?} {times}, ")?;
        }
        write!(f, "unanswered {}", self.unanswered)
    }
}
