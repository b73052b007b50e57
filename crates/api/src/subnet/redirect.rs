//! Traffic of a subnet that goes to a gateway outside of the cluster.

use std::net::IpAddr;

use model::{CidrPair, DualStack};
use serde::{Deserialize, Serialize};

use super::SubnetSpec;

/// Where traffic of a subnet goes when it leaves the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Redirect {
    /// The gateway of each family that is redirected.
    pub gateways: DualStack<IpAddr>,
    /// Of the nodes' rules.
    pub priority: u32,
    /// The nodes' routing table that leads to the gateways.
    pub table: u32,
}

/// Something in a subnet's redirection that its user must mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RedirectFault {
    /// The field, as a path in the object.
    pub field: String,
    pub value: String,
    /// What is wrong, and what would be right.
    pub cause: String,
}

/// [`SubnetSpec::external_egress_gateway`], as a path in the object.
pub const GATEWAY_FIELD: &str = "spec.externalEgressGateway";
/// [`SubnetSpec::policy_routing_priority`].
pub const PRIORITY_FIELD: &str = "spec.policyRoutingPriority";
/// [`SubnetSpec::policy_routing_table_id`].
pub const TABLE_FIELD: &str = "spec.policyRoutingTableID";

/// The routing tables of the kernel, and 0, which is none (rtnetlink(7), `rtm_table`).
const RESERVED: [u32; 5] = [0, 252, 253, 254, 255];
const GREATEST_TABLE: u32 = i32::MAX.unsigned_abs();
/// The kernel's own rules come after it.
const GREATEST_PRIORITY: u32 = 32765;

// === impl RedirectFault ===

impl RedirectFault {
    /// A fault of a field; `cause` says the remedy, too.
    pub fn new(field: &str, value: &impl ToString, cause: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            value: value.to_string(),
            cause: cause.into(),
        }
    }
}

// === impl SubnetSpec ===

impl SubnetSpec {
    /// Where traffic is redirected to; `None` where it is not.
    ///
    /// # Errors
    /// When the fields make no sense together. The API server refuses that; an object may be from
    /// before.
    pub fn redirect(&self) -> Result<Option<Redirect>, RedirectFault> {
        let text = self.external_egress_gateway.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        let fault = |cause: &str| RedirectFault::new(GATEWAY_FIELD, &text, cause);
        let gateways: DualStack<IpAddr> = text
            .parse()
            .map_err(|error| fault(&format!("{error}; write an address outside the cluster")))?;
        if self.nat_outgoing {
            return Err(fault(
                "it contradicts natOutgoing; set natOutgoing to false, or remove the gateway",
            ));
        }
        let networks: CidrPair = self.cidr_block.parse().unwrap_or_default();
        if gateways
            .iter()
            .any(|(family, _)| networks.get(family).is_none())
        {
            return Err(fault(
                "the subnet has no CIDR of that family; give an address of the same family",
            ));
        }
        Ok(Some(Redirect {
            gateways,
            priority: self.redirect_priority()?,
            table: self.redirect_table()?,
        }))
    }

    fn redirect_priority(&self) -> Result<u32, RedirectFault> {
        let number = self.policy_routing_priority;
        let usable = number.and_then(|number| u32::try_from(number).ok());
        let usable = usable.filter(|number| (1..=GREATEST_PRIORITY).contains(number));
        usable.ok_or_else(|| {
            let cause = format!("choose a number from 1 to {GREATEST_PRIORITY}");
            RedirectFault::new(PRIORITY_FIELD, &printed(number), cause)
        })
    }

    fn redirect_table(&self) -> Result<u32, RedirectFault> {
        let number = self.policy_routing_table_id;
        let usable = number.and_then(|number| u32::try_from(number).ok());
        let usable = usable.filter(|it| *it <= GREATEST_TABLE && !RESERVED.contains(it));
        usable.ok_or_else(|| {
            let cause = "choose a number from 1 to 2147483647 that is none of 252 to 255, which are \
                         tables of the kernel";
            RedirectFault::new(TABLE_FIELD, &printed(number), cause)
        })
    }
}

/// What is absent is printed as nothing.
fn printed(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SubnetSpec {
        SubnetSpec {
            cidr_block: "10.71.0.0/16,fd00:71::/64".to_owned(),
            external_egress_gateway: "192.0.2.254,2001:db8::254".to_owned(),
            policy_routing_priority: Some(1001),
            policy_routing_table_id: Some(1001),
            ..SubnetSpec::default()
        }
    }

    fn refused(change: impl FnOnce(&mut SubnetSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        let fault = spec.redirect().unwrap_err();
        format!("{} `{}` {}", fault.field, fault.value, fault.cause)
    }

    #[test]
    fn a_gateway_of_each_family_or_of_one_is_taken() {
        let redirect = spec().redirect().unwrap().unwrap();
        assert_eq!(redirect.gateways.to_string(), "192.0.2.254,2001:db8::254");
        let single = SubnetSpec {
            external_egress_gateway: "2001:db8::254".to_owned(),
            ..spec()
        };
        let gateways = single.redirect().unwrap().unwrap().gateways;
        assert!(gateways.v4.is_none() && gateways.v6.is_some());
        assert_eq!(SubnetSpec::default().redirect(), Ok(None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_field_value_and_remedy() {
        let text = refused(|it| it.external_egress_gateway = "router".to_owned());
        assert!(
            text.contains("spec.externalEgressGateway `router`"),
            "{text}"
        );
        let text = refused(|it| it.nat_outgoing = true);
        assert!(text.contains("set natOutgoing to false"), "{text}");
        let text = refused(|it| it.cidr_block = "10.71.0.0/16".to_owned());
        assert!(text.contains("no CIDR of that family"), "{text}");
        let text = refused(|it| it.policy_routing_priority = None);
        assert!(text.contains("spec.policyRoutingPriority ``"), "{text}");
        for table in [
            None,
            Some(0),
            Some(252),
            Some(255),
            Some(i64::from(u32::MAX)),
        ] {
            let text = refused(|it| it.policy_routing_table_id = table);
            assert!(text.contains("tables of the kernel"), "{text}");
        }
    }
}
