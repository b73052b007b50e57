//! Our rules in base chains of others.
//!
//! A chain that drops by policy drops also what a table of ours accepts: every base chain of a hook
//! has its say. So where there is such a chain, our rules go to its top; they carry our mark as
//! comment, and go when the policy accepts again.

use super::{Family, Policy, Rule};

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
pub use kernel::{apply, observe, reconcile};

/// The comment of our rules.
pub const MARK: &str = "kube-ovn";

/// The hooks at which packets may be dropped by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Input,
    Forward,
}

/// The rules that a dropping chain must have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    pub input: Vec<Rule>,
    pub forward: Vec<Rule>,
}

/// A chain by its family, table and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainName {
    pub family: Family,
    pub table: String,
    pub chain: String,
}

/// A base chain of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: ChainName,
    pub gate: Gate,
    pub policy: Policy,
    /// Those of its rules that have our mark, by their handle.
    pub guests: Vec<(u32, Rule)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Before all other rules.
    Insert(ChainName, Rule),
    Remove(ChainName, u32),
}

/// What must change for the chains to have our rules where they are needed, and nowhere else.
pub fn diff(desired: &Desired, hosts: &[Host]) -> Vec<Change> {
    hosts
        .iter()
        .flat_map(|host| host_changes(desired, host))
        .collect()
}

fn host_changes(desired: &Desired, host: &Host) -> Vec<Change> {
    let desired: &[Rule] = match (host.policy, host.gate) {
        (Policy::Accept, _) => &[],
        (Policy::Drop, Gate::Input) => &desired.input,
        (Policy::Drop, Gate::Forward) => &desired.forward,
    };
    let mut missing: Vec<&Rule> = desired.iter().collect();
    let mut changes = Vec::new();
    for (handle, rule) in &host.guests {
        let place = missing.iter().position(|wanted| *wanted == rule);
        if let Some(place) = place {
            missing.swap_remove(place);
        } else {
            changes.push(Change::Remove(host.name.clone(), *handle));
        }
    }
    let insert = |rule: &Rule| Change::Insert(host.name.clone(), rule.clone());
    changes.extend(missing.into_iter().map(insert));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Match, Verdict};

    fn rule(port: u16) -> Rule {
        Rule {
            matches: vec![Match::UdpPort(port)],
            verdict: Verdict::Accept,
        }
    }

    fn host(policy: Policy, guests: Vec<(u32, Rule)>) -> Host {
        Host {
            name: ChainName {
                family: Family::Ip,
                table: "filter".to_owned(),
                chain: "INPUT".to_owned(),
            },
            gate: Gate::Input,
            policy,
            guests,
        }
    }

    fn desired(input: Vec<Rule>) -> Desired {
        Desired {
            input,
            forward: Vec::new(),
        }
    }

    #[test]
    fn only_a_chain_that_drops_gets_rules() {
        let desired = desired(vec![rule(1)]);
        assert_eq!(diff(&desired, &[host(Policy::Accept, vec![])]), []);
        let dropping = host(Policy::Drop, vec![]);
        let insert = Change::Insert(dropping.name.clone(), rule(1));
        assert_eq!(diff(&desired, &[dropping]), [insert]);
    }

    #[test]
    fn a_rule_that_is_there_stays_and_a_second_one_goes() {
        let guests = vec![(4, rule(1)), (5, rule(1)), (6, rule(2))];
        let host = host(Policy::Drop, guests);
        let name = &host.name;
        let removed = [5, 6].map(|handle| Change::Remove(name.clone(), handle));
        assert_eq!(
            diff(&desired(vec![rule(1)]), std::slice::from_ref(&host)),
            removed
        );
    }

    #[test]
    fn rules_go_when_nothing_is_dropped_or_wanted_any_more() {
        let guests = vec![(4, rule(1))];
        let desired = desired(vec![rule(1)]);
        let accepting = host(Policy::Accept, guests.clone());
        assert_eq!(diff(&desired, &[accepting]).len(), 1);
        let dropping = host(Policy::Drop, guests);
        assert_eq!(diff(&Desired::default(), &[dropping]).len(), 1);
    }
}
