//! Who reaches the pods of a subnet: `spec.private` and `spec.allowSubnets`.

use controller_plan::Access;
use model::{Cidr, CidrPair};

use super::lenient;
use crate::acceptance::{Effect, Fault};
use crate::text::{Rejected, require};

/// The access, and what is wrong with the entries that it goes without: less is let through then.
pub(super) fn parse(spec: &api::SubnetSpec, cidrs: &CidrPair) -> (Access, Vec<Fault>) {
    let read = |field: &str, text: &str| of_family(field, require(field, text)?, cidrs);
    let texts = &spec.allow_subnets;
    let (allowed, faults) = lenient("spec.allowSubnets", texts, Effect::Told, read);
    let access = if spec.private {
        Access::Private {
            allowed: allowed.into_iter().collect(),
        }
    } else {
        Access::Open
    };
    (access, faults)
}

/// Packets of a family that the subnet has not never reach it.
fn of_family(field: &str, allowed: Cidr, cidrs: &CidrPair) -> Result<Cidr, Rejected> {
    let is_known = cidrs.get(allowed.family()).is_some();
    is_known.then_some(allowed).ok_or_else(|| Rejected {
        field: field.to_owned(),
        value: allowed.to_string(),
        cause: format!(
            "the subnet has {cidrs} alone, so it has no effect; remove it, or give the subnet a \
             CIDR of that family"
        ),
    })
}
