//! The spec with every default and every normalised value in it, as it is written back.

use std::net::IpAddr;

use controller_plan::GatewayMode;
use model::{AddressRange, CidrPair};

use super::Subnet;

impl Subnet {
    /// The spec as it reads in full. What depends on other objects is left as it is, and so is what
    /// cannot be: its user has to see it.
    pub fn completed(&self) -> api::SubnetSpec {
        if self.keeps_accepted {
            return self.object.spec.clone();
        }
        let network = &self.network;
        let mode = match network.gateway_mode {
            GatewayMode::Distributed => api::subnet::DISTRIBUTED,
            GatewayMode::Centralized(_) => api::subnet::CENTRALIZED,
        };
        let declared = self.object.spec.clone();
        let provider = if declared.provider.is_empty() {
            api::subnet::OVN.to_owned()
        } else {
            declared.provider
        };
        api::SubnetSpec {
            vpc: network.vpc.to_string(),
            protocol: protocol(&network.cidrs).to_owned(),
            cidr_block: network.cidrs.to_string(),
            gateway: network.gateways.to_string(),
            exclude_ips: self.completed_excludes(),
            gateway_type: mode.to_owned(),
            provider,
            ..declared
        }
    }

    /// Gateways are never given to pods, and are seen to be so.
    fn completed_excludes(&self) -> Vec<String> {
        let is_missing = |gateway: &IpAddr| !self.excludes.iter().any(|it| it.contains(*gateway));
        let gateways = self.network.gateways.values().copied();
        let missing = gateways.filter(is_missing).map(AddressRange::single);
        let declared = self.object.spec.exclude_ips.iter().cloned();
        declared.chain(missing.map(|it| it.to_string())).collect()
    }
}

/// The families of the networks, as `spec.protocol` names them.
pub fn protocol(cidrs: &CidrPair) -> &'static str {
    match (cidrs.v4.is_some(), cidrs.v6.is_some()) {
        (true, true) => "Dual",
        (false, true) => "IPv6",
        (_, false) => "IPv4",
    }
}
