//! What to do about a database, judged by what the API server says of all members.
//!
//! Two clusters are never both current: the recorded id decides, and whoever has another file
//! removes it. So a wrong judgement costs a refill of the database, and nothing else.

use std::{net::IpAddr, time::Duration};

use crate::{
    claims::{Claim, Peer},
    raft::{Server, Status},
};

/// How long a pod that has said nothing yet may have a file.
const SILENCE: Duration = Duration::from_mins(1);

/// What a member without a file of the recorded cluster does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Course {
    /// Makes a new cluster, with the Lease in its hands.
    Make,
    /// Asks these members.
    Join(Vec<IpAddr>),
    /// Others have to say something first.
    Wait,
}

/// One database as the API server tells of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) database: &'static str,
    /// The recorded cluster.
    pub(crate) cluster: &'a str,
    /// How often clusters were recorded.
    pub(crate) generation: u64,
    /// All pods but ours.
    pub(crate) peers: &'a [Peer],
}

// === impl Case ===

impl Case<'_> {
    /// What to do without a file, having waited for so long.
    pub(crate) fn course(&self, waited: Duration) -> Course {
        let hosts: Vec<IpAddr> = self.members().filter_map(|peer| peer.address).collect();
        let has_patience = waited < SILENCE;
        if hosts.is_empty() {
            let may_have = self.silent() > 0 && has_patience;
            return if may_have { Course::Wait } else { Course::Make };
        }
        if !self.is_lost(None) {
            return Course::Join(hosts);
        }
        // a member that is left goes on with its content
        if has_patience {
            Course::Wait
        } else {
            Course::Make
        }
    }

    /// Whether a majority of the cluster cannot come back. `own` is what we are of it.
    pub(crate) fn is_lost(&self, own: Option<&Claim>) -> bool {
        let known = self
            .members()
            .filter_map(|peer| peer.claims.get(self.database));
        let known: Vec<&[String]> = known
            .chain(own)
            .filter_map(|claim| claim.servers_of(self.cluster))
            .collect();
        let size = known.iter().map(|servers| servers.len()).max().unwrap_or(0);
        (known.len() + self.silent()) * 2 <= size
    }

    /// Whether the cluster is without us, as its leader and most of its members say. The leader alone
    /// is not enough: a pod that ended just before we were let in still says what it said.
    pub(crate) fn is_expelled(&self, server: &str) -> bool {
        let said = self.peers.iter().filter_map(|peer| {
            let servers = peer.claims.get(self.database)?.servers_of(self.cluster)?;
            (!servers.is_empty()).then_some((peer, servers))
        });
        let knows = |servers: &[String]| servers.iter().any(|short| server.starts_with(short));
        let without = said.clone().filter(|(_, servers)| !knows(servers));
        let leads = |(peer, _): (&Peer, _)| peer.leads.contains(self.database);
        without.clone().any(leads) && without.count() * 2 > said.count()
    }

    /// The first member that will not come back, and why; the leader asks. `host` gives the
    /// member's address of a pod.
    pub(crate) fn leaver<'s>(
        &self,
        status: &'s Status,
        host: impl Fn(IpAddr) -> String,
    ) -> Option<(&'s Server, Leaving)> {
        let others = status.servers.iter().filter(|it| !it.is(&status.server));
        let mut leaving = others.filter_map(|server| Some((server, self.leaving(server, &host)?)));
        let found = leaving.next()?;
        let alive = self.members().count() + 1;
        (alive * 2 > status.servers.len() - 1).then_some(found)
    }

    fn leaving(&self, server: &Server, host: impl Fn(IpAddr) -> String) -> Option<Leaving> {
        let at = |peer: &&Peer| peer.address.is_some_and(|it| host(it) == server.address);
        let Some(peer) = self.peers.iter().find(at) else {
            // a pod that is on no node yet may come to this one
            let settled = self.peers.iter().all(|peer| peer.address.is_some());
            return settled.then_some(Leaving::Gone);
        };
        let now = peer.claims.get(self.database)?.server_of(self.cluster)?;
        (!server.is(now)).then_some(Leaving::Replaced)
    }

    fn members(&self) -> impl Iterator<Item = &Peer> {
        let peers = self.peers.iter();
        peers.filter(|peer| peer.is_member(self.database, self.cluster))
    }

    /// How many pods have said nothing that tells whether they have a file of the cluster: what one
    /// said of an earlier generation may not be true any more.
    fn silent(&self) -> usize {
        let claims = self.peers.iter().map(|peer| peer.claims.get(self.database));
        let is_silent = |claim: Option<&Claim>| match claim {
            None => true,
            Some(Claim::Nothing { generation }) => *generation != self.generation,
            Some(claim) => claim.server_of(self.cluster).is_none(),
        };
        claims.filter(|claim| is_silent(*claim)).count()
    }
}

/// Why a member will not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// No pod has its address.
    Gone,
    /// Another server has its address.
    Replaced,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::tests::leading;

    const CLUSTER: &str = "a798a0de-c19e-46b4-8c2d-a5a98ffdf805";

    fn host(address: IpAddr) -> String {
        format!("tcp:{address}:6643")
    }

    fn silent(last: u8) -> Peer {
        Peer {
            name: format!("p{last}"),
            address: Some([10, 0, 0, last].into()),
            ..Peer::default()
        }
    }

    fn with(last: u8, claim: Claim) -> Peer {
        Peer {
            claims: [("nb", claim)].into(),
            ..silent(last)
        }
    }

    fn empty(last: u8) -> Peer {
        with(last, Claim::Nothing { generation: 1 })
    }

    /// Serves `<last>aaa` in a cluster of three.
    fn claim(last: u8) -> Claim {
        Claim::Member {
            cluster: CLUSTER.to_owned(),
            server: format!("{last}aaa-0"),
            servers: ["1aaa", "2aaa", "3aaa"].map(str::to_owned).into(),
        }
    }

    fn member(last: u8) -> Peer {
        with(last, claim(last))
    }

    fn case(peers: &[Peer]) -> Case<'_> {
        Case {
            database: "nb",
            cluster: CLUSTER,
            generation: 1,
            peers,
        }
    }

    #[test]
    fn a_member_without_a_file_joins_those_who_have_one() {
        let hosts = vec![[10, 0, 0, 2].into(), [10, 0, 0, 3].into()];
        let course = case(&[member(2), member(3)]).course(Duration::ZERO);
        assert_eq!(course, Course::Join(hosts));
    }

    #[test]
    fn a_cluster_of_which_nobody_has_a_file_is_made_anew() {
        assert_eq!(case(&[]).course(Duration::ZERO), Course::Make);
        let course = case(&[empty(2), empty(3)]).course(Duration::ZERO);
        assert_eq!(course, Course::Make);
    }

    #[test]
    fn a_pod_that_has_not_spoken_is_waited_for_but_not_for_ever() {
        let peers = [empty(2), silent(3)];
        assert_eq!(case(&peers).course(Duration::ZERO), Course::Wait);
        assert_eq!(case(&peers).course(SILENCE), Course::Make);
    }

    #[test]
    fn the_last_of_a_lost_majority_goes_first() {
        let peers = [member(2), empty(3)];
        assert_eq!(case(&peers).course(Duration::ZERO), Course::Wait);
        assert!(case(&[empty(1), empty(3)]).is_lost(Some(&claim(2))));
    }

    #[test]
    fn a_majority_that_is_there_or_may_be_is_not_lost() {
        assert!(!case(&[member(1), empty(3)]).is_lost(Some(&claim(2))));
        assert!(!case(&[silent(1), empty(3)]).is_lost(Some(&claim(2))));
    }

    #[test]
    fn what_was_said_before_the_cluster_was_recorded_does_not_count() {
        let claims = [Claim::Nothing { generation: 0 }, claim(2)];
        let [earlier, of_another] = claims.map(|claim| with(2, claim));
        assert_eq!(case(&[earlier]).course(Duration::ZERO), Course::Wait);
        let peers = [of_another];
        let now = Case {
            cluster: "new",
            ..case(&peers)
        };
        assert_eq!(now.course(Duration::ZERO), Course::Wait);
        assert_eq!(now.course(SILENCE), Course::Make);
    }

    #[test]
    fn a_server_is_kicked_when_no_pod_has_its_address_or_another_server_has() {
        let status = leading(&[("2aaa", "tcp:10.0.0.2:6643"), ("3aaa", "tcp:10.0.0.3:6643")]);
        let judge = |peers: &[Peer]| {
            let leaver = case(peers).leaver(&status, host);
            leaver.map(|(server, why)| (server.id.clone(), why))
        };
        assert_eq!(judge(&[member(2), member(3)]), None);
        let gone = Some(("3aaa".to_owned(), Leaving::Gone));
        assert_eq!(judge(&[member(2), empty(4)]), gone);
        let replaced = Some(("3aaa".to_owned(), Leaving::Replaced));
        assert_eq!(judge(&[member(2), with(3, claim(9))]), replaced);
    }

    #[test]
    fn nobody_is_kicked_while_a_pod_is_on_no_node_or_without_a_quorum() {
        let status = leading(&[("2aaa", "tcp:10.0.0.2:6643"), ("3aaa", "tcp:10.0.0.3:6643")]);
        let homeless = Peer::default();
        assert_eq!(case(&[member(2), homeless]).leaver(&status, host), None);
        assert_eq!(case(&[]).leaver(&status, host), None);
    }

    #[test]
    fn who_is_not_in_the_leader_s_cluster_is_expelled() {
        let mut leader = member(1);
        assert!(!case(&[leader.clone()]).is_expelled("9aaa-0"));
        leader.leads.insert("nb");
        assert!(case(&[leader.clone()]).is_expelled("9aaa-0"));
        assert!(!case(&[leader]).is_expelled("3aaa-0"));
    }

    #[test]
    fn a_leader_that_ended_before_a_server_was_let_in_expels_nobody() {
        let mut ended = member(1);
        ended.leads.insert("nb");
        let knowing = Claim::Member {
            cluster: CLUSTER.to_owned(),
            server: "2aaa-0".to_owned(),
            servers: ["1aaa", "2aaa", "9aaa"].map(str::to_owned).into(),
        };
        assert!(!case(&[ended.clone(), with(2, knowing)]).is_expelled("9aaa-0"));
        assert!(case(&[ended, member(2)]).is_expelled("9aaa-0"));
    }
}
