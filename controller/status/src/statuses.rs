//! What subnets and VPCs say about themselves, as a function of what is known about them.

use api::condition::{ERROR, READY, VALIDATED};
use api::{Condition, SubnetStatus, VpcStatus};
use controller_index::{Index, Kind, ObjectName, Provision, Subnet, Verdict, Verdicts};
use controller_ipam::Usage;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use model::{DualStack, Owner, SubnetName, VpcName, load_balancer};

use crate::ledger::Usages;

/// The reasons are Kube-OVN's.
const VALID: &str = "ValidateLogicalSwitchSuccess";
const INVALID: &str = "ValidateLogicalSwitchFailed";
const PLANNED: &str = "ResetLogicalSwitchAclSuccess";
const NOT_PLANNED: &str = "CreateLogicalSwitchFailed";

/// The status of each subnet that something is known about. Conditions bear no times yet.
pub(crate) fn subnets(
    index: &Index,
    verdicts: &Verdicts,
    usages: &Usages,
) -> Vec<(SubnetName, SubnetStatus)> {
    let usable = index.subnets().iter().filter_map(|(name, subnet)| {
        let verdict = match subnet.provision {
            Provision::Network => verdicts.of(&Owner::Subnet(name.clone()))?,
            Provision::AddressesOnly => Verdict::default(),
        };
        let status = SubnetStatus {
            conditions: conditions(subnet, &verdict),
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
            ..SubnetStatus::default()
        };
        Some((name?, status)).filter(|_| *kind == Kind::Subnet)
    })
}

/// A subnet of another CNI plugin has no rows of ours that could be ready.
fn conditions(subnet: &Subnet, verdict: &Verdict) -> Vec<Condition> {
    let validated = condition(VALIDATED, true, VALID, "");
    if subnet.provision == Provision::AddressesOnly {
        return vec![validated];
    }
    match complaint(verdict) {
        Some(message) => vec![
            validated,
            condition(READY, false, NOT_PLANNED, &message),
            condition(ERROR, true, NOT_PLANNED, &message),
        ],
        None => vec![
            validated,
            condition(READY, true, PLANNED, ""),
            condition(ERROR, false, PLANNED, ""),
        ],
    }
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

/// The nearest float: a number by its digits, as there is no conversion that cannot lose any.
fn float(number: u128) -> f64 {
    number.to_string().parse().unwrap_or(f64::MAX)
}

/// The status of each VPC whose router was planned.
pub(crate) fn vpcs(index: &Index, verdicts: &Verdicts) -> Vec<(VpcName, VpcStatus)> {
    let planned = index.vpcs().iter().filter_map(|(name, vpc)| {
        let verdict = verdicts.of(&Owner::Vpc(name.clone()))?;
        let members = index.subnets().iter();
        let members = members.filter(|(_, subnet)| subnet.network.vpc == *name);
        let status = VpcStatus {
            standby: complaint(&verdict).is_none(),
            router: vpc.router.clone(),
            subnets: members.map(|(name, _)| name.to_string()).collect(),
            ..defaults(index, name)
        };
        Some((name.clone(), status))
    });
    planned.collect()
}

/// What the default VPC has and others have not.
fn defaults(index: &Index, name: &VpcName) -> VpcStatus {
    if *name != index.defaults().settings.default_vpc {
        return VpcStatus::default();
    }
    VpcStatus {
        default: true,
        default_logical_switch: index.defaults().subnet.to_string(),
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

#[cfg(test)]
mod tests {
    use controller_index::{Defaults, Settings};
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn index(subnets: &[(&str, &str, &str)]) -> Index {
        let mut index = Index::new(Defaults {
            settings: Settings {
                default_vpc: VpcName::new("ovn-cluster").unwrap(),
                join: SubnetName::new("join").unwrap(),
            },
            subnet: SubnetName::new("ovn-default").unwrap(),
        });
        for (name, cidr, provider) in subnets {
            let spec = api::SubnetSpec {
                cidr_block: (*cidr).to_owned(),
                provider: (*provider).to_owned(),
                ..Default::default()
            };
            index.apply(&api::Subnet::new(name, spec));
        }
        index
    }

    fn report(index: &Index, verdicts: &Verdicts) -> Vec<String> {
        let name = |it: &str| SubnetName::new(it).unwrap();
        let usages = ["a", "b"].map(|it| (name(it), DualStack::default()));
        let statuses = subnets(index, verdicts, &Usages::from(usages));
        let line = |(name, status): (SubnetName, SubnetStatus)| {
            let conditions = status.conditions.iter();
            let words = conditions.map(|it| format!("{}={}", it.type_, it.status));
            format!("{name}: {}", words.collect::<Vec<_>>().join(" "))
        };
        statuses.into_iter().map(line).collect()
    }

    #[test]
    fn nothing_is_said_of_a_subnet_before_its_rows_are_committed() {
        let verdicts = Verdicts::default();
        let index = index(&[("a", "10.1.0.0/16", "ovn")]);
        assert!(report(&index, &verdicts).is_empty());
        verdicts.tell(
            Owner::Subnet(SubnetName::new("a").unwrap()),
            Verdict::default(),
        );
        assert_eq!(
            report(&index, &verdicts),
            ["a: Validated=True Ready=True Error=False"]
        );
    }

    #[test]
    fn rows_that_the_database_rejects_make_an_error() {
        let verdicts = Verdicts::default();
        let rejected = Verdict {
            rejection: Some("constraint violation".to_owned()),
            ..Verdict::default()
        };
        verdicts.tell(Owner::Subnet(SubnetName::new("a").unwrap()), rejected);
        assert_eq!(
            report(&index(&[("a", "10.1.0.0/16", "ovn")]), &verdicts),
            ["a: Validated=True Ready=False Error=True"]
        );
    }

    #[test]
    fn an_unusable_subnet_is_not_valid_and_one_of_another_plugin_never_ready() {
        let subnets = [("a", "nonsense", "ovn"), ("b", "10.2.0.0/16", "macvlan")];
        assert_eq!(
            report(&index(&subnets), &Verdicts::default()),
            [
                "b: Validated=True",
                "a: Validated=False Ready=False Error=True"
            ]
        );
    }

    fn ready(status: bool) -> SubnetStatus {
        SubnetStatus {
            conditions: vec![condition(READY, status, PLANNED, "")],
            ..SubnetStatus::default()
        }
    }

    #[test]
    fn a_transition_time_stays_until_the_condition_turns() {
        let (early, late) = (Time(Timestamp::UNIX_EPOCH), Time(Timestamp::MAX));
        let first = ready(true).stamped(None, &early);
        let second = ready(true).stamped(Some(&first), &late);
        assert_eq!(second.conditions[0].last_transition_time, Some(early));
        assert_eq!(second.conditions[0].last_update_time, Some(late.clone()));
        let third = ready(false).stamped(Some(&first), &late);
        assert_eq!(third.conditions[0].last_transition_time, Some(late));
    }

    #[test]
    fn times_are_no_difference() {
        let stamped = ready(true).stamped(None, &Time(Timestamp::UNIX_EPOCH));
        assert_eq!(stamped.timeless(), ready(true));
    }

    #[test]
    fn a_slash_64_has_as_many_addresses_as_kube_ovn_says() {
        let text = format!("{:e}", float(1 << 64));
        assert_eq!(text, "1.8446744073709552e19");
    }
}
