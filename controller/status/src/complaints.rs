//! What users must mend, each with the object that says so by an event.

use std::collections::BTreeSet;

use controller_index::{Index, Kind, ObjectName, Problem, Verdicts};
use model::Owner;

use crate::slots;
use crate::statuses::{INVALID, VPC_INVALID};

/// Kube-OVN has no such reason.
const TOO_FEW_SLOTS: &str = "TooFewGatewaySlots";

/// Something that the user of an object must mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Complaint {
    pub(crate) object: ObjectName,
    pub(crate) uid: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// All there is to say. Objects that cannot be read are told elsewhere, when they come.
pub(crate) fn all(index: &Index, verdicts: &Verdicts) -> BTreeSet<Complaint> {
    let problems = verdicts.problems();
    let problems = problems.iter();
    let problems = problems.filter_map(|problem| of_problem(index, problem));
    let faults = index.subnets().iter().flat_map(|(name, subnet)| {
        let faults = index.acceptance(name).map(|it| it.faults.clone());
        faults.into_iter().flatten().map(|fault| Complaint {
            object: named(Kind::Subnet, name),
            uid: subnet.life.uid.clone(),
            reason: INVALID.to_owned(),
            message: fault.why.to_string(),
        })
    });
    let of_vpcs = index.vpcs().iter().flat_map(|(name, vpc)| {
        let faults = index.faults_of_vpc(name).iter();
        faults.map(|fault| Complaint {
            object: named(Kind::Vpc, name),
            uid: vpc.life.uid.clone(),
            reason: VPC_INVALID.to_owned(),
            message: fault.why.to_string(),
        })
    });
    let lacking = slots::lacking(index);
    let slotless = index.subnets().iter().filter_map(|(name, subnet)| {
        let planned = index.inputs().subnets.get(name)?;
        let set = index.inputs().gateway_of(planned)?;
        Some(Complaint {
            object: named(Kind::Subnet, name),
            uid: subnet.life.uid.clone(),
            reason: TOO_FEW_SLOTS.to_owned(),
            message: lacking.get(set)?.clone(),
        })
    });
    let all = problems.chain(faults).chain(of_vpcs);
    all.chain(slotless).collect()
}

/// `None` for what no object stands for, or for one that is gone.
fn of_problem(index: &Index, problem: &Problem) -> Option<Complaint> {
    let (object, uid) = match &problem.owner {
        Owner::Node(name) => (named(Kind::Node, name), &index.nodes().get(name)?.uid),
        Owner::Subnet(name) => (
            named(Kind::Subnet, name),
            &index.subnets().get(name)?.life.uid,
        ),
        Owner::Vpc(name) => (named(Kind::Vpc, name), &index.vpcs().get(name)?.life.uid),
        Owner::Port(key) => {
            let pod = ObjectName {
                namespace: Some(key.pod.namespace.clone()),
                ..named(Kind::Pod, &key.pod.name)
            };
            (pod, &index.pods().get(&key.pod)?.uid)
        }
        Owner::LoadBalancers(_) | Owner::Gateway(_) => return None,
    };
    Some(Complaint {
        object,
        uid: uid.clone(),
        reason: problem.reason.to_owned(),
        message: problem.message.clone(),
    })
}

pub(crate) fn named(kind: Kind, name: &impl ToString) -> ObjectName {
    ObjectName {
        kind,
        namespace: None,
        name: name.to_string(),
    }
}
