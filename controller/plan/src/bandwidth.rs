//! The bandwidth of a gateway node: what its port on the join switch sends and gets.
//!
//! By OVN's `QoS` rows, which Open vSwitch meters on either datapath. HTB limits only what an
//! interface sends, and `ingress_policing_rate` does nothing on the userspace datapath.

use std::collections::BTreeMap;

use model::{NodeName, Owner, Rate, priority};
use ovn::acl::Direction;
use ovn::nb::{self, logical_switch as ls, qos};
use ovn::{Row, RowKey, expr};

use crate::inputs::Bandwidth;
use crate::{Inputs, Planned};

/// How much may pass at once: this part of what may in a second. With less or much more TCP does not
/// come near the rate.
const BURST: i64 = 5;
/// At least so much, in kbit: a few of the largest packets of a kernel that segments late.
const LEAST_BURST: i64 = 2000;

pub(crate) fn plan(inputs: &Inputs, name: &NodeName, bandwidth: Bandwidth, planned: &mut Planned) {
    let owner = Owner::Node(name.clone());
    let port = name.lsp();
    let towards = (Direction::ToLport, expr::sent_to(&port), bandwidth.ingress);
    let from = (Direction::FromLport, expr::sent_by(&port), bandwidth.egress);
    for (direction, matches, rate) in [towards, from] {
        let Some(rate) = rate else { continue };
        let switch = inputs.settings.join.to_string();
        let priority = i64::from(priority::QOS_NODE);
        let row = Row::new(&nb::QOS)
            .with(qos::DIRECTION, direction.name())
            .with(qos::PRIORITY, priority)
            .with(qos::MATCH, matches.as_str())
            .with(qos::BANDWIDTH, columns(rate))
            .linked(RowKey::LogicalSwitch(switch.clone()), ls::QOS_RULES);
        let key = RowKey::Qos {
            switch,
            direction,
            priority,
            matches,
        };
        planned.row(&owner, key, row);
    }
}

/// kbit/s and kbit (ovn-nb(5), `QoS`).
fn columns(rate: Rate) -> BTreeMap<String, i64> {
    let rate = rate.kilobits();
    let burst = (rate / BURST).max(LEAST_BURST);
    [("rate".to_owned(), rate), ("burst".to_owned(), burst)].into()
}
