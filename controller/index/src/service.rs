//! `Service`: the addresses and ports of its own by which it is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use controller_plan as plan;
use k8s_openapi::api::core::v1 as core;
use model::ServiceKey;

use crate::endpoint_slice::EndpointSlice;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::{Rejected, require};

/// The `clusterIP` of a service that has none on purpose.
const HEADLESS: &str = "None";
const CLIENT_IP: &str = "ClientIP";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Empty when the service is headless, or a name for something outside.
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<ServicePort>,
    pub affinity: plan::Affinity,
}

/// A port that is balanced: TCP or UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Endpoints are matched by it; empty when the service has a single port without one.
    pub name: String,
    pub protocol: plan::Protocol,
    pub port: u16,
}

impl Watched for core::Service {
    const KIND: Kind = Kind::Service;
    type Key = ServiceKey;
    type Row = Service;

    fn key(&self) -> Option<Self::Key> {
        let meta = &self.metadata;
        ServiceKey::new(meta.namespace.clone()?, meta.name.clone()?).ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let spec = self.spec.clone().unwrap_or_default();
        let texts = spec
            .cluster_ips
            .unwrap_or_else(|| spec.cluster_ip.into_iter().collect());
        let addresses: Result<_, _> = texts
            .iter()
            .filter(|text| !text.is_empty() && *text != HEADLESS)
            .map(|text| require("spec.clusterIPs", text))
            .collect();
        let ports = spec.ports.iter().flatten().filter_map(service_port);
        Ok(Service {
            addresses: addresses?,
            ports: ports.collect(),
            affinity: match spec.session_affinity.as_deref() {
                Some(CLIENT_IP) => plan::Affinity::ClientIp,
                _ => plan::Affinity::None,
            },
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.services
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        index.derive_service(&edit.key);
    }
}

fn service_port(port: &core::ServicePort) -> Option<ServicePort> {
    Some(ServicePort {
        name: port.name.clone().unwrap_or_default(),
        protocol: protocol(port.protocol.as_deref())?,
        port: u16::try_from(port.port).ok()?,
    })
}

/// `None` for a protocol that is not balanced.
pub(crate) fn protocol(text: Option<&str>) -> Option<plan::Protocol> {
    match text {
        None | Some("" | "TCP") => Some(plan::Protocol::Tcp),
        Some("UDP") => Some(plan::Protocol::Udp),
        Some(_) => None,
    }
}

impl Index {
    /// Joins a service with its endpoints for the planner.
    pub(crate) fn derive_service(&mut self, key: &ServiceKey) {
        let new = self
            .services
            .get(key)
            .filter(|service| !service.addresses.is_empty())
            .map(|service| self.join_endpoints(key, service));
        let old = match new.clone() {
            Some(service) => self.inputs.services.insert(key.clone(), service),
            None => self.inputs.services.remove(key),
        };
        if old != new {
            self.dirty_load_balancers();
        }
    }

    fn join_endpoints(&self, key: &ServiceKey, service: &Service) -> plan::Service {
        let slices: Vec<&EndpointSlice> = self
            .slices_of
            .get(key)
            .into_iter()
            .flatten()
            .filter_map(|slice| self.slices.get(slice))
            .collect();
        let mut vips = BTreeMap::new();
        for address in &service.addresses {
            for port in &service.ports {
                let vip = plan::Vip {
                    protocol: port.protocol,
                    address: SocketAddr::new(*address, port.port),
                };
                let backends = slices
                    .iter()
                    .flat_map(|slice| slice.backends(*address, port));
                vips.insert(vip, backends.collect::<BTreeSet<_>>());
            }
        }
        plan::Service {
            affinity: service.affinity,
            vips,
        }
    }
}
