//! A VPC: its logical router, the routes and policies of its user, and its ends of the links to other
//! VPCs; for the default VPC also the route that leads to the nodes.

mod peerings;
mod routes;
mod sources;

use std::collections::BTreeSet;

use model::{Owner, VpcName};
use ovn::nb::{self, logical_router as lr, logical_router_policy as policy};
use ovn::{Row, RowKey};

use crate::inputs::{Action, Vpc};
use crate::{Inputs, Planned};

pub(crate) fn plan(inputs: &Inputs, name: &VpcName) -> Planned {
    let mut planned = Planned::default();
    let Some(vpc) = inputs.vpcs.get(name) else {
        return planned;
    };
    let owner = Owner::Vpc(name.clone());
    let router = Row::new(&nb::LOGICAL_ROUTER).with(lr::NAME, vpc.router.as_str());
    planned.row(&owner, RowKey::LogicalRouter(vpc.router.clone()), router);
    let mut router = Router {
        inputs,
        name,
        vpc,
        owner,
        planned,
    };
    routes::plan(&mut router);
    sources::plan(&mut router);
    for (policy, action) in &vpc.policies {
        router.policy(policy.priority, policy.matches.clone(), action);
    }
    peerings::plan(&mut router);
    router.planned
}

/// The router that is planned.
struct Router<'a> {
    inputs: &'a Inputs,
    name: &'a VpcName,
    vpc: &'a Vpc,
    owner: Owner,
    planned: Planned,
}

// === impl Router ===

impl Router<'_> {
    fn key(&self) -> RowKey {
        RowKey::LogicalRouter(self.vpc.router.clone())
    }

    fn is_default(&self) -> bool {
        *self.name == self.inputs.settings.default_vpc
    }

    fn policy(&mut self, priority: u16, matches: String, action: &Action) {
        let priority = i64::from(priority);
        let (word, nexthops) = match action {
            Action::Allow => ("allow", BTreeSet::new()),
            Action::Drop => ("drop", BTreeSet::new()),
            Action::Reroute(nexthops) => {
                let texts = nexthops.iter().map(ToString::to_string);
                ("reroute", texts.collect())
            }
        };
        let row = Row::new(&nb::LOGICAL_ROUTER_POLICY)
            .with(policy::PRIORITY, priority)
            .with(policy::MATCH, matches.as_str())
            .with(policy::ACTION, word)
            .with(policy::NEXTHOPS, nexthops)
            .linked(self.key(), lr::POLICIES);
        let key = RowKey::RouterPolicy {
            router: self.vpc.router.clone(),
            priority,
            matches,
        };
        self.planned.row(&self.owner, key, row);
    }
}
