//! The networks of the cluster must not overlap: an address must say by itself where it is.

use model::CidrPair;

/// A flag and its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    pub(super) flag: &'static str,
    pub(super) cidrs: CidrPair,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} {} overlaps {} {}: give each a CIDR of its own",
    .0.0, .0.1, .1.0, .1.1
)]
pub(super) struct Overlap((&'static str, String), (&'static str, String));

/// # Errors
/// The first two networks that have addresses in common.
pub(super) fn check(networks: &[Network]) -> Result<(), Overlap> {
    let mut rest = networks;
    while let [first, others @ ..] = rest {
        if let Some(other) = others.iter().find(|it| overlap(&first.cidrs, &it.cidrs)) {
            return Err(Overlap(first.named(), other.named()));
        }
        rest = others;
    }
    Ok(())
}

fn overlap(one: &CidrPair, other: &CidrPair) -> bool {
    one.iter()
        .filter_map(|(family, cidr)| Some((cidr, other.get(family)?)))
        .any(|(cidr, other)| cidr.overlaps(*other))
}

// === impl Network ===

impl Network {
    fn named(&self) -> (&'static str, String) {
        (self.flag, self.cidrs.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(flag: &'static str, cidrs: &str) -> Network {
        Network {
            flag,
            cidrs: cidrs.parse().unwrap(),
        }
    }

    #[test]
    fn networks_that_are_apart_pass() {
        let networks = [
            network("--default-cidr", "10.16.0.0/16,fd00:16::/64"),
            network("--node-switch-cidr", "100.64.0.0/16"),
            network("--service-cluster-ip-range", "10.96.0.0/12,fd00:96::/112"),
        ];
        assert_eq!(check(&networks), Ok(()));
    }

    #[test]
    fn an_overlap_of_either_family_names_both_flags_and_the_remedy() {
        let networks = [
            network("--default-cidr", "10.16.0.0/16,fd00:16::/64"),
            network("--node-switch-cidr", "100.64.0.0/16"),
            network("--service-cluster-ip-range", "10.96.0.0/12,fd00:16::/112"),
        ];
        assert_eq!(
            check(&networks).unwrap_err().to_string(),
            "--default-cidr 10.16.0.0/16,fd00:16::/64 overlaps --service-cluster-ip-range \
             10.96.0.0/12,fd00:16::/112: give each a CIDR of its own"
        );
    }
}
