//! `EndpointSlice`: some of the endpoints of a service.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use controller_plan as plan;
use k8s_openapi::api::discovery::v1 as discovery;
use model::{IpFamily, ServiceKey};

use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::service::{ServicePort, protocol};
use crate::table::Table;
use crate::text::{Rejected, require};

/// The label that names the service (`discovery.k8s.io/v1`).
const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// The `addressType` of endpoints that are no addresses.
const NAMES: &str = "FQDN";

/// A slice by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SliceKey {
    pub namespace: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSlice {
    /// `None` when the slice belongs to no service.
    pub service: Option<ServiceKey>,
    pub ports: Vec<EndpointPort>,
    /// The addresses of the endpoints that are ready.
    pub ready: BTreeSet<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPort {
    pub name: String,
    pub protocol: plan::Protocol,
    pub port: u16,
}

// === impl EndpointSlice ===

impl EndpointSlice {
    /// Where connections to `port` of the service's `address` may go.
    pub(crate) fn backends<'a>(
        &'a self,
        address: IpAddr,
        port: &'a ServicePort,
    ) -> impl Iterator<Item = SocketAddr> + 'a {
        let family = IpFamily::of(address);
        let ports = self
            .ports
            .iter()
            .filter(|it| it.name == port.name && it.protocol == port.protocol);
        ports.flat_map(move |port| {
            let same_family = self
                .ready
                .iter()
                .filter(move |ip| IpFamily::of(**ip) == family);
            same_family.map(|ip| SocketAddr::new(*ip, port.port))
        })
    }
}

impl Watched for discovery::EndpointSlice {
    const KIND: Kind = Kind::EndpointSlice;
    type Key = SliceKey;
    type Row = EndpointSlice;

    fn key(&self) -> Option<Self::Key> {
        Some(SliceKey {
            namespace: self.metadata.namespace.clone()?,
            name: self.metadata.name.clone()?,
        })
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let ports = self.ports.iter().flatten().filter_map(endpoint_port);
        Ok(EndpointSlice {
            service: service(self),
            ports: ports.collect(),
            ready: ready_addresses(self)?,
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.slices
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        let (old, new) = (
            edit.old.and_then(|slice| slice.service),
            edit.new.and_then(|slice| slice.service),
        );
        if let Some(service) = &old {
            index.forget_slice(service, &edit.key);
        }
        if let Some(service) = &new {
            let slices = index.slices_of.entry(service.clone()).or_default();
            slices.insert(edit.key);
        }
        for service in BTreeSet::from([old, new]).into_iter().flatten() {
            index.derive_service(&service);
        }
    }
}

impl Index {
    fn forget_slice(&mut self, service: &ServiceKey, slice: &SliceKey) {
        if let Some(slices) = self.slices_of.get_mut(service) {
            slices.remove(slice);
            if slices.is_empty() {
                self.slices_of.remove(service);
            }
        }
    }
}

fn service(slice: &discovery::EndpointSlice) -> Option<ServiceKey> {
    let meta = &slice.metadata;
    let name = meta.labels.as_ref()?.get(SERVICE_LABEL)?;
    ServiceKey::new(meta.namespace.clone()?, name.clone()).ok()
}

/// A port without a number means every port, which no VIP can lead to.
fn endpoint_port(port: &discovery::EndpointPort) -> Option<EndpointPort> {
    Some(EndpointPort {
        name: port.name.clone().unwrap_or_default(),
        protocol: protocol(port.protocol.as_deref())?,
        port: u16::try_from(port.port?).ok()?,
    })
}

/// Whoever does not say whether it is ready is. Of several addresses of an endpoint, which are
/// interchangeable, the first counts.
fn ready_addresses(slice: &discovery::EndpointSlice) -> Result<BTreeSet<IpAddr>, Rejected> {
    let ready = slice.endpoints.iter().filter(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        conditions.and_then(|it| it.ready).unwrap_or(true) && slice.address_type != NAMES
    });
    ready
        .filter_map(|endpoint| endpoint.addresses.first())
        .map(|text| require("endpoints.addresses", text))
        .collect()
}
