//! `Pod`: what network it asks for and what was recorded for it.

use std::net::IpAddr;

use api::annotation::key;
use controller_plan as plan;
use k8s_openapi::api::core::v1 as core;
use model::{DualStack, MacAddr, NodeName, PodKey, PortKey, Provider, SubnetName};

use crate::claimant::Claimant;
use crate::index::Index;
use crate::kind::{Kind, TableEdit, Watched};
use crate::table::Table;
use crate::text::{Annotations, Rejected, parse, uid};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub uid: String,
    pub node: Option<NodeName>,
    pub network: NetworkMode,
    pub phase: Phase,
    pub wish: Wish,
    /// What was recorded in the pod's annotations.
    pub allocation: Option<Allocation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMode {
    /// A network namespace of its own.
    Pod,
    /// The node's.
    Host,
}

/// How far a pod's life has come, as far as addresses are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for its network.
    Pending,
    /// Has run, and may still.
    Started,
    /// Will never run again: its addresses are free.
    Finished,
}

/// What a user asked for by annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    pub subnet: Option<SubnetName>,
    pub addresses: DualStack<IpAddr>,
    pub mac: Option<MacAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    pub subnet: SubnetName,
    pub addresses: DualStack<IpAddr>,
    pub mac: MacAddr,
    pub security: plan::PortSecurity,
}

// === impl Pod ===

impl Pod {
    /// Whether the pod must have addresses, recorded or not.
    pub fn needs_addresses(&self) -> bool {
        let begun = self.phase == Phase::Pending || self.allocation.is_some();
        self.network == NetworkMode::Pod && self.phase != Phase::Finished && begun
    }

    /// The pod's port, once its addresses are recorded.
    fn port(&self) -> Option<plan::Port> {
        let allocation = self
            .allocation
            .as_ref()
            .filter(|_| self.needs_addresses())?;
        Some(plan::Port {
            subnet: allocation.subnet.clone(),
            uid: self.uid.clone(),
            addresses: allocation.addresses,
            mac: allocation.mac,
            node: self.node.clone(),
            security: allocation.security,
        })
    }
}

impl Watched for core::Pod {
    const KIND: Kind = Kind::Pod;
    type Key = PodKey;
    type Row = Pod;

    fn key(&self) -> Option<Self::Key> {
        PodKey::new(
            self.metadata.namespace.clone()?,
            self.metadata.name.clone()?,
        )
        .ok()
    }

    fn parse(&self) -> Result<Self::Row, Rejected> {
        let annotations = Annotations::of(&self.metadata, &Provider::Ovn);
        let spec = self.spec.as_ref();
        let host_network = spec.and_then(|spec| spec.host_network).unwrap_or(false);
        let node = spec
            .and_then(|spec| spec.node_name.as_deref())
            .unwrap_or_default();
        let allocation = if annotations.is_true(key::ALLOCATED) {
            Some(allocation(annotations)?)
        } else {
            None
        };
        Ok(Pod {
            uid: uid(&self.metadata),
            node: parse("spec.nodeName", node)?,
            network: if host_network {
                NetworkMode::Host
            } else {
                NetworkMode::Pod
            },
            phase: phase(self),
            wish: Wish {
                subnet: annotations.parse(key::LOGICAL_SWITCH)?,
                addresses: annotations.parse(key::IP_ADDRESS)?.unwrap_or_default(),
                mac: annotations.parse(key::MAC_ADDRESS)?,
            },
            allocation,
        })
    }

    fn table(index: &mut Index) -> &mut Table<Self::Key, Self::Row> {
        &mut index.pods
    }

    fn derive(index: &mut Index, TableEdit(edit): TableEdit<Self>) {
        let port = PortKey::primary(edit.key.clone());
        match edit.new.as_ref().and_then(Pod::port) {
            Some(new) => {
                let old = index.inputs.ports.insert(port.clone(), new.clone());
                if old.as_ref() != Some(&new) {
                    index.dirty_port(port);
                }
            }
            None => {
                if index.inputs.ports.remove(&port).is_some() {
                    index.dirty_port(port);
                }
            }
        }
        index.claims.insert(Claimant::Pod(edit.key));
    }
}

fn allocation(annotations: Annotations<'_>) -> Result<Allocation, Rejected> {
    Ok(Allocation {
        subnet: annotations.require(key::LOGICAL_SWITCH)?,
        addresses: annotations.require(key::IP_ADDRESS)?,
        mac: annotations.require(key::MAC_ADDRESS)?,
        security: if annotations.is_true("port_security") {
            plan::PortSecurity::On
        } else {
            plan::PortSecurity::Off
        },
    })
}

fn phase(pod: &core::Pod) -> Phase {
    match pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
    {
        None | Some("" | "Pending") => Phase::Pending,
        Some("Succeeded" | "Failed") => Phase::Finished,
        Some(_) => Phase::Started,
    }
}
