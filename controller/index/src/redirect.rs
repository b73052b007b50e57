//! Redirection of subnets to gateways outside of the cluster, which is the nodes' affair: what is wrong
//! with it by the subnets, and what nodes tell.

use std::collections::{BTreeMap, BTreeSet};

use api::subnet::{GATEWAY_FIELD, RedirectFault, TABLE_FIELD};
use model::{NodeName, SubnetName};

use crate::acceptance::{Effect, Fault};
use crate::index::Index;
use crate::subnet::Subnet;

/// What a node tells of subnets that exist.
pub(crate) type Told = BTreeMap<String, Vec<RedirectFault>>;

/// So many nodes are named; more are counted.
const NAMED: usize = 3;

/// What a node's annotation tells; nothing where it cannot be read.
pub(crate) fn told(annotations: Option<&BTreeMap<String, String>>) -> Told {
    let text = annotations.and_then(|all| all.get(api::annotation::REDIRECT_FAULTS));
    let told = text.and_then(|text| serde_json::from_str(text).ok());
    told.unwrap_or_default()
}

// === impl Subnet ===

impl Subnet {
    /// What is wrong with its redirection by itself.
    pub(crate) fn redirect_fault(spec: &api::SubnetSpec) -> Option<Fault> {
        let RedirectFault {
            field,
            value,
            cause,
        } = spec.redirect().err()?;
        Some(Fault::new(Effect::Told, &field, value, cause))
    }

    /// The routing table on nodes that is for its gateway outside.
    fn redirect_table(&self) -> Option<u32> {
        let redirect = self.object.spec.redirect().ok().flatten();
        redirect.map(|redirect| redirect.table)
    }
}

// === impl Index ===

impl Index {
    pub(crate) fn redirect_faults(&self, name: &SubnetName, subnet: &Subnet) -> Vec<Fault> {
        if subnet.object.spec.external_egress_gateway.is_empty() {
            return Vec::new();
        }
        let beside = [
            self.useless_redirect_fault(subnet),
            self.inside_fault(subnet),
            self.table_fault(name, subnet),
        ];
        let beside = beside.into_iter().flatten();
        beside.chain(self.faults_on_nodes(name)).collect()
    }

    /// Nodes see the traffic of overlay subnets of the default VPC alone.
    fn useless_redirect_fault(&self, subnet: &Subnet) -> Option<Fault> {
        let inputs = self.inputs();
        let is_led_to_nodes = inputs.is_led_to_nodes(&subnet.network);
        let value = subnet.object.spec.external_egress_gateway.clone();
        let cause = format!(
            "it has no effect: only overlay subnets of VPC {} are redirected; remove it",
            self.defaults.settings.default_vpc
        );
        (!is_led_to_nodes).then(|| Fault::new(Effect::Told, GATEWAY_FIELD, value, cause))
    }

    /// What goes to such a gateway comes back.
    fn inside_fault(&self, subnet: &Subnet) -> Option<Fault> {
        let redirect = subnet.object.spec.redirect().ok().flatten()?;
        let vpc = &subnet.network.vpc;
        let others = self.subnets.iter().filter(|(_, it)| it.network.vpc == *vpc);
        let mut inside = others.filter_map(|(name, it)| {
            let mut gateways = redirect.gateways.values();
            let cidrs = &it.network.cidrs;
            let gateway = gateways.find(|it| cidrs.values().any(|cidr| cidr.contains(**it)))?;
            Some((name, *gateway))
        });
        let (name, gateway) = inside.next()?;
        let cause =
            format!("it is an address of subnet {name}; name a router outside of the cluster");
        let gateway = gateway.to_string();
        Some(Fault::new(Effect::Told, GATEWAY_FIELD, gateway, cause))
    }

    /// Two subnets of a VPC would write one routing table of a node.
    fn table_fault(&self, name: &SubnetName, subnet: &Subnet) -> Option<Fault> {
        let table = subnet.redirect_table()?;
        let mut others = self.subnets.iter().filter(|(_, it)| {
            it.network.vpc == subnet.network.vpc && it.redirect_table() == Some(table)
        });
        let age = |(name, it): (&SubnetName, &Subnet)| (it.life.created.clone(), name.clone());
        let own = age((name, subnet));
        let (first, _) = others.find(|it| age(*it) < own)?;
        let cause = format!("subnet {first} has it already; choose a table that is free");
        Some(Fault::new(
            Effect::Told,
            TABLE_FIELD,
            table.to_string(),
            cause,
        ))
    }

    /// What nodes tell, each thing once.
    fn faults_on_nodes(&self, subnet: &SubnetName) -> Vec<Fault> {
        let mut nodes_of: BTreeMap<&RedirectFault, BTreeSet<&NodeName>> = BTreeMap::new();
        for (node, row) in self.nodes.iter() {
            let told = row.redirect_faults.get(subnet.as_str());
            for fault in told.into_iter().flatten() {
                nodes_of.entry(fault).or_default().insert(node);
            }
        }
        let faults = nodes_of.into_iter().map(|(fault, nodes)| {
            let cause = format!("on {}: {}", named(&nodes), fault.cause);
            Fault::new(Effect::Told, &fault.field, fault.value.clone(), cause)
        });
        faults.collect()
    }
}

fn named(nodes: &BTreeSet<&NodeName>) -> String {
    let shown: Vec<&str> = nodes.iter().take(NAMED).map(|it| it.as_str()).collect();
    let rest = nodes.len().saturating_sub(NAMED);
    let rest = if rest > 0 {
        format!(" and {rest} more nodes")
    } else {
        String::new()
    };
    format!("{}{rest}", shown.join(", "))
}
