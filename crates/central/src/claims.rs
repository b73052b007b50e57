//! What each member says of its files, in an annotation of its pod, for the others to judge by.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

use crate::{
    central::NORTHD,
    database::{Found, NORTHBOUND, SOUTHBOUND},
    raft::Status,
};

/// What is led, and the label of the pod that does.
pub(crate) const LABELS: [(&str, &str); 3] = [
    (NORTHBOUND.name, "ovn-nb-leader"),
    (SOUTHBOUND.name, "ovn-sb-leader"),
    (NORTHD, "ovn-northd-leader"),
];

/// A member's part in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum Claim {
    /// It has no file that can be used, as it said when that generation was recorded.
    Nothing { generation: u64 },
    /// It asks to be let in.
    Joining { cluster: String, server: String },
    Member {
        cluster: String,
        server: String,
        /// The first digits of the ids of all servers that it knows; empty before it has asked.
        servers: Vec<String>,
    },
}

/// A pod of the central part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// Absent before it is on a node.
    pub(crate) address: Option<IpAddr>,
    /// By databases; one is absent before the pod's program said anything.
    pub(crate) claims: BTreeMap<&'static str, Claim>,
    /// What it leads.
    pub(crate) leads: BTreeSet<&'static str>,
}

// === impl Claim ===

impl Claim {
    /// What a file makes of us while no server has it.
    pub(crate) fn of_file(found: &Found, generation: u64) -> Self {
        match found.clone() {
            Found::Nothing | Found::Spoiled(_) => Self::Nothing { generation },
            Found::Member {
                cluster,
                server,
                is_joining: true,
                ..
            } => Self::Joining { cluster, server },
            Found::Member {
                cluster, server, ..
            } => Self::Member {
                cluster,
                server,
                servers: Vec::new(),
            },
        }
    }

    /// What a server makes of us.
    pub(crate) fn of_server(status: &Status) -> Self {
        let (cluster, server) = (status.cluster.clone(), status.server.clone());
        if status.servers.iter().any(|it| it.is(&server)) {
            let servers = status.servers.iter().map(|it| it.id.clone()).collect();
            return Self::Member {
                cluster,
                server,
                servers,
            };
        }
        Self::Joining { cluster, server }
    }

    /// The server's id, where it is of that cluster.
    pub(crate) fn server_of(&self, wanted: &str) -> Option<&str> {
        match self {
            Self::Joining { cluster, server }
            | Self::Member {
                cluster, server, ..
            } => (cluster == wanted).then_some(server),
            Self::Nothing { .. } => None,
        }
    }

    /// The servers that it knows, if it is one of that cluster.
    pub(crate) fn servers_of(&self, wanted: &str) -> Option<&[String]> {
        match self {
            Self::Member {
                cluster, servers, ..
            } => (cluster == wanted).then_some(servers),
            Self::Nothing { .. } | Self::Joining { .. } => None,
        }
    }
}

/// `ovn.kubernetes.io/nb-member`
pub(crate) fn key(database: &str) -> String {
    format!("ovn.kubernetes.io/{database}-member")
}

// === impl Peer ===

impl Peer {
    /// Reads a pod; what makes no sense counts as not said.
    pub(crate) fn read(pod: Pod) -> Self {
        let annotations = pod.metadata.annotations.unwrap_or_default();
        let claim = |database: &'static str| {
            let text = annotations.get(&key(database))?;
            Some((database, serde_json::from_str(text).ok()?))
        };
        let labels = pod.metadata.labels.unwrap_or_default();
        let leads = |(what, label): (&'static str, &str)| {
            (labels.get(label).map(String::as_str) == Some("true")).then_some(what)
        };
        let address = pod.status.and_then(|status| status.pod_ip);
        Self {
            name: pod.metadata.name.unwrap_or_default(),
            address: address.and_then(|text| text.parse().ok()),
            claims: [NORTHBOUND.name, SOUTHBOUND.name]
                .into_iter()
                .filter_map(claim)
                .collect(),
            leads: LABELS.into_iter().filter_map(leads).collect(),
        }
    }

    /// Whether it has a file of that cluster.
    pub(crate) fn is_member(&self, database: &str, cluster: &str) -> bool {
        let claim = self.claims.get(database);
        claim.is_some_and(|claim| claim.servers_of(cluster).is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::raft::tests::leading;

    #[test]
    fn a_pod_is_read_as_it_was_written() {
        let claim = Claim::of_server(&leading(&[("0f1b", "tcp:10.0.0.2:6643")]));
        let text = serde_json::to_string(&claim).unwrap();
        let pod = json!({
            "metadata": {
                "name": "ovn-central-1",
                "labels": { "app": "ovn-central", "ovn-nb-leader": "true" },
                "annotations": { "ovn.kubernetes.io/nb-member": text, "ovn.kubernetes.io/sb-member": "?" },
            },
            "status": { "podIP": "10.0.0.1" },
        });
        let peer = Peer::read(serde_json::from_value(pod).unwrap());
        assert_eq!(peer.address, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(peer.claims, BTreeMap::from([("nb", claim)]));
        assert_eq!(peer.leads, BTreeSet::from(["nb"]));
    }

    #[test]
    fn a_server_that_is_not_among_its_cluster_s_is_joining() {
        let mut status = leading(&[]);
        status.servers.clear();
        let claim = Claim::of_server(&status);
        assert_eq!(claim.servers_of(&status.cluster), None);
        assert_eq!(
            claim.server_of(&status.cluster),
            Some(status.server.as_str())
        );
        assert_eq!(claim.server_of("another"), None);
    }
}
