//! What subnets and VPCs say about themselves, as a function of what is known about them.
//!
//! An object has no conditions before its rows are committed. Kube-OVN writes `Unknown` meanwhile; to
//! whoever waits for `True` the two are the same, and it would be one more write for each object.

use std::collections::{BTreeMap, BTreeSet};

use api::condition::{ERROR, READY, VALIDATED};
use api::{Condition, SubnetStatus, VpcStatus};
use controller_index::{
    Acceptance, Access, Effect, GatewayMode, Index, Kind, Liveness, ObjectName, Provision, Subnet,
    Verdict, Verdicts, Vpc,
};
use controller_ipam::Usage;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use model::{DualStack, GatewaySet, NodeName, Owner, SubnetName, VpcName, load_balancer};

use crate::ledger::Usages;
use crate::slots;

/// The reasons are Kube-OVN's.
const VALID: &str = "ValidateLogicalSwitchSuccess";
pub(crate) const INVALID: &str = "ValidateLogicalSwitchFailed";
const OPEN: &str = "ResetLogicalSwitchAclSuccess";
const PRIVATE: &str = "SetPrivateLogicalSwitchSuccess";
const NOT_PLANNED: &str = "CreateLogicalSwitchFailed";
const CENTRALIZED: &str = "ReconcileCentralizedGatewaySuccess";
const NO_GATEWAY: &str = "NoReadyGateway";
/// The reasons that Kube-OVN has not.
const WAITING_FOR_ADDRESSES: &str = "WaitingForAddresses";
const WAITING_FOR_SUBNETS: &str = "WaitingForSubnets";
const VPC_PLANNED: &str = "ReconcileVpcSuccess";
const VPC_NOT_PLANNED: &str = "ReconcileVpcFailed";
pub(crate) const VPC_INVALID: &str = "ValidateVpcFailed";
/// Blockers of a deletion that are named; more are counted.
const NAMED: usize = 5;

/// The status of each subnet that something is known about. Conditions bear no times yet.
pub(crate) fn subnets(
    index: &Index,
    verdicts: &Verdicts,
    usages: &Usages,
) -> Vec<(SubnetName, SubnetStatus)> {
    let lacking = slots::lacking(index);
    let usable = index.subnets().iter().filter_map(|(name, subnet)| {
        let conditions = match index.acceptance(name).and_then(|it| refused(subnet, it)) {
            Some(message) => failed(subnet, &message),
            None => accepted(index, verdicts, name, subnet, &lacking)?,
        };
        let status = SubnetStatus {
            conditions: with_end(index, name, subnet, conditions),
            ..counters(usages.get(name)?)
        };
        Some((name.clone(), status))
    });
    usable.chain(unusable(index)).collect()
}

/// Whether there is such a subnet, usable or not.
pub(crate) fn is_known(index: &Index, name: &SubnetName) -> bool {
    index.subnets().get(name).is_some() || unusable(index).any(|(it, _)| it == *name)
}

fn unusable(index: &Index) -> impl Iterator<Item = (SubnetName, SubnetStatus)> {
    let rejected = index.rejected().iter();
    rejected.filter_map(|(ObjectName { kind, name, .. }, rejection)| {
        let name = SubnetName::new(name.clone()).ok();
        let message = rejection.why.to_string();
        let status = SubnetStatus {
            conditions: vec![
                condition(VALIDATED, false, INVALID, &message),
                condition(READY, false, INVALID, &message),
                condition(ERROR, true, INVALID, &message),
            ],
            ..recorded(index, name.as_ref()?)
        };
        Some((name?, status)).filter(|_| *kind == Kind::Subnet)
    })
}

/// What keeps a subnet from giving out addresses; `None` when it does, whatever it goes without.
fn refused(subnet: &Subnet, acceptance: &Acceptance) -> Option<String> {
    let mut faults = acceptance.faults.iter();
    let is_refused = faults.any(|fault| fault.effect != Effect::Told);
    complaint_of(subnet, acceptance).filter(|_| is_refused)
}

/// The conditions of a subnet that gives out addresses. It is ready with its rows; what it goes
/// without makes it invalid and no less ready.
fn accepted(
    index: &Index,
    verdicts: &Verdicts,
    name: &SubnetName,
    subnet: &Subnet,
    lacking: &BTreeMap<GatewaySet, String>,
) -> Option<Vec<Condition>> {
    let complaint = index.acceptance(name);
    let complaint = complaint.and_then(|it| complaint_of(subnet, it));
    let conditions = match subnet.provision {
        Provision::AddressesOnly => validated(),
        Provision::Network => {
            let gateway = gateway(index, name, lacking);
            planned(subnet, &verdict(index, verdicts, name)?, gateway)
        }
    };
    let Some(message) = complaint else {
        return Some(conditions);
    };
    let failed = failed(subnet, &message).into_iter();
    let failed = failed.filter(|it| it.type_ != READY);
    let ready = conditions.into_iter().filter(|it| it.type_ == READY);
    Some(failed.chain(ready).collect())
}

/// What is wrong with a subnet, and what it means for its rows.
fn complaint_of(subnet: &Subnet, acceptance: &Acceptance) -> Option<String> {
    let faults = &acceptance.faults;
    let texts = faults.iter().map(|fault| fault.why.to_string());
    let kept = acceptance
        .cidrs
        .filter(|cidrs| subnet.keeps_accepted || *cidrs != subnet.network.cidrs);
    let vpc = &subnet.network.vpc;
    let kept = kept.map(|cidrs| format!("until then it keeps {cidrs} in VPC {vpc}"));
    let all: Vec<String> = texts.chain(kept).collect();
    (!faults.is_empty()).then(|| all.join("; "))
}

/// A subnet of another CNI plugin has no rows of ours that could be ready.
fn validated() -> Vec<Condition> {
    vec![condition(VALIDATED, true, VALID, "")]
}

fn failed(subnet: &Subnet, message: &str) -> Vec<Condition> {
    let ready = condition(READY, false, INVALID, message);
    let ready = Some(ready).filter(|_| subnet.provision == Provision::Network);
    let validated = condition(VALIDATED, false, INVALID, message);
    let error = condition(ERROR, true, INVALID, message);
    std::iter::once(validated)
        .chain(ready)
        .chain([error])
        .collect()
}

/// How traffic leaves a subnet whose gateway nodes are chosen.
enum Gateway {
    /// Why it does not.
    Missing(String),
    Ready(String),
}

/// `None` for a subnet without gateway nodes of its own.
fn gateway(
    index: &Index,
    name: &SubnetName,
    lacking: &BTreeMap<GatewaySet, String>,
) -> Option<Gateway> {
    let inputs = index.inputs();
    let subnet = inputs.subnets.get(name)?;
    if subnet.gateway_mode == GatewayMode::Centralized(None) && inputs.is_led_to_nodes(subnet) {
        let missing = "spec.gatewayNode names no node, and spec.gatewayNodeSelectors select none; \
                       name a node";
        return Some(Gateway::Missing(missing.to_owned()));
    }
    let set = inputs.gateway_of(subnet)?;
    let nodes = inputs.carriers(set).into_iter();
    let alive = nodes.filter(|name| {
        let node = inputs.nodes.get(*name);
        node.is_some_and(|node| node.liveness == Liveness::Alive)
    });
    let alive: Vec<&str> = alive.map(NodeName::as_str).collect();
    Some(if alive.is_empty() {
        Gateway::Missing(format!(
            "no node of spec.gatewayNode is ready, of {set}; see why, or name another"
        ))
    } else {
        let silent = set.members().filter(|name| index.is_silent(name));
        let silent: Vec<&str> = silent.map(NodeName::as_str).collect();
        let by = format!("traffic leaves by {}", alive.join(", "));
        let silent = (!silent.is_empty()).then(|| format!("no answer from {}", silent.join(", ")));
        let all = [Some(by), silent, lacking.get(set).cloned()];
        let all: Vec<String> = all.into_iter().flatten().collect();
        Gateway::Ready(all.join("; "))
    })
}

/// What became of the subnet's rows, and of those that lead its traffic to gateway nodes.
fn verdict(index: &Index, verdicts: &Verdicts, name: &SubnetName) -> Option<Verdict> {
    let mut verdict = verdicts.of(&Owner::Subnet(name.clone()))?;
    let inputs = index.inputs();
    let set = inputs
        .subnets
        .get(name)
        .and_then(|it| inputs.gateway_of(it));
    if let Some(set) = set {
        let of_set = verdicts.of(&Owner::Gateway(set.clone()))?;
        verdict.problems.extend(of_set.problems);
        verdict.rejection = verdict.rejection.or(of_set.rejection);
    }
    Some(verdict)
}

fn planned(subnet: &Subnet, verdict: &Verdict, gateway: Option<Gateway>) -> Vec<Condition> {
    let validated = condition(VALIDATED, true, VALID, "");
    let success = match subnet.network.access {
        Access::Open => OPEN,
        Access::Private { .. } => PRIVATE,
    };
    let (is_ready, reason, message) = match (complaint(verdict), gateway) {
        (Some(message), _) => (false, NOT_PLANNED, message),
        (None, None) => (true, success, String::new()),
        (None, Some(Gateway::Ready(message))) => (true, CENTRALIZED, message),
        (None, Some(Gateway::Missing(message))) => (false, NO_GATEWAY, message),
    };
    let of_error = if is_ready { "" } else { message.as_str() };
    vec![
        validated,
        condition(READY, is_ready, reason, &message),
        condition(ERROR, !is_ready, reason, of_error),
    ]
}

/// A subnet that is to end is not ready, and says whom it waits for.
fn with_end(
    index: &Index,
    name: &SubnetName,
    subnet: &Subnet,
    conditions: Vec<Condition>,
) -> Vec<Condition> {
    if !subnet.life.is_ending() {
        return conditions;
    }
    let holders = index.holders_of(name);
    let message = waiting(("address", "addresses"), &holders);
    let ready = condition(READY, false, WAITING_FOR_ADDRESSES, &message);
    let others = conditions.into_iter().filter(|it| it.type_ != READY);
    others.chain([ready]).collect()
}

/// `waiting for 2 addresses: a, b`.
fn waiting((one, several): (&str, &str), names: &BTreeSet<String>) -> String {
    let noun = if names.len() == 1 { one } else { several };
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    let rest = names.len().saturating_sub(NAMED);
    let rest = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!(
        "waiting for {} {noun}: {}{rest}",
        names.len(),
        shown.join(", ")
    )
}

fn complaint(verdict: &Verdict) -> Option<String> {
    let problems = verdict.problems.iter().map(|it| it.message.clone());
    let all: Vec<String> = problems.chain(verdict.rejection.clone()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn condition(type_: &str, status: bool, reason: &str, message: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: if status { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..Condition::default()
    }
}

fn counters(usage: &DualStack<Usage>) -> SubnetStatus {
    let (v4, v6) = (usage.v4.unwrap_or_default(), usage.v6.unwrap_or_default());
    SubnetStatus {
        v4_available: float(v4.available),
        v4_using: float(v4.used),
        v6_available: float(v6.available),
        v6_using: float(v6.used),
        ..SubnetStatus::default()
    }
}

/// By the records alone: a subnet that cannot be read has nothing to give.
fn recorded(index: &Index, subnet: &SubnetName) -> SubnetStatus {
    let records = index.records().iter();
    let records = records.filter(|(_, record)| record.subnet == *subnet);
    let mut used = DualStack::default();
    for (_, record) in records {
        for (family, _) in record.addresses.iter() {
            used.get_mut(family).get_or_insert_with(Usage::default).used += 1;
        }
    }
    counters(&used)
}

/// The nearest float: a number by its digits, as there is no conversion that cannot lose any.
fn float(number: u128) -> f64 {
    number.to_string().parse().unwrap_or(f64::MAX)
}

/// The status of each VPC whose router was planned.
pub(crate) fn vpcs(index: &Index, verdicts: &Verdicts) -> Vec<(VpcName, VpcStatus)> {
    let planned = index.vpcs().iter().filter_map(|(name, vpc)| {
        let verdict = verdicts.of(&Owner::Vpc(name.clone()))?;
        let default = index.default_subnet_of(name);
        let status = VpcStatus {
            conditions: vpc_conditions(index, name, vpc, &verdict),
            standby: verdict.rejection.is_none(),
            router: vpc.router.clone(),
            subnets: index.subnets_in(name).map(ToString::to_string).collect(),
            default_logical_switch: default.map(ToString::to_string).unwrap_or_default(),
            ..load_balancers(index, name)
        };
        Some((name.clone(), status))
    });
    planned.collect()
}

fn vpc_conditions(index: &Index, name: &VpcName, vpc: &Vpc, verdict: &Verdict) -> Vec<Condition> {
    if vpc.life.is_ending() {
        let subnets = index.subnets_in(name).map(ToString::to_string).collect();
        let message = waiting(("subnet", "subnets"), &subnets);
        return vec![condition(READY, false, WAITING_FOR_SUBNETS, &message)];
    }
    let faults = index.faults_of_vpc(name);
    let texts: Vec<String> = faults.iter().map(|fault| fault.why.to_string()).collect();
    let message = texts.join("; ");
    let is_refused = faults.iter().any(|fault| fault.effect != Effect::Told);
    match complaint(verdict) {
        _ if is_refused => vpc_failed(VPC_INVALID, &message),
        Some(message) => vpc_failed(VPC_NOT_PLANNED, &message),
        None => {
            let reason = if faults.is_empty() {
                VPC_PLANNED
            } else {
                VPC_INVALID
            };
            vec![
                condition(READY, true, VPC_PLANNED, ""),
                condition(ERROR, !faults.is_empty(), reason, &message),
            ]
        }
    }
}

fn vpc_failed(reason: &str, message: &str) -> Vec<Condition> {
    vec![
        condition(READY, false, reason, message),
        condition(ERROR, true, reason, message),
    ]
}

/// What the default VPC has and others have not.
fn load_balancers(index: &Index, name: &VpcName) -> VpcStatus {
    if *name != index.defaults().settings.default_vpc {
        return VpcStatus::default();
    }
    VpcStatus {
        default: true,
        tcp_load_balancer: load_balancer::TCP.to_owned(),
        udp_load_balancer: load_balancer::UDP.to_owned(),
        tcp_session_load_balancer: load_balancer::TCP_SESSION.to_owned(),
        udp_session_load_balancer: load_balancer::UDP_SESSION.to_owned(),
        ..VpcStatus::default()
    }
}

/// A status without the times in it, for comparison.
pub(crate) trait Timeless: Clone + PartialEq {
    fn conditions(&mut self) -> &mut Vec<Condition>;

    fn timeless(&self) -> Self {
        let mut status = self.clone();
        for condition in status.conditions() {
            condition.last_update_time = None;
            condition.last_transition_time = None;
        }
        status
    }

    /// The status with times: those of `former` where nothing changed since.
    fn stamped(mut self, former: Option<&Self>, now: &Time) -> Self {
        let mut former = former.cloned();
        let known = former.as_mut().map(Self::conditions);
        let known = known.map(std::mem::take).unwrap_or_default();
        for condition in self.conditions() {
            let before = known.iter().find(|it| it.type_ == condition.type_);
            let same = before.filter(|it| it.status == condition.status);
            condition.last_update_time = Some(now.clone());
            condition.last_transition_time = same
                .and_then(|it| it.last_transition_time.clone())
                .or_else(|| Some(now.clone()));
        }
        self
    }
}

impl Timeless for SubnetStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

impl Timeless for VpcStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

#[cfg(test)]
mod tests;
