//! The typed store of intent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use controller_plan::{Inputs, Settings};
use k8s_openapi::jiff::Timestamp;
use model::{IpPoolName, NodeName, Owner, PodKey, ServiceKey, SubnetName, VipName, VpcName};

use crate::acceptance::{Acceptance, Fault};
use crate::binding::Bindings;
use crate::claimant::Claimant;
use crate::endpoint_slice::{EndpointSlice, SliceKey};
use crate::former_gateways::Gateways;
use crate::groups::Groups;
use crate::ip_pool::IpPool;
use crate::kept::Kept;
use crate::kind::{Kind, ObjectName, TableEdit, Watched};
use crate::life::LifePhase;
use crate::listing::Parsed;
use crate::namespace::Namespace;
use crate::node::Node;
use crate::outside::Outside;
use crate::pod::Pod;
use crate::record::Record;
use crate::service::Service;
use crate::stateful_set::{SetKey, StatefulSet};
use crate::subnet::Subnet;
use crate::table::Table;
use crate::text::Rejected;
use crate::vip::Vip;
use crate::vlan::Vlan;
use crate::vpc::Vpc;

/// What the controller was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    pub settings: Settings,
    /// The subnet of namespaces that no subnet names.
    pub subnet: SubnetName,
}

/// All intent, and what it means for the planner and the recorder.
#[derive(Debug)]
pub struct Index {
    pub(crate) defaults: Defaults,
    pub(crate) inputs: Inputs,
    /// Where pods reach the API server.
    pub(crate) api_server: Option<IpAddr>,
    pub(crate) namespaces: Table<String, Namespace>,
    pub(crate) bindings: Bindings,
    pub(crate) acceptances: BTreeMap<SubnetName, Acceptance>,
    /// What users must mend in VPCs.
    pub(crate) vpc_faults: BTreeMap<VpcName, Vec<Fault>>,
    pub(crate) kept: BTreeSet<Kept>,
    /// Subnets, VPCs or gateway nodes changed, and what they mean for one another was not looked at
    /// yet.
    is_unsettled: bool,
    pub(crate) vpcs: Table<VpcName, Vpc>,
    pub(crate) subnets: Table<SubnetName, Subnet>,
    pub(crate) records: Table<String, Record>,
    pub(crate) outside: Outside,
    pub(crate) nodes: Table<NodeName, Node>,
    /// Gateway nodes that are not to carry anything although kubelet calls them ready.
    pub(crate) silent: BTreeSet<NodeName>,
    pub(crate) pods: Table<PodKey, Pod>,
    pub(crate) gateways: Gateways,
    /// The pods whose annotations say nothing of addresses.
    pub(crate) waiting: BTreeSet<PodKey>,
    /// The ports that are planned, by subnet and by node.
    pub(crate) ports_in: Groups<SubnetName>,
    pub(crate) ports_on: Groups<NodeName>,
    pub(crate) services: Table<ServiceKey, Service>,
    pub(crate) slices: Table<SliceKey, EndpointSlice>,
    pub(crate) slices_of: BTreeMap<ServiceKey, BTreeSet<SliceKey>>,
    pub(crate) ip_pools: Table<IpPoolName, IpPool>,
    pub(crate) vips: Table<VipName, Vip>,
    pub(crate) vlans: Table<String, Vlan>,
    pub(crate) stateful_sets: Table<SetKey, StatefulSet>,
    /// The pods, present or not, that have records as pods of a StatefulSet.
    pub(crate) placed: BTreeMap<SetKey, BTreeSet<PodKey>>,
    /// As late as it is known to be.
    pub(crate) now: Timestamp,
    /// When pods that are being deleted count as gone.
    pub(crate) ends: BTreeSet<(Timestamp, PodKey)>,
    pub(crate) dirty: BTreeSet<Owner>,
    pub(crate) claims: BTreeSet<Claimant>,
    pub(crate) outdated: BTreeSet<Claimant>,
    pub(crate) changed_subnets: BTreeSet<SubnetName>,
    pub(crate) changed_records: BTreeSet<String>,
    pub(crate) synced: BTreeSet<Kind>,
    pub(crate) rejected: BTreeMap<ObjectName, Rejection>,
    /// Objects that were rejected, or rejected for another reason, since the last call.
    newly_rejected: BTreeSet<ObjectName>,
}

/// What is wrong with an object. If it cannot be used, the index behaves as if it were not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub uid: String,
    pub phase: LifePhase,
    pub why: Rejected,
}

// === impl Index ===

impl Index {
    pub fn new(defaults: Defaults) -> Self {
        Self {
            inputs: Inputs::new(defaults.settings.clone()),
            defaults,
            api_server: None,
            namespaces: Table::default(),
            bindings: Bindings::default(),
            acceptances: BTreeMap::new(),
            vpc_faults: BTreeMap::new(),
            kept: BTreeSet::new(),
            is_unsettled: false,
            vpcs: Table::default(),
            subnets: Table::default(),
            records: Table::default(),
            outside: Outside::default(),
            nodes: Table::default(),
            silent: BTreeSet::new(),
            pods: Table::default(),
            gateways: Gateways::default(),
            waiting: BTreeSet::new(),
            ports_in: Groups::default(),
            ports_on: Groups::default(),
            services: Table::default(),
            slices: Table::default(),
            slices_of: BTreeMap::new(),
            ip_pools: Table::default(),
            vips: Table::default(),
            vlans: Table::default(),
            stateful_sets: Table::default(),
            placed: BTreeMap::new(),
            now: Timestamp::MIN,
            ends: BTreeSet::new(),
            dirty: BTreeSet::new(),
            claims: BTreeSet::new(),
            outdated: BTreeSet::new(),
            changed_subnets: BTreeSet::new(),
            changed_records: BTreeSet::new(),
            synced: BTreeSet::new(),
            rejected: BTreeMap::new(),
            newly_rejected: BTreeSet::new(),
        }
    }

    /// No subnet of the default VPC may contain this address, where pods reach the API server.
    pub fn with_api_server(self, address: Option<IpAddr>) -> Self {
        Self {
            api_server: address,
            ..self
        }
    }

    /// An object was created or changed.
    pub fn apply<K: Watched>(&mut self, object: &K) {
        if let Some(parsed) = Parsed::of(object) {
            self.take_over(parsed);
        }
        self.settle();
    }

    pub(crate) fn take_over<K: Watched>(&mut self, parsed: Parsed<K>) {
        self.reject(parsed.name, parsed.rejection);
        self.write::<K>(parsed.key, parsed.row);
    }

    fn reject(&mut self, name: ObjectName, rejection: Option<Rejection>) {
        let Some(rejection) = rejection else {
            self.rejected.remove(&name);
            return;
        };
        self.keep_rejected(&name);
        if self.rejected.insert(name.clone(), rejection.clone()) != Some(rejection) {
            self.newly_rejected.insert(name);
        }
    }

    /// An object was deleted.
    pub fn delete<K: Watched>(&mut self, object: &K) {
        self.rejected.remove(&ObjectName::of(object));
        if let Some(key) = object.key() {
            self.write::<K>(key, None);
        }
        self.settle();
    }

    pub(crate) fn unsettle(&mut self) {
        self.is_unsettled = true;
    }

    /// Looks at what subnets and VPCs mean for one another, once for all that changed.
    pub(crate) fn settle(&mut self) {
        if std::mem::take(&mut self.is_unsettled) {
            self.accept_subnets();
            self.settle_vpcs();
            self.derive_gateways();
            self.bind_all();
        }
    }

    pub(crate) fn write<K: Watched>(&mut self, key: K::Key, row: Option<K::Row>) {
        if let Some(edit) = K::table(self).write(key, row) {
            K::derive(self, TableEdit(edit));
        }
    }

    /// Whether every kind has been listed once. Before, nothing may be chosen or pruned.
    pub fn is_synced(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.synced.contains(kind))
    }

    pub const fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    pub const fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    pub const fn vpcs(&self) -> &Table<VpcName, Vpc> {
        &self.vpcs
    }

    pub const fn subnets(&self) -> &Table<SubnetName, Subnet> {
        &self.subnets
    }

    pub const fn records(&self) -> &Table<String, Record> {
        &self.records
    }

    pub const fn namespaces(&self) -> &Table<String, Namespace> {
        &self.namespaces
    }

    pub const fn nodes(&self) -> &Table<NodeName, Node> {
        &self.nodes
    }

    pub const fn pods(&self) -> &Table<PodKey, Pod> {
        &self.pods
    }

    pub const fn ip_pools(&self) -> &Table<IpPoolName, IpPool> {
        &self.ip_pools
    }

    pub const fn vips(&self) -> &Table<VipName, Vip> {
        &self.vips
    }

    /// Objects that cannot be used.
    pub const fn rejected(&self) -> &BTreeMap<ObjectName, Rejection> {
        &self.rejected
    }

    /// The subnet that a pod belongs to: the one its annotation names, else that of its namespace.
    pub fn subnet_of(&self, key: &PodKey, pod: &Pod) -> SubnetName {
        let wished = pod.wish.as_ref().ok().and_then(|wish| self.wished(wish));
        wished.unwrap_or_else(|| self.subnet_of_namespace(&key.namespace).clone())
    }

    /// Whether an annotation of the pod names its subnet.
    pub fn names_subnet(&self, key: &PodKey) -> bool {
        let wish = self.pods.get(key).and_then(|pod| pod.wish.as_ref().ok());
        wish.is_some_and(|wish| self.wished(wish).is_some())
    }

    /// The owners to plan again; they are clean from now on.
    pub fn take_dirty(&mut self) -> BTreeSet<Owner> {
        std::mem::take(&mut self.dirty)
    }

    /// The claimants to look at again.
    pub fn take_claims(&mut self) -> BTreeSet<Claimant> {
        std::mem::take(&mut self.claims)
    }

    /// Objects that were rejected since the last call, to be told to their users.
    pub fn take_rejections(&mut self) -> Vec<(ObjectName, Rejection)> {
        let names = std::mem::take(&mut self.newly_rejected);
        names
            .into_iter()
            .filter_map(|name| self.rejected.get_key_value(&name))
            .map(|(n, r)| (n.clone(), r.clone()))
            .collect()
    }

    /// Makes the recorder look at the claimant again.
    pub fn reconsider(&mut self, claimant: Claimant) {
        self.claims.insert(claimant);
    }

    /// The subnets that changed since the last call.
    pub fn take_changed_subnets(&mut self) -> BTreeSet<SubnetName> {
        std::mem::take(&mut self.changed_subnets)
    }

    /// The names of the records that changed since the last call.
    pub fn take_changed_records(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.changed_records)
    }
}
